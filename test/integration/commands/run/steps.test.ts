import {
  chmodSync,
  existsSync,
  lchownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startDnsServer, type DnsServer } from '../../../support/dns-server.ts';
import { freePort } from '../../../support/ports.ts';
import { runInitbox, runToDeadline, startInitbox, terminationLog } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { serve } from '../wait-http/servers.ts';
import { listen, planFile, runPlan, sh, startPlan, timeline, type Listener } from './plans.ts';

const notRoot = requireOrSkip(
  'steps as other users',
  process.getuid?.() === 0 ? undefined : 'only root can become another user',
);

let port: Listener;
let dns: DnsServer;
let closed: string;
beforeAll(async () => {
  port = await listen();
  dns = await startDnsServer();
  dns.answer('db.example', 'A', ['10.1.2.3']);
  closed = `127.0.0.1:${await freePort()}`;
});
afterAll(async () => {
  await port[Symbol.asyncDispose]();
  await dns[Symbol.asyncDispose]();
});

const folder = (): string => temporaryDirectory('run').path;

describe('a plan', () => {
  test.skipIf(notRoot)(
    'of waits, files, owners and commands runs in its order, then hands over with its PID',
    async () => {
      const dir = folder();
      writeFileSync(join(dir, 'source'), 'greeting=hello\n');
      const note = (word: string): string[] => sh(`echo ${word} >>${dir}/journal`);
      const started = await startPlan(
        [
          { name: 'app', command: note('app'), needs: ['owner', 'names'] },
          { name: 'port', uses: 'wait-tcp', targets: port.target },
          { name: 'names', uses: 'wait-dns', names: ['db.example'], server: dns.server, needs: 'port' },
          {
            name: 'fetch',
            uses: 'fetch-config',
            sources: `file:${dir}/source`,
            to: `${dir}/app.env`,
            'allow-disk': true,
          },
          { name: 'owner', uses: 'chown', owner: '1234:2345', paths: [`${dir}/app.env`], needs: ['fetch'] },
          { name: 'first', command: note('first') },
          { name: 'second', command: note('second'), needs: 'first' },
        ],
        ['--', '/bin/sh', '-c', `echo "$$ $(cat ${dir}/app.env)"`],
      );
      const { status, stdout, stderr } = await started.exit;
      expect({ status, stdout }, stderr).toEqual({ status: 0, stdout: `${started.pid} greeting=hello\n` });
      const journal = readFileSync(join(dir, 'journal'), 'utf8').trim().split('\n');
      expect(journal.toSorted()).toEqual(['app', 'first', 'second']);
      expect(journal.indexOf('first')).toBeLessThan(journal.indexOf('second'));
      const { uid, gid } = statSync(join(dir, 'app.env'));
      expect([uid, gid]).toEqual([1234, 2345]);
      expect(stderr).toMatch(/info {2}wait-tcp port: 127\.0\.0\.1:\d+ open/);
      expect(stderr).toMatch(/info {2}wait-dns names: db\.example is 10\.1\.2\.3/);
      const rows = timeline(stderr);
      expect(Object.keys(rows)).toEqual(['app', 'port', 'names', 'fetch', 'owner', 'first', 'second']);
      expect(Object.values(rows).every(({ result }) => result === 'done')).toBe(true);
    },
  );

  test('runs steps that do not need each other at the same time', async () => {
    const steps = Array.from({ length: 5 }, (_, index) => ({ name: `s${index}`, command: sh('sleep 2') }));
    const { status, milliseconds } = await runPlan(steps);
    expect(status).toBe(0);
    expect(milliseconds).toBeLessThan(9900);
  });

  const hi = [{ name: 'hi', command: ['echo', 'hi'] }];
  const plan = JSON.stringify({ steps: hi });

  test.each<[string, () => Promise<{ status: number | null; stdout: string; stderr: string }>]>([
    ['standard input', () => runInitbox(['run', '-'], { stdin: plan })],
    ['INITBOX_PLAN', () => runInitbox(['run'], { env: { INITBOX_PLAN: plan } })],
    ['a path in INITBOX_PLAN', () => runInitbox(['run'], { env: { INITBOX_PLAN: planFile(hi) } })],
    [
      'a bare name in INITBOX_PLAN',
      () => {
        const path = planFile(hi);
        return runInitbox(['run'], { env: { INITBOX_PLAN: basename(path) }, cwd: dirname(path) });
      },
    ],
    ['- in INITBOX_PLAN', () => runInitbox(['run'], { env: { INITBOX_PLAN: '-' }, stdin: plan })],
    [
      'a ConfigMap, whose files are links to links',
      () => {
        const mount = folder();
        mkdirSync(join(mount, '..2026_11_24'));
        writeFileSync(join(mount, '..2026_11_24', 'plan.yaml'), plan);
        symlinkSync('..2026_11_24', join(mount, '..data'));
        symlinkSync('..data/plan.yaml', join(mount, 'plan.yaml'));
        return runInitbox(['run', join(mount, 'plan.yaml')]);
      },
    ],
    [
      'a pipe that is a path',
      () => runInitbox(['run', '/dev/stdin'], { stdin: plan, prefix: ['/bin/sh', '-c', 'cat | "$0" "$@"'] }),
    ],
  ])('comes from %s', async (_source, run) => {
    const { status, stdout, stderr } = await run();
    expect({ status, stdout }, stderr).toEqual({ status: 0, stdout: 'hi\n' });
    expect(stderr).not.toMatch(/warn/);
  });

  test.each([
    [
      ['run', '/nowhere/plan.yaml'],
      /there is no plan \/nowhere\/plan\.yaml; is its ConfigMap mounted there\?/,
    ],
    [['run', '/'], /is a directory/],
    [['run'], /no plan was given/],
    [['run', 'a', 'b'], /2 words were given where one plan is taken/],
    [['run', '/dev/null'], /the plan \/dev\/null is not a regular file: it is a device/],
    [['run', '/dev/zero'], /the plan \/dev\/zero is not a regular file: it is a device/],
    [['plan-step'], /unknown command "plan-step"/],
    [['schema', 'plam'], /there is no schema "plam"; there are: .*plan/],
    [['schema'], /schema takes one name/],
  ])('%j is a usage error', async (args, message) => {
    const { status, stderr, stdout } = await runInitbox(args);
    expect(stderr).toMatch(message);
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
  });

  test('with a mistake runs nothing, and says what and where in the last words too', async () => {
    const dir = folder();
    const log = terminationLog();
    const path = planFile([
      { name: 'first', command: ['touch', join(dir, 'touched')] },
      { name: 'second', uses: 'wait-tcp', targets: ['db'], needs: 'frist' },
    ]);
    const { status, stderr } = await runInitbox(['run', path, '--termination-log', log.path]);
    expect(status).toBe(2);
    expect(existsSync(join(dir, 'touched'))).toBe(false);
    for (const text of [stderr, log.read()]) {
      expect(text).toContain(`${path}:1:`);
      expect(text).toContain('needs "frist", and no step has that name; did you mean first?');
      expect(text).toContain('targets: "db" has no port');
    }
  });

  test('--dry-run prints the graph, draws it, and runs nothing', async () => {
    const dir = folder();
    const { status, stdout, stderr } = await runPlan(
      [
        { name: 'a', command: ['touch', join(dir, 'touched'), '$(PASSWORD)'], timeout: '90s' },
        { name: 'b', uses: 'wait-tcp', targets: closed, needs: 'a', retries: 2, when: 'B' },
      ],
      ['--dry-run', '--', 'touch', join(dir, 'handed-over')],
      { env: { PASSWORD: 'hunter2-hunter2' } },
    );
    expect(stdout + stderr).not.toContain('hunter2');
    expect(JSON.parse(stdout)).toEqual({
      keepGoing: false,
      steps: [
        {
          name: 'a',
          command: ['touch', join(dir, 'touched'), '$(PASSWORD)'],
          needs: [],
          stage: 0,
          timeoutSeconds: 90,
          retries: 0,
          process: 'child',
        },
        {
          name: 'b',
          uses: 'wait-tcp',
          needs: ['a'],
          stage: 1,
          timeoutSeconds: 300,
          retries: 2,
          when: 'B',
          leftOut: 'B is not set',
          process: 'shared',
        },
      ],
    });
    expect(stderr).toMatch(/1 ── a: runs touch, at most 1m30s/);
    expect(stderr).toMatch(
      /2 ── b: wait-tcp, after a, when B is set, 2 retries, at most 5m, left out here: B is not set/,
    );
    expect(stderr).toMatch(/nothing was done, and so the command after -- is not started/);
    expect(readdirSync(dir)).toEqual([]);
    expect(status).toBe(0);
  });

  test('its schema is printed', async () => {
    const { status, stdout } = await runInitbox(['schema', 'plan']);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ type: 'object', required: ['steps'] });
  });

  test('JSON lines name the step', async () => {
    const { stderr } = await runPlan(
      [{ name: 'port', uses: 'wait-tcp', targets: port.target }],
      ['--log-format', 'json'],
    );
    const lines = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines).toContainEqual(
      expect.objectContaining({ command: 'wait-tcp', step: 'port', level: 'info' }),
    );
    expect(lines).toContainEqual(expect.objectContaining({ step_name: 'port', result: 'done', tries: 1 }));
  });
});

