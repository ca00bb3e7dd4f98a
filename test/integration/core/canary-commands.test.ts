// The commands that canary-table.test.ts does not have: AWS, names, files, plans, and what runs under the lock.
import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { startDnsServer, type DnsServer } from '../../support/dns-server.ts';
import { canMount, mountTmpfs } from '../../support/faults.ts';
import { memoryFolders } from '../../support/memory-folders.ts';
import { startPostgres, type Postgres } from '../../support/postgres.ts';
import { requireOrSkip } from '../../support/tools.ts';
import { canaries } from './canaries.ts';
import { leaksIn, someCanaries as many } from './canary-run.ts';

const missing = requireOrSkip('canaries of the other commands', canMount());

/** Three of a twentieth: what is sent to a server, and waited for, takes long. */
const someCanaries = (offset: number) => many(offset).slice(0, 3);

describe.skipIf(missing)('no canary leaves', () => {
  const folder = memoryFolders('64m');
  const leaks = leaksIn(folder);
  let aws: Server;
  let endpoint: string;
  let database: Postgres;
  let dns: DnsServer;
  beforeAll(async () => {
    aws = createServer(answerAsAws);
    await new Promise<void>((resolve) => aws.listen(0, '127.0.0.1', resolve));
    endpoint = `http://127.0.0.1:${(aws.address() as AddressInfo).port}`;
    database = await startPostgres();
    dns = await startDnsServer();
  });
  afterAll(async () => {
    aws.closeAllConnections();
    aws.close();
    await dns?.stop();
    await database?.stop();
  });

  const inAws = (path: string, more: Record<string, string> = {}): Record<string, string> => ({
    AWS_REGION: 'eu-central-1',
    AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
    AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG',
    AWS_ENDPOINT_URL: endpoint + path,
    ...more,
  });
  const fetchAws = (at: string, ...more: readonly string[]) => [
    'fetch-config',
    'aws-sm:app',
    '--to',
    `${at}/out`,
    '--timeout',
    '3s',
    ...more,
  ];

  test.each(['raw', 'json', 'yaml', 'dotenv', 'env-file', 'properties', 'shell'])(
    'aws-sm, all of them in one secret, as %s: written, refused, to a disk, a field that is not there',
    async (format) => {
      const env = inAws('/all');
      const as = ['--format', format];
      expect(await leaks({ args: (at) => fetchAws(at, ...as), env })).toEqual([]);
      expect(
        await leaks({
          args: (at) =>
            [...fetchAws(at, ...as).with(1, 'aws-sm:app#nope'), '--log-level', 'info'].slice(0, -2),
          env,
          says: /has no field/,
        }),
      ).toEqual([]);
      expect(
        await leaks({
          args: (at) => fetchAws(at, ...as).with(3, '/tmp/initbox-canary'),
          env,
          says: /memory/,
        }),
      ).toEqual([]);
    },
  );

  test('aws-sm: a secret whose JSON is damaged, at each canary', async () => {
    for (let cut = 0; cut < 12; cut++)
      expect(
        await leaks({ args: (at) => fetchAws(at).with(1, 'aws-sm:app#a'), env: inAws(`/damaged/${cut}`) }),
      ).toEqual([]);
  });

  test.each(['/message', '/html', '/type', '/throttled', '/redirect', '/none'])(
    'aws-sm: a server that repeats the session token, and what was signed: %s',
    async (path) => {
      for (const [, value] of someCanaries(4))
        expect(
          await leaks({ args: (at) => fetchAws(at), env: inAws(path, { AWS_SESSION_TOKEN: value }) }),
        ).toEqual([]);
    },
  );

  test.each(['/message', '/xml', '/html'])(
    'aws-sm: an STS and an agent that repeat the token that they were sent: %s',
    async (path) => {
      for (const [, value] of someCanaries(7)) {
        const { AWS_ACCESS_KEY_ID: _, AWS_SECRET_ACCESS_KEY: __, ...env } = inAws(path);
        const withToken = (more: (file: string) => Record<string, string>) => {
          const place = folder();
          writeFileSync(join(place, 'token'), value);
          return { ...env, ...more(join(place, 'token')) };
        };
        const sts = withToken((file) => ({
          AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/app',
          AWS_WEB_IDENTITY_TOKEN_FILE: file,
        }));
        const agent = withToken((file) => ({
          AWS_CONTAINER_CREDENTIALS_FULL_URI: endpoint + path,
          AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file,
        }));
        for (const one of [sts, agent, { ...env, AWS_SECRET_ACCESS_KEY: value, AWS_ACCESS_KEY_ID: 'AKID' }])
          expect(await leaks({ args: (at) => fetchAws(at), env: one })).toEqual([]);
      }
    },
  );

  test('aws-sm: credentials and profiles in files that cannot be read', async () => {
    for (const [, value] of someCanaries(11))
      for (const text of [
        `[default]\naws_access_key_id = A\naws_secret_access_key = ${value}\n`,
        `[default\naws_secret_access_key = ${value}\n`,
        `[default]\ncredential_process = echo ${value}\n`,
        `${value}\n`,
      ])
        expect(
          await leaks({
            args(at) {
              writeFileSync(join(at, 'credentials'), text);
              return fetchAws(at);
            },
            env: {
              ...inAws('/message'),
              AWS_ACCESS_KEY_ID: '',
              AWS_SHARED_CREDENTIALS_FILE: '/proc/self/cwd/none',
            },
          }),
        ).toEqual([]);
  });

  test('wait-dns and wait-tcp: an address with a password where a name is wanted, and a server that answers it', async () => {
    for (const [, value] of someCanaries(2)) {
      const password = encodeURIComponent(value);
      for (const args of [
        ['wait-dns', `postgres://app:${password}@db.test/app`],
        ['wait-dns', `app:${password}@db.test`],
        ['wait-dns', 'db.test', '--server', `app:${password}@127.0.0.1:${dns.port}`],
        ['wait-dns', '--service', `app:${password}@db`],
        ['wait-tcp', `postgres://app:${password}@127.0.0.1:1/app`],
        ['wait-tcp', `postgres//app:${password}@127.0.0.1:1/app`],
      ])
        // The command line itself has it, which the user wrote.
        expect(
          (await leaks({ args: () => [...args, '--timeout', '300ms'] })).filter(
            (found) => !found.includes('command lines'),
          ),
        ).toEqual([]);
    }
  });

  /** A tree whose files hold the canaries. */
  const tree = (at: string): string => {
    mkdirSync(join(at, 'tree', 'below'), { recursive: true });
    for (const [name, value] of Object.entries(canaries)) {
      writeFileSync(join(at, 'tree', name), value);
      writeFileSync(join(at, 'tree', 'below', `${name}.conf`), value);
    }
    return join(at, 'tree');
  };

  test('copy: done, atomic, in the way, a full volume, a link, what cannot be read', async () => {
    const copy = (words: (at: string) => readonly string[], says?: RegExp) =>
      leaks({ args: (at) => ['copy', tree(at), ...words(at)], ...(says ? { says } : {}) });
    expect(await copy((at) => [`${at}/out`])).toEqual([]);
    expect(await copy((at) => [`${at}/out`, '--atomic'])).toEqual([]);
    expect(await copy((at) => [`${at}/out`, '--dry-run'])).toEqual([]);
    expect(await copy((at) => [`${at}/in.json`])).toEqual([]);
    expect(await copy(() => ['/proc/out'])).toEqual([]);
    expect(
      await copy((at) => {
        mkdirSync(join(at, 'out', 'CANARY_3', 'x'), { recursive: true });
        return [`${at}/out`];
      }),
    ).toEqual([]);
    expect(
      await copy((at) => {
        symlinkSync('/etc', join(at, 'out'));
        return [`${at}/out`];
      }),
    ).toEqual([]);
    using full = mountTmpfs({ size: '1m' });
    expect(await copy(() => [join(full.path, 'out')], /full|space/)).toEqual([]);
  });

  test('chown: done, by reference, a mode, what is not there', async () => {
    const chown = (words: (at: string) => readonly string[]) =>
      leaks({ args: (at) => (tree(at), ['chown', ...words(at)]), own: /^tree/ });
    expect(await chown((at) => ['1000:1000', `${at}/tree`, '--mode', 'u=rw,g=r'])).toEqual([]);
    expect(await chown((at) => [`${at}/tree`, '--reference', `${at}/tree/CANARY_1`])).toEqual([]);
    expect(await chown((at) => ['1000:1000', `${at}/tree/CANARY_1/x`])).toEqual([]);
    expect(await chown(() => ['1000:1000', '/proc'])).toEqual([]);
  });

  test('install and schema and completion, with canaries in every variable that they could read', async () => {
    const env = Object.fromEntries(
      someCanaries(8).map(([, value], index) => [
        ['VAULT_TOKEN', 'DATABASE_URL', 'PGPASSWORD', 'AWS_SECRET_ACCESS_KEY', 'INITBOX_PLAN', 'HTTP_PROXY'][
          index
        ] ?? `CANARY_${index}`,
        value,
      ]),
    );
    for (const words of [
      ['install', '/proc/x'],
      ['install', '/dev/shm/nowhere/below'],
      ['install', '--check', '/tmp'],
      ['wait-tcp', '127.0.0.1:1', '--timeout', '200ms'],
      ['chown', '0:0', '/nowhere'],
    ])
      expect(await leaks({ args: () => words, env })).toEqual([]);
  });

  test('run: each command as a step, with canaries where secrets come from, and a plan that cannot be read', async () => {
    for (const [name, value] of someCanaries(14)) {
      const password = encodeURIComponent(value);
      const files = (at: string) => {
        writeFileSync(join(at, 'url'), `postgres://app:${password}@127.0.0.1:1/app`);
        writeFileSync(join(at, 'header'), 'X-Api-Key: ' + value.replace(/^ +| +$/g, '') + '\n');
        writeFileSync(join(at, 'token'), value);
        writeFileSync(join(at, 'template'), `a: \${${name}}\n`);
      };
      const nowhere = 'http://127.0.0.1:1';
      const steps: ((at: string) => object)[] = [
        () => ({ uses: 'wait-tcp', targets: ['127.0.0.1:1'] }),
        () => ({ uses: 'wait-dns', names: ['nowhere.test'], server: `127.0.0.1:${dns.port}` }),
        (at) => ({ uses: 'wait-http', urls: [nowhere], 'header-file': `${at}/header` }),
        (at) => ({ uses: 'wait-postgres', 'database-url-file': `${at}/url` }),
        (at) => ({ uses: 'migrate-with-lock', 'database-url-file': `${at}/url`, command: ['true'] }),
        (at) => ({
          uses: 'fetch-config',
          sources: ['vault:secret/a'],
          'vault-addr': nowhere,
          'vault-token-file': `${at}/token`,
          to: `${at}/out`,
        }),
        (at) => ({ uses: 'fetch-config', sources: [`file:${at}/in.json#nope`], to: `${at}/out` }),
        (at) => ({
          uses: 'render',
          templates: [`${at}/template`],
          data: [`${at}/in.json`],
          to: `${at}/out`,
          check: 'xml',
        }),
        (at) => ({ uses: 'copy', from: [`${at}/in.json`], to: '/proc/x' }),
        (at) => ({ uses: 'chown', owner: '0:0', paths: [`${at}/nowhere`] }),
        (at) => ({ uses: 'wait-postgres', 'database-url': `postgres://app:${password}@h/app`, to: at }),
      ];
      for (const step of steps)
        expect(
          await leaks({
            args(at) {
              files(at);
              const plan = { steps: [{ name: 'a', timeout: '300ms', ...step(at) }] };
              writeFileSync(join(at, 'plan.yaml'), JSON.stringify(plan));
              return ['run', `${at}/plan.yaml`];
            },
          }),
        ).toEqual([]);
    }
  });

  test('what runs under the lock, or as a step, gets no secret that came by a file or a source', async () => {
    const shows = [
      'sh',
      '-c',
      'sleep 0.2; tr "\\0" "\\n" < /proc/$PPID/cmdline; env; cat /proc/self/cmdline; exit 3',
    ];
    for (const [, value] of someCanaries(16)) {
      const url = new URL(database.url());
      // The server trusts whoever comes from this host: any password is right.
      url.password = encodeURIComponent(value);
      const login = (at: string) => {
        writeFileSync(join(at, 'url'), url.href);
        return join(at, 'url');
      };
      expect(
        await leaks({
          args: (at) => ['migrate-with-lock', '--database-url-file', login(at), '--', ...shows],
          says: /exit status 3|28P01|password/,
        }),
      ).toEqual([]);
      expect(
        await leaks({
          args(at) {
            const steps = [
              {
                name: 'fetch',
                uses: 'fetch-config',
                sources: [`file:${at}/in.json#CANARY_1`],
                to: `${at}/out`,
              },
              { name: 'also', uses: 'fetch-config', sources: [`file:${at}/env.json`], env: true },
              { name: 'other', command: shows, needs: ['fetch', 'also'] },
            ];
            writeFileSync(join(at, 'env.json'), JSON.stringify({ A: value }));
            writeFileSync(join(at, 'plan.yaml'), JSON.stringify({ steps }));
            return ['run', `${at}/plan.yaml`, '--', 'true'];
          },
          says: /exit status 3/,
        }),
      ).toEqual([]);
    }
  });

  test('a file with a secret in it that may not be read, is too long, or has several lines', async () => {
    for (const [, value] of someCanaries(18)) {
      const given =
        (text: string, mode = 0o600) =>
        (at: string) => {
          writeFileSync(join(at, 'secret'), text);
          chmodSync(join(at, 'secret'), mode);
          return join(at, 'secret');
        };
      for (const make of [
        given(`${value}\n${value}\n`),
        given(`${value}\0${value}`),
        given(value.repeat(2000)),
        given(`\ufeff${value}`),
      ])
        for (const words of [
          (path: string) => ['wait-postgres', '--database-url-file', path],
          (path: string) => ['wait-http', 'http://127.0.0.1:1', '--header-file', path],
          (path: string) => [
            'fetch-config',
            'vault:secret/a',
            '--vault-addr',
            'http://127.0.0.1:1',
            '--vault-token-file',
            path,
            '--to',
            '/dev/shm/initbox-none/out',
          ],
        ])
          expect(await leaks({ args: (at) => [...words(make(at)), '--timeout', '300ms'] })).toEqual([]);
    }
    rmSync('/tmp/initbox-canary', { force: true });
  });
});

