import { describe, expect, test } from 'vitest';

import { mistakesOf, read } from './read.ts';

/** Each with everything that is said against it. */
const refused: Readonly<Record<string, readonly [plan: string, ...mistakes: readonly string[]]>> = {
  'mistakes of several kinds, in one step and in several': [
    `steps:
  - { name: a, uses: wait-tcp, targets: [db, "db:0"], timeout: [1], interval: 3x, successes: 0 }
  - { name: b, command: [x], grace: 1x, retries: [2], user: bob }
  - { command: [x], grace: 2x }
`,
    'plan.yaml has 10 mistakes',
    'plan.yaml:2:42: targets: "db" has no port; write db:5432, say',
    'plan.yaml:2:46: targets: the port "0" in "db:0" is not a whole number from 1 to 65535',
    expect.stringMatching(/^plan\.yaml:2:64: step "a": timeout: expected a string or a number/) as string,
    expect.stringMatching(/^plan\.yaml:2:79: interval: "3x" is not a duration/) as string,
    expect.stringMatching(/^plan\.yaml:2:94: successes: "0" is not a whole number/) as string,
    expect.stringMatching(/^plan\.yaml:3:37: grace: "1x" is not a duration/) as string,
    expect.stringMatching(/^plan\.yaml:3:50: step "b": retries: expected a string or a number/) as string,
    expect.stringMatching(/^plan\.yaml:3:61: user: "bob" is not a user/) as string,
    'plan.yaml:4:5: step 3: "name" is missing',
    expect.stringMatching(/^plan\.yaml:4:28: grace: "2x" is not a duration/) as string,
  ],
  'a cycle': [
    `steps:
  - { name: a, command: [x], needs: [c] }
  - { name: b, command: [x], needs: a }
  - name: c
    command: [x]
    needs: [b]
`,
    'plan.yaml:3:37: dependency cycle: a → c → b → a',
  ],
  'each of two cycles': [
    `steps:
  - { name: a, command: [x], needs: b }
  - { name: b, command: [x], needs: [a, c] }
  - { name: c, command: [x], needs: d }
  - { name: d, command: [x], needs: c }
`,
    'plan.yaml has 2 mistakes',
    'plan.yaml:3:38: dependency cycle: a → b → a',
    'plan.yaml:5:37: dependency cycle: c → d → c',
  ],
  'entries of a list of the wrong kind, and the others': [
    `steps:
  - { name: a, uses: wait-tcp, targets: [null, "", "h:99999", "$(X)", "h:1"] }
  - { name: b, uses: copy, sources: [~, "/a/$(X)"], destination: /b }
  - { name: c, uses: chown, owner: ~, paths: [data] }
  - { name: d, uses: wait-dns, names: a, type: [~, XX] }
`,
    'plan.yaml has 9 mistakes',
    'plan.yaml:2:42: step "a": targets: entry 1: expected a string or a number, got nothing',
    expect.stringContaining('plan.yaml:2:48: targets: the target is empty') as string,
    expect.stringContaining('plan.yaml:2:52: targets: the port "99999"') as string,
    expect.stringContaining('plan.yaml:2:63: targets: the target cannot be used: the variable X') as string,
    'plan.yaml:3:38: step "b": sources: entry 1: expected a string or a number, got nothing',
    expect.stringContaining('plan.yaml:3:41: sources cannot be used: the variable X') as string,
    expect.stringContaining('plan.yaml:4:36: step "c": owner: expected a string or a number') as string,
    expect.stringContaining('plan.yaml:5:49: step "d": type: entry 1') as string,
    expect.stringContaining('plan.yaml:5:52: type: "XX" is not one of') as string,
  ],
  'an endless time, and nothing where a step is needed': [
    'steps:\n  - { name: a, command: [x], timeout: .inf, grace: .nan, needs: [~] }\n',
    'plan.yaml has 3 mistakes',
    expect.stringMatching(/^plan\.yaml:2:39: timeout: "\.inf" is not a duration/) as string,
    expect.stringMatching(/^plan\.yaml:2:52: grace: "\.nan" is not a duration/) as string,
    'plan.yaml:2:66: step "a": needs: entry 1: expected a string or a number, got nothing',
  ],
  'what is only said of further tries, without any': [
    'steps:\n  - { name: a, command: [x], pause: 3s, try-timeout: 3s }\n  - { name: b, command: [x], retries: 1, pause: 0s }\n',
    'plan.yaml has 3 mistakes',
    'plan.yaml:2:37: pause: it needs retries beside it',
    'plan.yaml:2:54: try-timeout: it needs retries beside it; the time of a step with one try is its timeout',
    expect.stringContaining('plan.yaml:3:49: pause: "0s" is too short; write at least 1ms') as string,
  ],
  'merge keys that bring no map': [
    'x-a: &x [1]\nsteps:\n  - <<: *x\n    name: a\n    command: [x]\n  - { <<: 3, name: b, command: [x] }\n',
    'plan.yaml has 2 mistakes',
    'plan.yaml:3:5: a merge key (<<) takes a map, or a list of maps: <<: *defaults',
    'plan.yaml:6:7: a merge key (<<) takes a map, or a list of maps: <<: *defaults',
  ],
  'a secret in a place for anchors': [
    'x-a: { u: "postgres://app:hunter2@db/app" }\nsteps: [{ name: a, command: [x] }]\n',
    'plan.yaml:1:11: x-a: a URL with a password stands in the plan, where everybody can read it; use a file, or a variable: $(NAME)',
  ],
  'a token as a step’s name, and in a command': [
    `steps:
  - { name: ghp_CanaryCanaryCanaryCanaryCanary123456, command: [x] }
  - { name: b, command: [x, "hvs.CAESIKq7ZxWm9TrhV4pdB8sQz"], needs: xoxb-1234567890-Kq7ZxWm9TrhV4 }
  - { name: glpat-rotation-2, command: [x] }
`,
    'plan.yaml has 4 mistakes',
    'plan.yaml:2:13: name: a token stands in the plan, where everybody can read it; use a file, or a variable: $(NAME)',
    'plan.yaml:3:29: command: a token stands in the plan, where everybody can read it; use a file, or a variable: $(NAME)',
    expect.stringContaining('plan.yaml:3:70: needs: a token stands in the plan') as string,
    'plan.yaml:3:70: step "b" needs (what stands there looks like a secret), and no step has that name',
  ],
  'names that are none, and may be secrets': [
    `steps:
  - { name: ${'correct-horse-battery-staple-'.repeat(4)}, command: [x] }
  - { name: "# created: 2024\\n# public key: age1xyz\\nAGE-SECRET-KEY-1QQPQZ3CANARYCANARYCANARYCANARYCANARYCANARYCANARY77", command: [x] }
  - { name: c, command: [x], when: "${'correct-horse-battery-staple-'.repeat(4)}" }
`,
    'plan.yaml has 3 mistakes',
    expect.stringMatching(/^plan\.yaml:2:13: \(a text of 116 characters\) is not a valid name/) as string,
    expect.stringMatching(
      /^plan\.yaml:3:13: \(what stands there looks like a secret\) is not a valid name/,
    ) as string,
    expect.stringMatching(/^plan\.yaml:4:\d+: when: \(a text of 116 characters\) is not the name/) as string,
  ],
  'one half of a character': [
    '{"steps": [{"name": "a", "command": ["echo", "\\ud800"]}]}',
    expect.stringMatching(/^plan\.yaml:1:46: this text has one half of a character/) as string,
  ],
  'a program that is a reference, under the lock and alone': [
    `steps:
  - { name: a, command: ["$(X)"] }
  - { name: b, uses: migrate-with-lock, command: ["$(X)"] }
`,
    'plan.yaml has 2 mistakes',
    expect.stringContaining('plan.yaml:2:26: command cannot be used: the variable X') as string,
    expect.stringContaining('plan.yaml:3:51: command cannot be used: the variable X') as string,
  ],
  'lists that must not be empty': [
    `steps:
  - { name: a, uses: copy, sources: [], destination: /b }
  - { name: b, uses: chown, owner: 1, paths: [] }
`,
    'plan.yaml has 2 mistakes',
    expect.stringMatching(/^plan\.yaml:2:37: step "a": sources: must not be empty: /) as string,
    expect.stringMatching(/^plan\.yaml:3:46: step "b": paths: must not be empty: /) as string,
  ],
  'a step that needs itself': [
    'steps:\n  - { name: a, command: [x], needs: a }\n',
    'plan.yaml:2:37: step "a" needs itself',
  ],
  'an unknown step in needs, with the nearest': [
    'steps:\n  - { name: database, command: [x] }\n  - { name: b, command: [x], needs: [databse] }\n',
    'plan.yaml:3:38: step "b" needs "databse", and no step has that name; did you mean database?',
  ],
  'two steps of one name': [
    'steps:\n  - { name: a, command: [x] }\n  - { name: a, command: [x] }\n',
    'plan.yaml:3:13: two steps are named "a"; the first is in line 2',
  ],
  'an unknown key of a command': [
    'steps:\n  - name: a\n    uses: wait-tcp\n    targets: db:1\n    stable_for: 3s\n',
    'plan.yaml:5:5: step "a": unknown key "stable_for"; did you mean stable-for?',
  ],
  'an unknown key of any command’s step': [
    'steps:\n  - name: a\n    command: [x]\n    retrys: 3\n',
    'plan.yaml:4:5: step "a": unknown key "retrys"; did you mean retries?',
  ],
  'an unknown key of the plan': [
    'step:\n  - { name: a, command: [x] }\n',
    'plan.yaml has 2 mistakes',
    'plan.yaml:1:1: the plan: "steps" is missing',
    'plan.yaml:1:1: the plan: unknown key "step"; did you mean steps?',
  ],
  'an unknown command': [
    'steps:\n  - name: a\n    uses: wait-tpc\n    targets: db:1\n',
    expect.stringMatching(
      /^plan\.yaml:3:11: step "a": uses: must be one of wait, wait-tcp, .*; did you mean wait-tcp\?$/,
    ) as string,
  ],
  'a command that is no step': [
    'steps:\n  - name: a\n    uses: run\n',
    expect.stringMatching(/^plan\.yaml:3:11: step "a": uses: must be one of /) as string,
  ],
  'a list where one value is taken': [
    'steps:\n  - name: a\n    command: [x]\n    timeout: [5m]\n',
    'plan.yaml:4:14: step "a": timeout: expected a string or a number, got a list: the time for everything together; 0 disables it',
  ],
  'text where a switch is': [
    'steps:\n  - name: a\n    uses: wait-tcp\n    targets: db:1\n    any: "yes"\n',
    'plan.yaml:5:10: step "a": any: expected true or false, got a string: one of the targets is enough',
  ],
  'nothing where a value is': [
    'steps:\n  - name: a\n    command: [x]\n    when:\n',
    expect.stringMatching(/^plan\.yaml:4:\d+: when: nothing is written here; write the name of a /) as string,
  ],
  'a command in one piece': [
    'steps:\n  - name: a\n    command: ./migrate --all\n',
    'plan.yaml:3:14: step "a": command: expected a list, got a string: the command and its arguments',
  ],
  'nothing where a word of a command is': [
    'steps:\n  - name: a\n    command: [echo, ~]\n',
    'plan.yaml:3:21: step "a": command: entry 2: expected a string or a number or true or false, got nothing',
  ],
  'a NUL in a word of a command': [
    'steps:\n  - name: a\n    command: [echo, "a\\0b"]\n',
    'plan.yaml:3:21: command: it holds a NUL (\\0), which no argument or path can',
  ],
  'a text where a step is, said once': [
    'steps:\n  - wait-tcp\n',
    'plan.yaml:2:5: step 1: expected a mapping, got a string: a step: its name, what it does, and what it needs',
  ],
  'nothing where a step is': [
    'steps:\n  - { name: a, command: [x] }\n  -\n',
    expect.stringMatching(/^plan\.yaml:\d+:\d+: step 2: expected a mapping, got nothing: a step: /) as string,
  ],
  'an empty command': [
    'steps:\n  - name: a\n    command: []\n',
    'plan.yaml:3:14: step "a": command: must not be empty: the command and its arguments',
  ],
  'a step without a command': ['steps:\n  - name: a\n', 'plan.yaml:2:5: step "a": "command" is missing'],
  'a step without a name': ['steps:\n  - command: [x]\n', 'plan.yaml:2:5: step 1: "name" is missing'],
  'a value that the option refuses': [
    'steps:\n  - name: a\n    command: [x]\n    timeout: 5 minutes\n',
    'plan.yaml:4:14: timeout: "5 minutes" is not a duration; write a duration such as 500ms, 30s, 5m or 1h30m; a bare number is seconds',
  ],
  'a target that is none': [
    'steps:\n  - name: a\n    uses: wait-tcp\n    targets:\n      - db:1\n      - db:99999\n',
    'plan.yaml:6:9: targets: the port "99999" in "db:99999" is not a whole number from 1 to 65535',
  ],
  'several values of one list, each by its own place': [
    `steps:
  - { name: a, uses: wait-tcp, targets: ["db:99999", "host", "db:1", "db:x"] }
  - { name: b, uses: wait-dns, names: [a..b, db, "db:5"] }
  - { name: c, uses: wait-http, urls: ["ftp://h/", "api", "http://h/#x"] }
  - { name: d, uses: copy, sources: ["/a/$(X)", /b, "/c/$(Y)"], destination: "/d/$(Z)" }
  - { name: e, uses: chown, owner: "a:b:c", paths: ["", /b, "/c/$(Y)"] }
  - { name: f, uses: fetch-config, sources: ["x:1", "env:HOME", "y:2"], to: /dev/shm/x }
  - { name: g, uses: render, templates: ["-", "/c/$(Y)"], to: /dev/shm/x/ }
  - { name: h, uses: wait-postgres, urls: ["$(X)", "http://h/"] }
`,
    'plan.yaml has 20 mistakes',
    expect.stringContaining('plan.yaml:2:42: targets: the port "99999"') as string,
    expect.stringContaining('plan.yaml:2:54: targets: "host" has no port') as string,
    expect.stringContaining('plan.yaml:2:70: targets: the port in the target is not') as string,
    expect.stringContaining('plan.yaml:3:40: names: "a..b" is not a DNS name') as string,
    expect.stringContaining('plan.yaml:3:50: names: "db:5" has a port') as string,
    expect.stringContaining('plan.yaml:4:40: urls: ftp:// is not supported') as string,
    expect.stringContaining('plan.yaml:4:52: urls: "api" has no scheme') as string,
    expect.stringContaining('plan.yaml:4:59: urls: the URL has a # in it') as string,
    expect.stringContaining('plan.yaml:5:38: sources cannot be used: the variable X') as string,
    expect.stringContaining('plan.yaml:5:53: sources cannot be used: the variable Y') as string,
    expect.stringContaining('plan.yaml:5:78: destination cannot be used: the variable Z') as string,
    expect.stringContaining('plan.yaml:6:36: owner: "a:b:c" has more than one colon') as string,
    expect.stringContaining('plan.yaml:6:53: paths: the path is empty') as string,
    expect.stringContaining('plan.yaml:6:61: paths cannot be used: the variable Y') as string,
    expect.stringContaining('plan.yaml:7:46: sources: unknown scheme "x"') as string,
    expect.stringContaining('plan.yaml:7:65: sources: unknown scheme "y"') as string,
    expect.stringContaining('plan.yaml:8:42: templates: the template: - does not stand') as string,
    expect.stringContaining(
      'plan.yaml:8:47: templates: the template cannot be used: the variable Y',
    ) as string,
    expect.stringContaining('plan.yaml:9:44: urls: the URL cannot be used: the variable X') as string,
    expect.stringContaining('plan.yaml:9:52: urls: the URL is a http: URL') as string,
  ],
  'a target too few': [
    'steps:\n  - name: a\n    uses: wait-tcp\n',
    'plan.yaml:2:5: step "a": no target was given; for example: targets: postgres-service:5432',
  ],
  'a tab': [
    'steps:\n  - name: a\n\tcommand: [x]\n',
    'plan.yaml:3:1: a tab stands where YAML takes only spaces',
  ],
  'a key given twice': [
    'steps:\n  - name: a\n    command: [x]\n    command: [y]\n',
    'plan.yaml:4:5: this key is there twice',
  ],
  'several keys given twice': [
    'steps:\n  - name: a\n    name: b\n    command: [x]\n  - name: c\n    command: [y]\n    name: d\n',
    'plan.yaml has 2 mistakes',
    'plan.yaml:3:5: this key is there twice',
    'plan.yaml:7:5: this key is there twice',
  ],
  'an alias bomb': [
    `a: &a [x, x, x, x, x, x, x, x, x, x]
b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]
c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]
d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]
e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]
steps: [*e]
`,
    'plan.yaml:5:7: its aliases (*name) multiply beyond all bounds',
  ],
  'an alias inside of its anchor': [
    'steps: &a\n  - *a\n',
    expect.stringMatching(/^plan\.yaml:\d+:\d+: an alias stands inside of what it names$/) as string,
  ],
  'an alias of nothing': ['steps:\n  - *a\n', expect.stringMatching(/^plan\.yaml:2:\d+: /) as string],
  'nested without end': [
    `steps: ${'['.repeat(50_000)}`,
    expect.stringMatching(/^plan\.yaml:\d+:\d+: /) as string,
  ],
  'a type of YAML’s own': [
    'steps:\n  - name: a\n    command: !!binary aGVsbG8=\n',
    expect.stringMatching(/^plan\.yaml:3:\d+: /) as string,
  ],
  'a second document': [
    'steps:\n  - { name: a, command: [x] }\n---\nsteps: []\n',
    'plan.yaml:3:1: a second document (---) begins here; one is taken',
  ],
  'nothing at all': ['', 'plan.yaml:1:1: the plan is empty; write steps: and a list of them'],
  'only a comment': [
    '# nothing yet\n',
    expect.stringMatching(/^plan\.yaml:\d+:\d+: the plan is empty/) as string,
  ],
  'no steps': [
    'steps: []\n',
    'plan.yaml:1:8: steps: must not be empty: what is to be done; steps start at once, or when all that they need is done',
  ],
  'a list': ['- name: a\n', 'plan.yaml:1:1: the plan: expected a mapping, got a list'],
  'JSON cut short': ['{"steps": [{"name": "a"', expect.stringMatching(/^plan\.yaml:1:\d+: /) as string],
  '1,000 steps': [
    `steps:\n${Array.from({ length: 1000 }, (_, index) => `  - { name: s${index}, command: [x] }\n`).join('')}`,
    'plan.yaml:2:3: steps: has 1000 entries; at most 200 are allowed',
  ],
  'mistakes of shape, of values and between steps, all at once': [
    [
      'steps:',
      '  - { name: a, uses: wait-tcp, targets: [db:99999] }',
      '  - { name: a, command: [x], retry: 3 }',
      '  - { name: b, command: [x], needs: [databse, c] }',
      '  - { name: c, command: [x], needs: b, timeout: soon }',
      '  - { name: database, uses: wait-tpc, needs: database }',
      'keep: true',
      '',
    ].join('\n'),
    'plan.yaml has 9 mistakes',
    'plan.yaml:2:42: targets: the port "99999" in "db:99999" is not a whole number from 1 to 65535',
    'plan.yaml:3:13: two steps are named "a"; the first is in line 2',
    'plan.yaml:3:30: step "a": unknown key "retry"; did you mean retries?',
    'plan.yaml:4:38: step "b" needs "databse", and no step has that name; did you mean database?',
    'plan.yaml:5:37: dependency cycle: b → c → b',
    'plan.yaml:5:49: timeout: "soon" is not a duration; write a duration such as 500ms, 30s, 5m or 1h30m; a bare number is seconds',
    expect.stringMatching(
      /^plan\.yaml:6:29: step "database": uses: must be one of .*; did you mean wait-tcp\?$/,
    ) as string,
    'plan.yaml:6:46: step "database" needs itself',
    'plan.yaml:7:1: the plan: unknown key "keep"; did you mean keep-going?',
  ],
  'a name with odd characters': [
    'steps:\n  - { name: "a b", command: [x] }\n  - { name: "../x", command: [x] }\n  - { name: "a\\e[31m", command: [x] }\n  - { name: "", command: [x] }\n',
    'plan.yaml has 4 mistakes',
    expect.stringMatching(
      /^plan\.yaml:2:13: "a b" is not a valid name; a step’s name has 1 to 63 letters/,
    ) as string,
    expect.stringMatching(/^plan\.yaml:3:13: "..\/x" is not a valid name/) as string,
    expect.stringMatching(
      /^plan\.yaml:4:13: \(a text of 6 characters, some of them unseen\) is not a valid name/,
    ) as string,
    expect.stringMatching(/^plan\.yaml:5:13: "" is not a valid name/) as string,
  ],
  'a name and a choice that are none, in a plan that is misshapen: each told once': [
    `steps:
  - { name: "a b", command: [x] }
  - { name: c, uses: wait-dns, names: db, type: XX }
  - { name: d, command: [x], retry: 3 }
`,
    'plan.yaml has 3 mistakes',
    expect.stringMatching(/^plan\.yaml:2:13: "a b" is not a valid name; /) as string,
    'plan.yaml:3:49: type: "XX" is not one of A, AAAA, SRV, CNAME, TXT, MX, NS',
    'plan.yaml:4:30: step "d": unknown key "retry"; did you mean retries?',
  ],
  'a user that is none': [
    'steps:\n  - { name: a, command: [x], user: postgres }\n',
    'plan.yaml:2:36: user: "postgres" is not a user; write its number, or UID:GID, such as 1000:1000',
  ],
  'a when that is no variable': [
    'steps:\n  - { name: a, command: [x], when: $RUN }\n',
    'plan.yaml:2:36: when: "$RUN" is not the name of an environment variable',
  ],
};