describe('a step that fails', () => {
  test('stops the others at once; what needs it is not run; nothing is half written', async () => {
    const dir = folder();
    const log = terminationLog();
    const path = planFile([
      { name: 'wait', uses: 'wait-tcp', targets: closed, timeout: 0 },
      { name: 'work', command: sh(`trap 'exit 3' TERM; touch ${dir}/started; sleep 60 & wait`) },
      {
        name: 'fetch',
        uses: 'fetch-config',
        sources: [`file:${dir}/missing`],
        to: `${dir}/app.conf`,
        'allow-disk': true,
        timeout: '1m',
      },
      {
        name: 'broken',
        command: sh(
          `while ! test -e ${dir}/started; do sleep 0.05; done; date +%s%3N >${dir}/failed; exit 7`,
        ),
      },
      { name: 'after', command: ['touch', join(dir, 'after')], needs: 'broken' },
    ]);
    const { status, stderr } = await runInitbox([
      'run',
      path,
      '--termination-log',
      log.path,
      '--',
      'echo',
      'over',
    ]);
    const ended = Date.now();
    expect(status, stderr).toBe(7);
    const failedAt = Number(readFileSync(join(dir, 'failed'), 'utf8'));
    expect(ended - failedAt).toBeLessThan(30_000);
    const at = (pattern: RegExp): number => Date.parse(pattern.exec(stderr)?.[1] ?? '');
    const failed = at(/^(\S+) error run broken: the command ended with exit status 7/m);
    for (const name of ['wait-tcp wait', 'run work', 'fetch-config fetch'])
      expect(at(new RegExp(`^(\\S+) info {2}${name}: stopped`, 'm')) - failed, name).toBeLessThanOrEqual(
        5_000,
      );
    expect(existsSync(join(dir, 'after'))).toBe(false);
    expect(existsSync(join(dir, 'app.conf'))).toBe(false);
    expect(timeline(stderr)).toMatchObject({
      wait: { result: 'stopped' },
      work: { result: 'stopped' },
      fetch: { result: 'stopped' },
      broken: { result: 'failed (7)' },
      after: { result: 'not run' },
    });
    expect(log.read()).toBe(
      'initbox run: step broken (/bin/sh) failed: the command ended with exit status 7\n  stopped with it: wait, work, fetch\n  not run: after',
    );
  });

  /** What lies where the file was to be. */
  const leftOfHalfABody = async (more: object): Promise<string[]> => {
    const dir = folder();
    const to = join(dir, 'config');
    mkdirSync(to);
    chmodSync(dir, 0o755);
    chmodSync(to, 0o777);
    const begun = join(dir, 'begun');
    await using server = await serve((_request, response) => {
      response.writeHead(200, { 'Content-Length': 1_000_000 }).write('half of it');
      writeFileSync(begun, '');
    });
    const fetch = {
      uses: 'fetch-config',
      sources: `${server.url}/app.conf`,
      to: join(to, 'app.conf'),
      'allow-disk': true,
    };
    const broken = sh(`while ! test -e ${begun}; do sleep 0.05; done; sleep 0.1; exit 7`);
    const { status, stderr } = await runPlan([
      { name: 'fetch', ...fetch, ...more },
      { name: 'broken', command: broken },
    ]);
    expect(status, stderr).toBe(7);
    expect(timeline(stderr)['fetch']?.result).toBe('stopped');
    return readdirSync(to);
  };

  test('leaves no file, and no part of one, of a body that is half there', async () => {
    expect(await leftOfHalfABody({})).toEqual([]);
  });

  test.skipIf(notRoot)('nor where another user fetches it', async () => {
    expect(await leftOfHalfABody({ user: 1234 })).toEqual([]);
  });

  test('lets the others go on with --keep-going; the first failure is the status', async () => {
    const dir = folder();
    const steps = [
      { name: 'broken', command: sh('exit 7') },
      { name: 'later', command: sh('sleep 0.3; exit 9') },
      { name: 'after', command: ['touch', join(dir, 'after')], needs: 'broken' },
      { name: 'other', command: sh(`sleep 0.5; touch ${dir}/other`) },
      { name: 'last', command: ['touch', join(dir, 'last')], needs: 'other' },
    ];
    const { status, stderr } = await runPlan(steps, ['--keep-going', '--', 'echo', 'over']);
    expect(status).toBe(7);
    expect(existsSync(join(dir, 'last'))).toBe(true);
    expect(existsSync(join(dir, 'after'))).toBe(false);
    expect(stderr).toMatch(/step broken \(\/bin\/sh\) failed: the command ended with exit status 7/);
    expect(stderr).toMatch(/step later \(\/bin\/sh\) failed too: the command ended with exit status 9/);
    const inPlan = await runInitbox(['run', planFile(steps, { 'keep-going': true })]);
    expect(inPlan.stderr).toMatch(/failed too/);
  });

  test.each([
    [
      'was not found',
      { command: ['no-such-command-anywhere'] },
      127,
      /"no-such-command-anywhere" was not found/,
    ],
    [
      'was killed',
      { command: sh('kill -9 $$') },
      137,
      /the command ended with SIGKILL\n.*hint: initbox didn’t send that signal/,
    ],
    [
      'had no time',
      { command: sh('sleep 60'), timeout: '300ms' },
      124,
      /gave up after 300ms \(.*:1:\d+: timeout\): the command was stopped \(SIGTERM\)/,
    ],
    [
      'waited in vain',
      { uses: 'wait-tcp', targets: '127.0.0.1:1', timeout: 2 },
      124,
      /gave up after 2s \(.*timeout\): 127\.0\.0\.1:1 connection refused/,
    ],
    [
      'lacks a file',
      {
        uses: 'fetch-config',
        sources: 'https://127.0.0.1:1/x',
        to: '/dev/shm/x',
        'ca-file': '/nowhere',
        timeout: '2s',
      },
      2,
      /\/nowhere/,
    ],
  ])(
    'since it %s: the status is its own, no matter how often it is tried',
    async (_words, step, status, message) => {
      const result = await runPlan([{ name: 'a', ...step }]);
      expect(result.stderr).toMatch(message);
      expect(result.status).toBe(status);
    },
  );

  test('is tried again, with a pause; a command that is not there is not', async () => {
    const dir = folder();
    const { status, stderr } = await runPlan([
      { name: 'third', command: sh(`echo x >>${dir}/tries; test $(wc -l <${dir}/tries) = 3`), retries: 3 },
    ]);
    expect(status, stderr).toBe(0);
    expect(stderr).toMatch(
      /warn {2}run third: try 1 of 4: the command ended with exit status 1; again in 1s/,
    );
    expect(stderr).toMatch(/try 2 of 4: .* again in 2s/);
    expect(timeline(stderr)['third']?.result).toBe('done, 3 tries');
    const missing = await runPlan([{ name: 'a', command: ['no-such-command-anywhere'], retries: 3 }]);
    expect(missing.status).toBe(127);
    expect(missing.milliseconds).toBeLessThan(6000);
  });

  test('waits as long as pause says, and gives each try its time', async () => {
    const dir = folder();
    // The first try hangs, the second fails, the third is right.
    const script = `echo x >> ${dir}/tries; case $(wc -l < ${dir}/tries) in 1) exec sleep 600;; 2) exit 7;; esac`;
    const { status, stderr } = await runPlan([
      { name: 'a', command: sh(script), retries: 5, pause: '20ms', 'try-timeout': '3s' },
    ]);
    expect(status, stderr).toBe(0);
    expect(stderr).toMatch(/try 1 of 6: gave up after 3s \(try-timeout\).*; again in 20ms/);
    expect(stderr).toMatch(/try 2 of 6: the command ended with exit status 7; again in 20ms/);
    expect(timeline(stderr)['a']?.result).toBe('done, 3 tries');
  });

  test('of a command of initbox have their time too', async () => {
    const keys = { retries: 1, pause: '10ms', 'try-timeout': '500ms' };
    const wait = { name: 'a', uses: 'wait-tcp', targets: closed, ...keys };
    const own = await runPlan([wait]);
    expect(own.status).toBe(124);
    expect(own.stderr).toMatch(/failed after 2 tries: gave up after 500ms \(try-timeout\)/);
  });

  test.skipIf(notRoot)('of another user have their time too', async () => {
    const keys = { retries: 1, pause: '10ms', 'try-timeout': '2s' };
    const wait = { name: 'a', uses: 'wait-tcp', targets: closed, ...keys };
    const others = await runPlan([{ ...wait, user: '1000:1000' }]);
    expect(others.status).toBe(124);
    expect(others.stderr).toMatch(/failed after 2 tries: gave up after .*\(try-timeout\)/);
  });

  test('has its time for all its tries together', async () => {
    const { status, stderr, milliseconds } = await runPlan([
      { name: 'a', command: sh('exit 3'), retries: 100, timeout: '1500ms' },
    ]);
    expect(status).toBe(124);
    expect(milliseconds).toBeLessThan(20_000);
    expect(stderr).toMatch(/gave up after 1.5s \(.*timeout\): the command ended with exit status 3/);
  });
});