function answerAsAws(request: IncomingMessage, response: ServerResponse): void {
  let body = '';
  request.on('data', (part: Buffer) => (body += part.toString()));
  request.on('end', () => {
    const path = request.url ?? '';
    const said = `${String(request.headers['x-amz-security-token'] ?? '')} ${request.headers.authorization ?? ''} ${body}`;
    const json = (status: number, value: unknown) =>
      response.writeHead(status, { 'Content-Type': 'application/x-amz-json-1.1' }).end(JSON.stringify(value));
    if (path.startsWith('/all')) json(200, { Name: 'app', SecretString: JSON.stringify(canaries) });
    else if (path.startsWith('/damaged/')) {
      const at = Number(path.split('/')[2]);
      const whole = JSON.stringify(canaries);
      json(200, { Name: 'app', SecretString: whole.slice(0, 700 * (at + 1)) + ' '.repeat(at) });
    } else if (path.startsWith('/type')) json(400, { __type: said, message: said });
    else if (path.startsWith('/throttled'))
      json(429, { __type: 'ThrottlingException', message: `slow down, ${said}` });
    else if (path.startsWith('/redirect'))
      response.writeHead(307, { Location: `http://127.0.0.1:1/?x=${encodeURIComponent(said)}` }).end();
    else if (path.startsWith('/html'))
      response.writeHead(503).end(`<html><title>${said}</title>${said}</html>`);
    else if (path.startsWith('/xml'))
      response
        .writeHead(403, { 'Content-Type': 'text/xml' })
        .end(
          `<ErrorResponse><Error><Type>Sender</Type><Code>InvalidIdentityToken</Code><Message>${said.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</Message></Error></ErrorResponse>`,
        );
    else if (path.startsWith('/none')) response.socket?.end(`HTTP/1.1 ${said}\r\n\r\n`);
    else json(400, { __type: 'InvalidRequestException', message: `not so: ${said}`, Message: said });
  });
}