/** What only several keys together tell. */
const unfit: Readonly<Record<string, readonly [lines: string, mistake: string]>> = {
  'nothing under the lock': [
    'uses: migrate-with-lock',
    'no command given; write for example: command: [./migrate, --target=latest]',
  ],
  'two things under the lock': [
    'uses: migrate-with-lock\n    sql: /m\n    command: [./migrate]',
    'a command and sql were given; use one of them',
  ],
  'nowhere to write': [
    'uses: fetch-config\n    sources: vault:secret/a',
    'nothing says where to write: give to: PATH, or env with a command after -- of run, or spec: FILE',
  ],
  'an environment of nothing': [
    'uses: fetch-config\n    sources: vault:secret/a\n    env: true',
    'env needs the command whose environment is meant: sources: SOURCE, env: true, and -- ./server for run',
  ],
  'a template for nowhere': ['uses: render\n    templates: /t', 'nothing says where to write: give to: PATH'],
  'an owner of nothing': ['uses: chown\n    owner: 1000', '"paths" is missing'],
  'a path for nobody': ['uses: chown\n    paths: /d', '"owner" is missing'],
  'a destination of nothing': ['uses: copy\n    destination: /b', '"sources" is missing'],
  'no template': ['uses: render\n    to: /x', '"templates" is missing'],
  'no name': ['uses: wait-dns', 'no name was given; '],
};

