// What `when` says is judged before its step is checked, where variables alone tell.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

import { commands } from '../../../../src/commands/index.ts';
import { whyLeftOut } from '../../../../src/commands/run/condition.ts';
import { planSchema } from '../../../../src/commands/run/schema.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { mistakesOf, read } from './read.ts';

const plan = (when: string, step = 'command: [x]'): string =>
  `steps:\n  - name: a\n    ${step}\n    when: ${when}\n`;

const environment = { MODE: 'worker', EMPTY: '', SAME: 'worker', DIR: '/srv', SECRET: 'hunter2-hunter2' };
const leftOut = async (when: string) => (await read(plan(when), { environment })).steps[0]?.when?.leftOut;

test.each<readonly [when: string, leftOut: string | undefined]>([
  ['MODE', undefined],
  ['EMPTY', 'EMPTY is not set'],
  ['NONE', 'NONE is not set'],
  ['constructor', 'constructor is not set'],
  ['{ not: MODE }', 'MODE is set'],
  ['{ not: NONE }', undefined],
  ['{ variable: MODE }', undefined],
  ['{ not: { variable: MODE } }', 'MODE is set'],
  ['{ variable: MODE, equals: worker }', undefined],
  ['{ variable: MODE, equals: web }', 'MODE is not "web"'],
  ['{ variable: MODE, equals: $(SAME) }', undefined],
  ['{ variable: MODE, equals: $(SECRET) }', 'MODE is not "$(SECRET)"'],
  ['{ variable: NONE, equals: "" }', undefined],
  ['{ not: { variable: MODE, equals: worker } }', 'MODE is "worker"'],
  ['{ variable: MODE, matches: "^(worker|cron)$" }', undefined],
  ['{ variable: MODE, matches: ^web }', 'MODE does not match ^web'],
  ['{ not: { variable: MODE, matches: ork } }', 'MODE matches ork'],
  ['[MODE, { variable: MODE, equals: worker }]', undefined],
  ['[MODE, { variable: MODE, equals: web }, NONE]', 'MODE is not "web"'],
  ['[{ path: /nonexistent }, NONE]', 'NONE is not set'],
])('%s: left out since %j', async (when, why) => {
  expect(await leftOut(when)).toBe(why);
});

test.each<readonly [when: string, mistake: string]>([
  ['X-Y', '4:11: when: "X-Y" is not the name of an environment variable'],
  ['[]', '4:11: when: the list is empty; write the name of a variable, or a condition'],
  ['null', '4:11: when: nothing is written here'],
  ['{}', '4:11: when: the condition is empty'],
  ['[[MODE]]', '4:12: when: a list stands within a list'],
  ['{ varable: MODE }', '4:13: when: unknown key "varable"; did you mean variable?'],
  ['{ equals: MODE }', '4:13: when: unknown key "equals"; known are variable, path, empty, file, not'],
  ['{ variable: MODE, equal: x }', '4:29: when: unknown key "equal" beside variable; did you mean equals?'],
  ['{ variable: MODE, contains: x }', '4:29: when: unknown key "contains" beside variable'],
  ['{ variable: X-Y }', '4:23: when: "X-Y" is not the name of a variable'],
  ['{ variable: MODE, equals: [a] }', '4:37: when: equals: expected a string or a number, got a list'],
  ['{ variable: MODE, equals: ~ }', '4:37: when: equals: expected a string or a number, got nothing'],
  ['{ variable: MODE, equals: $(NONE) }', '4:37: when: equals cannot be used: the variable NONE'],
  ['{ variable: MODE, matches: "(" }', '4:38: when: matches: Unterminated group'],
  ['{ variable: MODE, equals: a, matches: b }', '4:40: when: equals and matches cannot be combined'],
  ['{ variable: MODE, path: /x }', '4:29: when: variable and path are two conditions; write a list of both'],
  ['{ path: "" }', '4:19: when: path is empty'],
  ['{ path: /srv/$(NONE) }', '4:19: when: path cannot be used: the variable NONE'],
  ['{ file: /x }', '4:11: when: file needs contains or matches beside it'],
  ['{ file: /x, contains: "" }', '4:33: when: contains: the text is empty'],
  ['{ not: [MODE] }', '4:18: when: not takes one condition'],
  ['{ not: { not: MODE } }', '4:18: when: not stands within not'],
  ['{ not: MODE, path: /x }', '4:24: when: path stands beside not'],
  [`[${'MODE, '.repeat(21)}]`, '4:11: when: 21 conditions; at most 20 are allowed'],
  ['{ variable: DB_PASSWORD, equals: hunter2 }', '4:44: when: a value for DB_PASSWORD stands in the plan'],
  ['{ variable: LONG, matches: "^(a+)+$" }', '4:11: when LONG matches ^(a+)+$: it takes longer than 100ms'],
])('%s is refused once, with its place', async (when, mistake) => {
  const long = { ...environment, LONG: `${'a'.repeat(60)}!` };
  // What the step needs is no business of a condition that cannot be read.
  const found = await mistakesOf(plan(when, 'uses: wait-postgres'), { environment: long });
  expect(found).toEqual([expect.stringContaining(mistake)]);
});