describe('the time of the whole', () => {
  test('ends every step, and says what each was at', async () => {
    const log = terminationLog();
    const path = planFile([
      { name: 'port', uses: 'wait-tcp', targets: closed },
      { name: 'work', command: sh('sleep 60') },
      { name: 'after', command: ['true'], needs: 'work' },
    ]);
    const { status, milliseconds } = await runToDeadline([
      'run',
      path,
      '--timeout',
      '500ms',
      '--termination-log',
      log.path,
    ]);
    expect(status).toBe(124);
    expect(milliseconds).toBeLessThan(20_000);
    expect(log.read()).toMatch(
      /^initbox run: gave up after \S+ \(--timeout\) while port, work ran\n {2}step port \(wait-tcp\): gave up after \S+ \(--timeout\): .* connection refused.*\n {2}step work \(\/bin\/sh\): .*\n {2}not run: after/,
    );
  });
});

describe('when', () => {
  test('leaves a step out, and what needs it runs all the same', async () => {
    const steps = [
      { name: 'seed', command: ['echo', 'seeded'], when: 'SEED' },
      { name: 'go', command: ['echo', 'gone'], needs: 'seed' },
    ];
    expect((await runPlan(steps)).stdout).toBe('gone\n');
    expect((await runPlan(steps, [], { env: { SEED: '1' } })).stdout).toBe('seeded\ngone\n');
    expect((await runPlan(steps, [], { env: { SEED: '' } })).stderr).toMatch(/left out: SEED is not set/);
  });

  test('by a file is judged when the step starts, after what it needs', async () => {
    const dir = folder();
    const marker = join(dir, 'done');
    const work = {
      command: sh(`echo worked; echo version=3 > ${marker}`),
      when: { not: { path: marker } },
    };
    const steps = [
      { name: 'work', ...work },
      { name: 'again', ...work, needs: 'work' },
      {
        name: 'new',
        command: ['echo', 'new'],
        when: { file: marker, contains: 'version=3' },
        needs: 'again',
      },
      { name: 'old', command: ['echo', 'old'], when: { file: marker, matches: '^version=2' }, needs: 'work' },
      { name: 'fill', command: ['echo', 'filled'], when: [{ empty: dir }, { path: '/' }], needs: 'work' },
      { name: 'last', command: ['echo', 'last'], needs: ['new', 'old', 'fill'] },
    ];
    const { status, stdout, stderr } = await runPlan(steps);
    expect(status, stderr).toBe(0);
    expect(stdout).toBe('worked\nnew\nlast\n');
    const result = (name: string) => timeline(stderr)[name]?.result;
    expect(result('again')).toBe(`left out: ${marker} is there`);
    expect(result('old')).toBe(`left out: ${marker} does not match ^version=2`);
    expect(result('fill')).toBe(`left out: ${dir} is not empty`);
    expect(stderr).toMatch(/3 steps done in .*, 3 left out/);
    const json = (await runPlan(steps, ['--log-format', 'json'])).stderr;
    expect(json).toContain(`"left_out":"${marker} is there"`);
  });

  test('that cannot be judged fails the step: nothing is guessed', async () => {
    const dir = folder();
    mkdirSync(join(dir, 'file'));
    const { status, stderr, stdout } = await runPlan([
      { name: 'a', command: ['echo', 'a'], when: { not: { file: join(dir, 'file'), contains: 'x' } } },
    ]);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/step a \(echo\) failed: when: .*file is not a regular file: it is a directory/);
    expect(status).toBe(69);
  });

  test('what it cannot judge is told as it is written, without what a variable holds', async () => {
    const dir = folder();
    const held = 's3cr3t-as-a-name';
    writeFileSync(join(dir, held), 'x');
    symlinkSync('/root', join(dir, `${held}-link`));
    if (process.getuid?.() === 0) lchownSync(join(dir, `${held}-link`), 1000, 1000);
    symlinkSync(`${held}-loop`, join(dir, `${held}-loop`));
    for (const when of [
      { empty: `${dir}/$(HELD)` },
      { empty: `${dir}/$(HELD)/x` },
      { file: `${dir}/$(HELD)/..`, contains: 'x' },
      { not: { path: `${dir}/$(HELD)-loop` } },
      { empty: `${dir}/$(HELD)-link` },
      { empty: `${dir}/$(HELD)-link/x` },
      ...(process.getuid?.() === 0 ? [{ path: `${dir}/$(HELD)-link/x` }] : []),
    ]) {
      const { status, stderr, stdout } = await runPlan([{ name: 'a', command: ['echo', 'a'], when }], [], {
        env: { HELD: held },
      });
      expect({ stdout, stderr, status }).toMatchObject({ stdout: '', status: expect.toBeOneOf([2, 69]) });
      expect(stderr).toContain(`when: ${dir}/$(HELD)`);
      expect(stderr).not.toContain(held);
    }
  });

  test('a path that ends with a slash is a folder’s, and nothing is below a file', async () => {
    const dir = folder();
    writeFileSync(join(dir, 'file'), 'x');
    const file = join(dir, 'file');
    for (const when of [
      { path: `${file}/` },
      { path: `${file}/.` },
      { path: `${file}//` },
      { path: `${file}/x` },
      { file: `${file}/`, contains: 'x' },
      { not: { path: `${dir}/` } },
    ]) {
      const { status, stderr, stdout } = await runPlan([{ name: 'a', command: ['echo', 'a'], when }]);
      expect({ status, stdout, stderr }).toMatchObject({ status: 0, stdout: '' });
      expect(stderr).toContain('left out: ');
    }
    for (const empty of [file, `${file}/`, `${file}/x`, `${file}/x/y`]) {
      const { status, stderr, stdout } = await runPlan([
        { name: 'a', command: ['echo', 'a'], when: { empty } },
      ]);
      expect({ status, stdout }).toEqual({ status: 69, stdout: '' });
      expect(stderr).toContain(`when: ${empty} is not a folder`);
    }
  });

  test.skipIf(notRoot)('a link that another user planted leads nowhere', async () => {
    const dir = folder();
    symlinkSync('/root/.bashrc', join(dir, 'marker'));
    lchownSync(join(dir, 'marker'), 1000, 1000);
    for (const when of [{ path: join(dir, 'marker') }, { file: join(dir, 'marker'), contains: 'x' }]) {
      const { status, stderr, stdout } = await runPlan([{ name: 'a', command: ['echo', 'a'], when }]);
      expect(stdout).toBe('');
      expect(stderr).toMatch(/marker is a symbolic link to "\/root\/.bashrc", which others may have made/);
      expect(status).toBe(2);
    }
  });

  test('a step that a variable leaves out does not fail the plan, and a dry run says why', async () => {
    const steps = [
      {
        name: 'database',
        uses: 'wait-tcp',
        targets: '$(DB_HOST):5432',
        when: { variable: 'MODE', equals: 'worker' },
      },
      { name: 'go', command: ['echo', 'gone'], needs: 'database' },
    ];
    const { status, stdout, stderr } = await runPlan(steps, [], { env: { MODE: 'web' } });
    expect(status, stderr).toBe(0);
    expect(stdout).toBe('gone\n');
    expect(timeline(stderr)['database']?.result).toBe('left out: MODE is not "worker"');
    const dry = await runPlan(steps, ['--dry-run'], { env: { MODE: 'web' } });
    expect(JSON.parse(dry.stdout)).toMatchObject({
      steps: [
        { when: { variable: 'MODE', equals: 'worker' }, leftOut: 'MODE is not "worker"' },
        { name: 'go' },
      ],
    });
    expect(dry.stderr).toContain('when MODE is "worker"');
    expect(dry.stderr).toContain('left out here: MODE is not "worker"');
    const other = await runPlan(steps, [], { env: { MODE: 'worker' } });
    expect(other.status).toBe(2);
    expect(other.stderr).toContain('the variable DB_HOST');
  });
});

