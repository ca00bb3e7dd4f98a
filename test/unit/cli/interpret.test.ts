import { describe, expect, test } from 'vitest';

import { interpret } from '../../../src/cli/interpret.ts';
import { commands } from '../../../src/commands/index.ts';
import { allOptions } from '../../../src/core/options/all.ts';
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
    [
      ['wait-tcp', 'db:5432', './server'],
      /^argument 2: .*; if "\.\/server" is a command to be run, write -- before it: initbox wait-tcp TARGET… -- \.\/server$/,
    ],
    [
      ['wait-tcp', 'db:5432', 'echo', 'hi'],
      /^argument 2: .*; if "echo" is a command to be run, write -- before it/,
    ],
    [
      ['wait-http', 'http://a', '/bin/sh', '-c', 'x'],
      /unknown flag -c; if it is one of a command to be run, write -- before that command/,
    ],
    [['wait-dns', 'db', './server', '--port', '80'], /unknown flag --port; if it is one of a command/],
    [
      ['run', 'plan.yaml', './server'],
      /2 words were given .*; if "\.\/server" is a command to be run, write -- before it: initbox run \[PLAN\] -- \.\/server$/,
    ],
    [['wait-tcp', 'db', './server'], /^argument 1: "db" has no port; write db:5432, say$/],
    [
      ['wait-tcp', 'db:5432', 'cache'],
      /^argument 2: "cache" has no port; write cache:5432, say; if "cache" is a command/,
    ],
    [
      ['wait-tcp', 'db:5432', 'cache', '--', './server'],
      /^argument 2: "cache" has no port; write cache:5432, say$/,
    ],
    [['migrate-with-lock', './migrate'], /A command to be run stands after --/],
    [
      ['migrate-with-lock', '--once', 'x -- ./migrate.sh'],
      /^"x -- \.\/migrate\.sh" is one argument; give each word of it, -- too, as an argument of its own$/,
    ],
    [
      ['wait-tcp', '"db:5432"'],
      /^argument 1: .*; the quotes are part of the value: write it without the inner ones$/,
    ],
    [['wait-dns', "'db'"], /the quotes are part of the value/],
    [['wait-http', '"http://a/"'], /the quotes are part of the value/],
    [['wait-tcp', 'db:5432', '--timeout', '"5m"'], /^--timeout: .*the quotes are part of the value/],
    [
      ['wait-tcp', 'db:5432 --timeout 2m'],
      /^argument 1: .*; it contains spaces: give each word as an argument of its own$/,
    ],
    [['wait-tcp', 'db:5432 cache:6379'], /it contains spaces/],
    [['wait-tcp', 'git@host:22'], /^argument 1: the target has a user before the @; write host:22$/],
    [['wait-tcp', 'host:22@'], /^argument 1: /],
    [
      ['wait-http', 'http:127.0.0.1:80'],
      /^argument 1: "http:127\.0\.0\.1:80" has no \/\/ after http:; write http:\/\/127\.0\.0\.1:80$/,
    ],
    [['wait-http', 'HTTPS:/a/b'], /write HTTPS:\/\/a\/b$/],
    [['wait-http', '//a/b'], /"\/\/a\/b" has no scheme; write http:\/\/a\/b$/],
    [['wait-dns', '10.0.0.256'], /^argument 1: "10\.0\.0\.256" is not an IPv4 address$/],
    [['wait-dns', '10.0.0'], /is not an IPv4 address/],
    [['wait-dns', 'a', '--server', '10.0.0.256'], /^--server: "10\.0\.0\.256" is not an IPv4 address$/],
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

  test.each(['HELP', 'TARGETS', 'VERSION', 'URL', 'X'])('INITBOX_%s: no name is near', async (name) => {
    expect(await read(['wait-tcp', 'db:1'], { [`INITBOX_${name}`]: '1' })).toMatchObject({
      warnings: [`the variable INITBOX_${name} is unknown and has no effect`],
    });
  });

  test.each([
    ['STABLE', 'STABLE_FOR'],
    ['INTERVALL', 'INTERVAL'],
    ['SUCCESS', 'SUCCESSES'],
    ['STATUSES', 'STATUS'],
    ['USER', 'USER_FILE'],
  ])('INITBOX_%s: INITBOX_%s is meant', async (name, meant) => {
    expect(await read(['wait-tcp', 'db:1'], { [`INITBOX_${name}`]: '1' })).toMatchObject({
      warnings: [`the variable INITBOX_${name} is unknown and has no effect; did you mean INITBOX_${meant}?`],
    });
  });

  test.each(['-v', '-V', '--version', 'version'])('%s prints the version', async (word) => {
    expect(await read([word])).toMatchObject({
      kind: 'print',
      text: expect.stringMatching(/^initbox \S+\n$/) as string,
    });
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
    ['an archive, forever', [...unpack, '--timeout', '0'], {}, 0, true],
    ['an archive, by the variable', unpack, { INITBOX_TIMEOUT: '20s' }, 20_000, true],
    ['a copy', ['copy', '/a', '/b'], {}, 60 * 60_000, false],
  ])('%s', async (_what, argv, environment, limit, limited) => {
    expect(await read(argv, environment)).toMatchObject({ kind: 'run', limit, input: { limited } });
  });
});