describe('a step that is left out', () => {
  test.each([
    'uses: wait-postgres',
    'uses: wait-tcp\n    targets: $(HOST):5432',
    'uses: wait-tcp\n    targets: [$(HOST):5432, db:1]',
    'uses: wait-tcp\n    targets: db:1\n    timeout: $(HOW_LONG)',
    'uses: wait-tcp\n    targets: db:1\n    user: $(USER_ID)',
    'uses: copy\n    sources: /srv/$(A)\n    destination: /b/$(B)',
    'uses: chown\n    owner: $(OWNER)\n    paths: /data',
    'uses: wait-http\n    urls: http://api/\n    header-env: [X=UNSET]',
    'uses: fetch-config\n    sources: env:NOPE\n    to: /dev/shm/$(X)',
    'uses: wait-postgres\n    database-url-file: /run/$(X)',
    'uses: migrate-with-lock\n    command: [$(TOOL)]\n    once: $(DIGEST)',
    'command: [$(TOOL)]\n    user: "1000"',
  ])('needs nothing of what %j names', async (step) => {
    const steps = (when: string) => read(plan(when, step), { environment, uid: 1000 });
    expect((await steps('NONE')).steps[0]?.when?.leftOut).toBe('NONE is not set');
    await expect(steps('MODE')).rejects.toThrow(/plan\.yaml:/);
  });

  test.each<readonly [step: string, mistake: string]>([
    ['uses: wait-tcp\n    targets: [$(HOST):1, db]', 'plan.yaml:4:26: targets: "db" has no port'],
    ['uses: wait-tcp\n    targets: db:1\n    timout: 3s', 'unknown key "timout"; did you mean timeout?'],
    ['uses: wait-tcp\n    targets: db:1\n    interval: 3x', 'interval: "3x" is not a duration'],
    ['uses: wait-tcp\n    targets: db:1\n    needs: b', 'needs "b", and no step has that name'],
    ['uses: wait-http\n    urls: http://api/\n    cert-file: /c', 'cert-file needs key-file beside it'],
    ['command: [echo, --password=hunter2]', 'a value for --password stands in the plan'],
  ])('%j is wrong all the same', async (step, mistake) => {
    expect(await mistakesOf(plan('NONE', step), { environment })).toEqual([expect.stringContaining(mistake)]);
  });

  test('by files is checked like any other', async () => {
    expect(await mistakesOf(plan('{ path: /nonexistent }', 'uses: wait-postgres'), { environment })).toEqual([
      expect.stringContaining('no database was named'),
    ]);
  });
});