describe('variables', () => {
  test('a step’s keys have no twins: INITBOX_… is for the command line of run alone', async () => {
    const { status, stderr } = await runPlan([{ name: 'a', uses: 'wait-tcp', targets: port.target }], [], {
      env: { INITBOX_INVERT: 'true', INITBOX_STABLE_FOR: '1h', INITBOX_TIMEOUT: '20s' },
    });
    expect(status, stderr).toBe(0);
  });

  test('what steps fetch for the environment reaches what takes over, and no other step', async () => {
    const { stdout, stderr } = await runPlan(
      [
        { name: 'env', uses: 'fetch-config', sources: 'env:SOURCE', env: true },
        { name: 'same', uses: 'fetch-config', sources: 'env:SOURCE', env: true, needs: 'env' },
        { name: 'other', command: sh('echo "step: $(env | grep -c hunter2)"'), needs: 'env' },
      ],
      ['--', '/bin/sh', '-c', 'echo "app: $SOURCE"'],
      { env: { SOURCE: 'hunter2-hunter2' } },
    );
    expect(stdout).toBe('step: 1\napp: hunter2-hunter2\n');
    expect(stderr).not.toContain('hunter2');
    expect(stderr).toMatch(/SOURCE comes from step env and from step same; the latter's is taken/);
  });

  test('a URL with a password comes in by $(NAME), and is not printed', async () => {
    const { status, stderr } = await runPlan(
      [{ name: 'a', uses: 'wait-tcp', targets: '$(URL)' }],
      ['--log-level', 'debug'],
      { env: { URL: `postgres://app:hunter2-hunter2@${port.target}/app` } },
    );
    expect(status).toBe(0);
    expect(stderr).not.toContain('hunter2');
  });
});

describe.skipIf(notRoot)('user', () => {
  const as = (groups: string): string[] => ['setpriv', '--groups', groups, '--'];

  test('a command runs as it, its supplementary groups kept, with no way back', async () => {
    const { status, stdout, stderr } = await runPlan(
      [
        {
          name: 'a',
          command: sh('id -u; id -g; id -G; grep -E "^(CapEff|CapPrm|SigIgn)" /proc/self/status'),
          user: '1234:2345',
        },
      ],
      [],
      { prefix: as('2000,3000') },
    );
    expect(status, stderr).toBe(0);
    expect(stdout.trim().split('\n')).toEqual([
      '1234',
      '2345',
      '2345 2000 3000',
      expect.stringMatching(/^SigIgn:\s0+$/) as string,
      expect.stringMatching(/^CapPrm:\s0+$/) as string,
      expect.stringMatching(/^CapEff:\s0+$/) as string,
    ]);
  });

  test('group 0, and the groups of the user before, go; those of the pod stay', async () => {
    const { status, stdout, stderr } = await runPlan(
      [
        { name: 'a', command: sh('id -G'), user: '1234:2345' },
        { name: 'b', command: sh('id -G'), user: '1234:0', needs: 'a' },
      ],
      [],
      {
        prefix: as('0,10,2000'),
        files: { '/etc/group': 'root:x:0:\nwheel:x:10:root,other\nteam:x:2000:other\n' },
      },
    );
    expect(status, stderr).toBe(0);
    expect(stdout.trim().split('\n')).toEqual(['2345 2000', '0 2000']);
  });

  test('a command has the descriptors that one without a user has', async () => {
    const look = sh('for f in /proc/self/fd/*; do readlink $f; done | grep -c -e socket -e pipe; true');
    const { stdout } = await runPlan([
      { name: 'a', command: look, user: 1234 },
      { name: 'b', command: look, needs: 'a' },
    ]);
    const [asUser, asRoot] = stdout.trim().split('\n');
    expect(asUser).toBe(asRoot);
  });

  test('a command of initbox runs as it: what it writes is its own', async () => {
    const dir = folder();
    const { status, stderr } = await runPlan(
      [
        { name: 'mine', command: ['chown', '1234', dir] },
        {
          name: 'fetch',
          uses: 'fetch-config',
          sources: 'env:WORD',
          to: `${dir}/word`,
          'allow-disk': true,
          user: '1234:2345',
          needs: 'mine',
        },
        { name: 'root', command: ['touch', join(dir, 'root')], needs: 'fetch' },
      ],
      [],
      { env: { WORD: 'hello' } },
    );
    expect(status, stderr).toBe(0);
    const written = statSync(join(dir, 'word'));
    expect([written.uid, written.gid, readFileSync(join(dir, 'word'), 'utf8')]).toEqual([
      1234,
      2345,
      'hello',
    ]);
    expect(statSync(join(dir, 'root')).uid).toBe(0);
    expect(stderr).toMatch(/info {2}fetch-config fetch: .*1 file/);
  });

  test('its failure, and what it fetched for the environment, come back', async () => {
    const failure = await runPlan([
      { name: 'a', uses: 'wait-tcp', targets: closed, timeout: '300ms', user: 1234 },
    ]);
    expect(failure.status).toBe(124);
    expect(failure.stderr).toMatch(
      /step a \(wait-tcp\) failed: gave up after \d+ms \(.*timeout\): .* connection refused/,
    );
    expect(failure.stderr).toMatch(/hint: nothing listens there yet/);
    const found = await runPlan(
      [{ name: 'a', uses: 'fetch-config', sources: 'env:WORD', env: true, user: 1234 }],
      ['--', '/bin/sh', '-c', 'echo $WORD; id -u'],
      { env: { WORD: 'hello' } },
    );
    expect(found.stdout, found.stderr).toBe('hello\n0\n');
  });

  test('the time of the whole is named as that, not as the step’s own', async () => {
    const { status, stderr } = await runPlan(
      [{ name: 'a', uses: 'wait-tcp', targets: closed, user: 1234 }],
      ['--timeout', '3s'],
    );
    expect(status).toBe(124);
    expect(stderr).toMatch(
      /step a \(wait-tcp\): gave up after \S+ \(the time of the whole plan\): .* connection refused/,
    );
  });

  test.each([
    ['without a user', {}],
    ['as another user', { user: 1234 }],
  ])('text without a #! line is not given to a shell, %s', async (_name, more) => {
    const file = join(folder(), 'text');
    writeFileSync(file, 'exit 0\n');
    chmodSync(file, 0o755);
    chmodSync(dirname(file), 0o755);
    const { status, stderr } = await runPlan([{ name: 'a', command: [file], ...more }]);
    expect(stderr).toContain(`cannot run ${file}: it is neither a program nor a script with a #! line`);
    expect(status).toBe(126);
  });

  test('a command that is not there is 127, as without a user', async () => {
    const { status, stderr } = await runPlan(
      [{ name: 'a', command: ['no-such-command-anywhere'], user: 1234 }],
      [],
      { env: { PATH: '/usr/bin:/bin' } },
    );
    expect({ status, stderr }).toMatchObject({
      status: 127,
      stderr: expect.stringContaining('was not found') as string,
    });
  });

  test('without root is refused before anything runs', async () => {
    const dir = folder();
    const { status, stderr } = await runPlan(
      [
        { name: 'first', command: ['touch', join(dir, 'touched')] },
        { name: 'a', command: ['id'], user: 1234 },
      ],
      [],
      { user: { uid: 1000, gid: 1000 } },
    );
    expect(status).toBe(2);
    expect(stderr).toMatch(/:1:\d+: user: only root can become another user, and this is UID 1000/);
    expect(existsSync(join(dir, 'touched'))).toBe(false);
  });

  test('without the capability says which', async () => {
    const { status, stderr } = await runPlan([{ name: 'a', command: ['id'], user: 1234 }], [], {
      prefix: ['setpriv', '--bounding-set=-setuid,-setgid', '--inh-caps=-all', '--'],
    });
    expect(status).toBe(1);
    expect(stderr).toMatch(/cannot switch to user 1234 \(EPERM\)/);
    expect(stderr).toMatch(/hint: .*SETUID and SETGID/);
  });
});

test('a hidden word does nothing without a parent that speaks to it', async () => {
  const { status, stderr } = await (await startInitbox(['plan-step', '1000', 'id'])).exit;
  expect(status).toBe(2);
  expect(stderr).toMatch(/unknown command/);
});