test.each(Object.entries(unfit))('%s', async (_name, [lines, mistake]) => {
  const mistakes = await mistakesOf(`steps:\n  - name: a\n    ${lines}\n`);
  expect(mistakes).toEqual([expect.stringContaining(`plan.yaml:2:5: step "a": ${mistake}`) as string]);
});

test.each(Object.entries(refused))('%s', async (_name, [plan, ...mistakes]) => {
  expect(await mistakesOf(plan)).toEqual(mistakes);
});

test('a user without root', async () => {
  expect(await mistakesOf('steps:\n  - name: a\n    command: [x]\n    user: 1000\n', { uid: 1000 })).toEqual([
    'plan.yaml:4:11: user: only root can become another user, and this is UID 1000 (set runAsUser: 0 for this container)',
  ]);
});

test('many mistakes are told at once, in their order, fifty at most', async () => {
  const steps = Array.from(
    { length: 60 },
    (_, index) => `  - { name: s${index}, command: [x], timeout: soon }\n`,
  );
  const mistakes = await mistakesOf(`steps:\n${steps.join('')}`);
  expect(mistakes[0]).toBe('plan.yaml has 60 mistakes');
  expect(mistakes.slice(1, 51).map((mistake) => mistake.split(':')[1])).toEqual(
    Array.from({ length: 50 }, (_, index) => `${index + 2}`),
  );
  expect(mistakes.slice(51)).toEqual(['and 10 more']);
});

