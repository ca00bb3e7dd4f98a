import { describe, expect, test } from 'vitest';
import { interpret } from '../../../src/cli/interpret.ts';
import { allOptions } from '../../../src/core/options/all.ts';
import { commands } from '../../../src/commands/index.ts';
import { flagName, twinName } from '../../../src/core/options/option.ts';
import { createRedactor } from '../../../src/core/redaction/redactor.ts';

const read = (argv: string[], environment: Record<string, string> = {}) =>
  interpret(argv, environment, createRedactor());

describe('every command', async () => {
  const all = await Promise.all(
    Object.entries(commands).map(async ([name, load]) => ({ name, command: await load() })),
  );

  test.each(all)('$name is listed under its own name and can be explained', async ({ name, command }) => {
    expect(command.name).toBe(name);
    const help = await read([name, '--help']);
    expect(help).toMatchObject({
      kind: 'print',
      text: expect.stringContaining(command.examples[0] ?? '?') as string,
    });
  });

  test.each(all)('$name: no twin can be taken for a service link of Kubernetes', ({ command }) => {
    for (const [name, option] of Object.entries(allOptions(command))) {
      expect(twinName(name, option)).not.toMatch(/_PORT$|_PORT_|_SERVICE_/);
      expect(flagName(name, option)).toMatch(/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/);
      const opposite = allOptions(command)[flagName(name, option).replace(/^no-/, '')];
      if (name.startsWith('no-')) expect(opposite, 'no- is how a switch is turned off').toBeUndefined();
    }
  });
});

describe('usage errors', () => {
  test.each([
    [[], /no command was given; initbox --help lists them/],
    [['wait-tcp'], /no target was given/],
    [['wait-dns'], undefined],
    [['wait-tpc', 'db:1'], /unknown command "wait-tpc"; did you mean wait-tcp\?/],
    [['constructor'], /unknown command/],
    [['--timeout', '5s', 'wait-tcp'], /the command comes first/],
    [['wait-tcp', 'db:5432', '--'], /no command after --/],
    [['wait-tcp', 'db:5432', '--', ''], /no command after --/],
    [['wait-tcp', 'db'], /^argument 1: "db" has no port/],
    [['wait-tcp', 'a:1', 'db'], /^argument 2: /],
    [['install', '/a', '/b'], /2 words were given/],
    [['help', 'nonsense'], /unknown command "nonsense"/],
    [['help', 'wait-tcp', 'wait-dns'], /one topic/],
  ])('%j', async (argv, message) => {
    if (message === undefined) expect(await read(argv)).toMatchObject({ kind: 'run' });
    else await expect(read(argv)).rejects.toThrow(message);
  });
});

describe('variables', () => {
  test('the links that a Service named initbox puts into every pod are no warning', async () => {
    const links = {
      INITBOX_SERVICE_HOST: '10.0.0.1',
      INITBOX_SERVICE_PORT: '80',
      INITBOX_SERVICE_PORT_HTTP: '80',
      INITBOX_PORT: 'tcp://10.0.0.1:80',
      INITBOX_PORT_80_TCP: 'tcp://10.0.0.1:80',
      INITBOX_PORT_80_TCP_PROTO: 'tcp',
      INITBOX_PORT_80_TCP_PORT: '80',
      INITBOX_PORT_80_TCP_ADDR: '10.0.0.1',
      INITBOX_TIMEOUT_SERVICE_HOST: '10.0.0.2',
      INITBOX_TIMEOUT_PORT: 'tcp://10.0.0.2:80',
      INITBOX_DB_PORT_5432_TCP_ADDR: '10.0.0.3',
    };
    expect(await read(['wait-tcp', 'db:1'], links)).toMatchObject({ kind: 'run', warnings: [] });
  });

  test('a misspelt one is a warning that names the nearest; one of another command is none', async () => {
    expect(await read(['wait-tcp', 'db:1'], { INITBOX_TIMEOT: '5s' })).toMatchObject({
      warnings: ['the variable INITBOX_TIMEOT is unknown and has no effect; did you mean INITBOX_TIMEOUT?'],
    });
    expect(await read(['wait-tcp', 'db:1'], { INITBOX_SERVICE: 'db' })).toMatchObject({ warnings: [] });
  });

  test('the limit and where it came from', async () => {
    expect(await read(['wait-tcp', 'db:1'])).toMatchObject({
      limit: 300_000,
      limitOrigin: 'the default of --timeout',
    });
    expect(await read(['wait-tcp', 'db:1'], { INITBOX_TIMEOUT: '1000h' })).toMatchObject({
      limit: 3.6e9,
      limitOrigin: 'INITBOX_TIMEOUT',
    });
    expect(await read(['wait-tcp', 'db:1', '--timeout', '0'])).toMatchObject({
      limit: 0,
      limitOrigin: '--timeout',
    });
  });

  test('a password on the command line works, is known to the redactor, and is warned about', async () => {
    const redactor = createRedactor();
    const run = await interpret(['wait-tcp', 'postgres://app:hunter2@db/app'], {}, redactor);
    expect(run).toMatchObject({
      warnings: [expect.stringContaining('argument 1 holds a password') as string],
    });
    expect(redactor.redact('hunter2')).toBe('[redacted]');
  });
});

test('what is after -- is not read', async () => {
  expect(await read(['wait-tcp', 'db:1', '--', './server', '--port', '8080', '--', '--help'])).toMatchObject({
    input: { command: ['./server', '--port', '8080', '--', '--help'] },
  });
});

test.each([
  [['help'], /wait-dns/],
  [['--help'], /wait-tcp/],
  [['help', 'exit-codes'], /124 .*the deadline passed/],
  [['--version'], /^initbox \S+\n$/],
])('%j prints', async (argv, text) => {
  expect(await read(argv)).toMatchObject({ kind: 'print', text: expect.stringMatching(text) as string });
});

describe('how long a command may take', () => {
  const unpack = ['fetch-config', 'https://releases.internal/site.tar.gz', '--unpack', '--to', '/site'];
  test.each([
    ['what waits', ['fetch-config', 'file:/a', '--to', '/b'], {}, 5 * 60_000, false],
    ['an archive', unpack, {}, 60 * 60_000, false],
    ['an archive, said', [...unpack, '--timeout', '10s'], {}, 10_000, true],
    ['an archive, for ever', [...unpack, '--timeout', '0'], {}, 0, true],
    ['an archive, by the variable', unpack, { INITBOX_TIMEOUT: '20s' }, 20_000, true],
    ['a copy', ['copy', '/a', '/b'], {}, 60 * 60_000, false],
  ])('%s', async (_what, argv, environment, limit, limited) => {
    expect(await read(argv, environment)).toMatchObject({ kind: 'run', limit, input: { limited } });
  });
});