describe('files', () => {
  const folder = temporaryDirectory('when').path;
  const at = (name: string) => join(folder, name);
  mkdirSync(at('empty/lost+found'), { recursive: true });
  mkdirSync(at('full'));
  writeFileSync(at('full/x'), 'version=3.1\n');
  writeFileSync(at('long'), `${'a'.repeat(60)}!`);
  writeFileSync(at('large'), Buffer.alloc((1 << 20) + 1));
  symlinkSync(at('full/x'), at('link'));

  const later = async (when: string) => {
    const [step] = (await read(plan(when), { environment: { DIR: folder } })).steps;
    expect(step?.when?.leftOut).toBe(undefined);
    return whyLeftOut(step?.when?.later ?? [], new AbortController());
  };

  test.each<readonly [when: string, leftOut: string | undefined]>([
    ['{ path: $(DIR)/full/x }', undefined],
    ['{ path: $(DIR)/full }', undefined],
    ['{ path: $(DIR)/none }', '$(DIR)/none is not there'],
    ['{ path: $(DIR)/full/x/y }', '$(DIR)/full/x/y is not there'],
    ['{ path: $(DIR)/link }', undefined],
    ['{ not: { path: $(DIR)/none } }', undefined],
    ['{ not: { path: $(DIR)/full } }', '$(DIR)/full is there'],
    ['{ empty: $(DIR)/empty }', undefined],
    ['{ empty: $(DIR)/none }', undefined],
    ['{ empty: $(DIR)/full }', '$(DIR)/full is not empty'],
    ['{ not: { empty: $(DIR)/empty } }', '$(DIR)/empty is empty'],
    ['{ file: $(DIR)/full/x, contains: version=3 }', undefined],
    ['{ file: $(DIR)/full/x, contains: 4 }', '$(DIR)/full/x does not hold "4"'],
    ['{ file: $(DIR)/none, contains: 4 }', '$(DIR)/none does not hold "4"'],
    ['{ not: { file: $(DIR)/none, contains: 4 } }', undefined],
    ['{ file: $(DIR)/full/x, matches: "^version=\\\\d" }', undefined],
    ['{ not: { file: $(DIR)/full/x, matches: version } }', '$(DIR)/full/x matches version'],
    ['[{ path: $(DIR)/full }, { empty: $(DIR)/full }]', '$(DIR)/full is not empty'],
    ['[DIR, { path: $(DIR)/full }]', undefined],
  ])('%s: left out since %j', async (when, why) => {
    expect(await later(when)).toBe(why);
  });

  test.each([
    ['{ empty: $(DIR)/full/x }', /full\/x is not a folder/],
    ['{ file: $(DIR)/full, contains: x }', /full is not a regular file: it is a directory/],
    ['{ file: $(DIR)/large, contains: x }', /large has more than the limit of 1/],
    ['{ file: /dev/zero, contains: x }', /\/dev\/zero is not a regular file: it is a device/],
    ['{ file: $(DIR)/long, matches: "^(a+)+$" }', /takes longer than 100ms/],
  ])('%s cannot be told', async (when, why) => {
    await expect(later(when)).rejects.toThrow(why);
  });
});

test.each<readonly [when: string, right: boolean]>([
  ['MODE', true],
  ['{ variable: MODE }', true],
  ['{ variable: MODE, equals: 1 }', true],
  ['[MODE, { not: { file: /x, matches: y } }]', true],
  ['{ empty: /x }', true],
  ['X-Y', false],
  ['true', false],
  ['[]', false],
  ['[[MODE]]', false],
  ['{ file: /x }', false],
  ['{ path: /x, equals: y }', false],
  ['{ variable: MODE, equals: a, matches: b }', false],
  ['{ not: { not: MODE } }', false],
  ['{ not: [MODE] }', false],
])('%s: the schema and run say the same, %s', async (when, right) => {
  const validate = new Ajv({ strict: false }).compile(await planSchema(commands));
  expect(validate(parse(plan(when)))).toBe(right);
  const taken = read(plan(when)).then(
    () => true,
    () => false,
  );
  expect(await taken).toBe(right);
});

test('defaults come in by merge keys from a place that is not read', async () => {
  const text = `x-defaults: &defaults
  retries: 3
  when: MODE
x-other: { steps: nonsense, timeout: [1] }
steps:
  - <<: *defaults
    name: a
    command: [x]
  - { <<: *defaults, name: b, command: [x], retries: 1 }
`;
  const { steps } = await read(text, { environment });
  expect(steps.map(({ retries, when }) => [retries, when?.words])).toEqual([
    [3, 'MODE is set'],
    [1, 'MODE is set'],
  ]);
  expect(await mistakesOf(text.replace('retries: 3', 'retries: many'))).toEqual([
    expect.stringContaining('plan.yaml:2:12: retries: "many" is not a whole number'),
  ]);
});