describe('secrets inline in a plan', () => {
  const step = (lines: string): string => `steps:\n  - name: a\n    ${lines}\n`;

  test.each([
    [
      'a URL with a password',
      step('uses: wait-tcp\n    targets: postgres://app:hunter2@db:5432/app'),
      '4:14',
    ],
    [
      'a URL with a raw @ in its password',
      step('uses: wait-tcp\n    targets: [x:1, "redis://:p@ss/w@db:1"]'),
      '4:20',
    ],
    ['a URL in a command', step('command: [psql, "postgres://app:hunter2@db/app"]'), '3:21'],
    ['a flag with a password', step('command: [mysql, --password=hunter2]'), '3:22'],
    ['a flag and its password', step('command: [tool, --db-password, hunter2]'), '3:36'],
    ['a variable with a password', step('command: [env, PGPASSWORD=hunter2, psql]'), '3:20'],
    ['a token in a script', step('command: [sh, -c, "API_TOKEN=hunter2 ./go"]'), '3:23'],
    ['a header', step('command: [curl, -H, "Authorization: Bearer hunter2", api]'), '3:25'],
    ['a header of one’s own', step('command: [curl, --header, "X-Vault-Token: hunter2"]'), '3:31'],
    [
      'a private key',
      step(
        'command:\n      - ./go\n      - |\n        -----BEGIN EC PRIVATE KEY-----\n        hunter2\n        -----END EC PRIVATE KEY-----',
      ),
      '5:9',
    ],
    ['a keyword of libpq', step('command: [psql, "host=db user=app password=hunter2"]'), '3:21'],
    [
      'a parameter of a URL',
      step('uses: wait-postgres\n    urls: postgres://app@db/app?password=hunter2'),
      '4:11',
    ],
    [
      'a header’s value in place of its variable',
      step('uses: wait-http\n    urls: http://a/\n    header-env: X-Api-Key=hunter2-9'),
      '5:17',
    ],
    ['a password behind a reference', step('command: [psql, "token=$(T) password=hunter2"]'), '3:21'],
    [
      'a variable of a template',
      step('uses: render\n    templates: /t\n    to: /o\n    var: [token=hunter2]'),
      '6:11',
    ],
  ])('%s is refused, and not printed', async (_name, plan, place) => {
    const mistakes = await mistakesOf(plan);
    expect(mistakes).toEqual([
      expect.stringContaining(
        'in the plan, where everybody can read it; use a file, or a variable',
      ) as string,
    ]);
    expect(mistakes[0]).toMatch(new RegExp(`^plan.yaml:${place}: `));
    expect(mistakes[0]).not.toMatch(/hunter2|ss\/w/);
  });

  test('a secret’s value where its file’s path belongs', async () => {
    expect(
      await mistakesOf(step('uses: migrate-with-lock\n    database-url: postgres://app@db/app\n    sql: /m')),
    ).toEqual([
      'plan.yaml:4:5: step "a": unknown key "database-url": a secret cannot be written here; give the path of its file with database-url-file',
    ]);
  });

  test.each([
    ['a variable', 'uses: wait-tcp\n    targets: $(DATABASE_URL)'],
    ['a variable in a command', 'command: [mysql, --password=$(DB_PASSWORD)]'],
    ['a shell’s variable', 'command: [sh, -c, "PGPASSWORD=$$PW psql"]'],
    ['a file', 'command: [tool, --password-file=/run/secret, --token-file, /run/token]'],
    ['a flag that has no value', 'command: [psql, --no-password, -h, db]'],
    ['a URL with a user alone', 'command: [psql, "postgres://app@db/app"]'],
    ['a header from a variable', 'command: [curl, -H, "Authorization: Bearer $(TOKEN)", api]'],
    ['a header that is no secret', 'command: [curl, -H, "Accept: text/plain", api]'],
    [
      'a header and the name of its variable',
      'uses: wait-http\n    urls: http://a/\n    header-env: X-Api-Key=PARTNER_KEY',
    ],
    [
      'several of them',
      'uses: fetch-config\n    sources: http://a/\n    to: /o\n    header-env: [X-Auth-Token=partnertoken, X-Vault-Token=T]',
    ],
    ['one in a URL', 'uses: wait\n    targets: "temporal://a:7233?header-env=x-auth-token=PARTNER_KEY"'],
    ['one in a command', 'command: [initbox, wait-http, --header-env, X-Api-Key=PARTNER_KEY, http://a/]'],
    [
      'one in a word of a command',
      'command: [initbox, wait-http, --header-env=X-Api-Key=PARTNER_KEY, http://a/]',
    ],
    [
      'a source with a secret’s name',
      'uses: render\n    templates: /t\n    to: /o\n    data: [token=/run/secrets/t.json, "password=vault:secret/db#password"]',
    ],
    ['prose', 'command: [echo, "the token is fetched: wait"]'],
    [
      'a header’s variable in a place for anchors',
      'command: [x]\nx-common: { header-env: [X-Api-Key=PARTNER_KEY] }',
    ],
  ])('%s is taken', async (_name, lines) => {
    const environment = {
      DATABASE_URL: 'postgres://app:hunter2@db:5432/app',
      DB_PASSWORD: 'x',
      PARTNER_KEY: 'x',
      partnertoken: 'x',
      T: 'x',
      VAULT_ADDR: 'https://v:8200',
      VAULT_TOKEN: 'x',
    };
    expect((await read(step(lines), { environment })).steps).toHaveLength(1);
  });
});

test.each([
  [
    'uses: install\n    directory: [/s, /t]',
    'plan.yaml:4:16: step "a": directory: expected a string or a number, got a list',
  ],
  [
    'uses: wait-dns\n    service: a.b.c',
    'plan.yaml:4:14: service: "a.b.c" is not NAME or NAME.NAMESPACE of a Service; give a longer name as a plain one: names: a.b.c',
  ],
  ['command: [x]\n    needs: ""', 'plan.yaml:4:12: needs is empty'],
])('%j is told once, in the words of a plan', async (lines, mistake) => {
  const mistakes = await mistakesOf(`steps:\n  - name: a\n    ${lines}\n`);
  expect(mistakes).toEqual([expect.stringContaining(mistake) as string]);
});
