// What a core file of the program holds, and what the programs that it starts or becomes inherit.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { canMount } from '../../support/faults.ts';
import { memoryFolders } from '../../support/memory-folders.ts';
import { startPostgres, type Postgres } from '../../support/postgres.ts';
import { runInitbox, startInitbox } from '../../support/program.ts';
import { requireOrSkip, whyMissing } from '../../support/tools.ts';
import { waitUntil } from '../../support/wait-until.ts';

const filter = '/proc/self/coredump_filter';

/** Why this machine cannot show a core file, or undefined. */
function whyNoCoreFile(): string | undefined {
  if (!existsSync(filter)) return 'this kernel writes no core files';
  const pattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8').trim();
  return /^[\w.%-]+$/.test(pattern)
    ? whyMissing('prlimit', 'util-linux')
    : 'core files of this machine go elsewhere';
}

const missing = requireOrSkip('core files', canMount() ?? (existsSync(filter) ? undefined : 'no filter'));

describe.skipIf(missing)('a core file', () => {
  const folder = memoryFolders('1500m');
  let database: Postgres;
  let hung: Server;
  let url: string;
  beforeAll(async () => {
    database = await startPostgres();
    hung = createServer(() => undefined);
    await new Promise<void>((resolve) => hung.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(hung.address() as AddressInfo).port}/`;
  });
  afterAll(async () => {
    hung.closeAllConnections();
    hung.close();
    await database?.stop();
  });

  it.skipIf(requireOrSkip('what is in a core file', whyNoCoreFile()))(
    'has no secret of a program that was aborted: of a source, a variable, or a file',
    async () => {
      const place = folder();
      writeFileSync(join(place, 'source.json'), '{"a":"CANARY-of-a-source"}');
      writeFileSync(join(place, 'header'), 'Authorization: Bearer CANARY-of-a-file\n');
      const plan = {
        files: [`file:${place}/source.json`, url].map((from, at) => ({ path: `${place}/${at}`, from })),
      };
      writeFileSync(join(place, 'spec.yaml'), JSON.stringify(plan));
      const running = await startInitbox(
        ['fetch-config', '--spec', `${place}/spec.yaml`, '--log-level', 'debug'],
        {
          env: { VAULT_TOKEN: 'CANARY-of-a-variable' },
          prefix: ['prlimit', '--core=unlimited', '--'],
          cwd: place,
        },
      );
      await running.waitForStderr(/source\.json read/);
      running.kill('SIGABRT');
      expect(await running.exit).toMatchObject({ signal: 'SIGABRT' });
      const cores = readdirSync(place).filter(
        (name) => !/^(source\.json|header|spec\.yaml|[01])$/.test(name),
      );
      expect(cores).toHaveLength(1);
      expect(readFileSync(join(place, cores[0]!), 'latin1')).not.toContain('CANARY-of');
    },
  );

  const given = existsSync(filter) ? readFileSync(filter, 'utf8') : '';
  const shows = ['cat', filter];
  it.each<[what: string, steps: readonly object[], env: boolean]>([
    ['a step', [{ name: 'a', command: shows }], false],
    ['a step of another user', [{ name: 'a', command: shows, user: '1234:1234' }], false],
    [
      'two steps',
      [
        { name: 'a', command: shows },
        { name: 'b', command: ['true'], needs: ['a'] },
      ],
      false,
    ],
    ['a command under the lock', [{ name: 'a', uses: 'migrate-with-lock', command: shows }], true],
    [
      'a command under the lock of another user',
      [{ name: 'a', uses: 'migrate-with-lock', command: shows, user: '1234:1234' }],
      true,
    ],
  ])('of %s is as the container wants it', async (_, steps, env) => {
    const place = folder();
    writeFileSync(join(place, 'plan.yaml'), JSON.stringify({ steps }));
    const { status, stdout, stderr } = await runInitbox(['run', join(place, 'plan.yaml')], {
      env: env ? { DATABASE_URL: database.url() } : {},
    });
    expect({ status, stdout, stderr }).toMatchObject({ status: 0, stdout: given });
  });

  it('of the command after -- is as the container wants it', async () => {
    const { port } = new URL(url);
    expect(await runInitbox(['wait-tcp', `127.0.0.1:${port}`, '--', ...shows])).toMatchObject({
      status: 0,
      stdout: given,
    });
  });

  it('a command gets the container’s variables, also while others are set for the login to AWS', async () => {
    const place = folder();
    const next = createServer();
    const sts = createServer(() => next.listen(second));
    await new Promise<void>((resolve) => sts.listen(0, '127.0.0.1', resolve));
    // Opened by the request, whose answer never comes: the login is under way then.
    const probe = createServer();
    await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
    const second = (probe.address() as AddressInfo).port;
    await new Promise((resolve) => probe.close(resolve));
    try {
      writeFileSync(join(place, 'token'), 'a.b.c');
      const steps = [
        { name: 'fetch', uses: 'fetch-config', sources: ['aws-sm:app'], to: join(place, 'out') },
        { name: 'login', uses: 'wait-tcp', targets: [`127.0.0.1:${second}`] },
        {
          name: 'other',
          command: ['sh', '-c', `env > ${place}/env.tmp; mv ${place}/env.tmp ${place}/env`],
          needs: ['login'],
        },
      ];
      writeFileSync(join(place, 'plan.yaml'), JSON.stringify({ steps }));
      const running = await startInitbox(['run', join(place, 'plan.yaml')], {
        env: {
          AWS_REGION: 'eu-central-1',
          AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/app',
          AWS_WEB_IDENTITY_TOKEN_FILE: join(place, 'token'),
          AWS_ENDPOINT_URL_STS: `http://127.0.0.1:${(sts.address() as AddressInfo).port}`,
        },
      });
      await waitUntil(() => existsSync(join(place, 'env')), { timeout: 60_000, what: 'the command' });
      running.kill();
      await running.exit;
      const names = readFileSync(join(place, 'env'), 'utf8')
        .split('\n')
        .map((line) => line.split('=')[0] ?? '');
      expect(names.filter((name) => name.startsWith('AWS_')).toSorted()).toEqual([
        'AWS_ENDPOINT_URL_STS',
        'AWS_REGION',
        'AWS_ROLE_ARN',
        'AWS_WEB_IDENTITY_TOKEN_FILE',
      ]);
    } finally {
      for (const server of [next, sts]) {
        server.closeAllConnections();
        server.close();
      }
    }
  });
});
