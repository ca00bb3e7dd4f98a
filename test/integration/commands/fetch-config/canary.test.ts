import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
// Secrets with distinct values go through every source, format and failure; whatever the program says is searched for
// them, and so is what other processes can see of it while it runs.
import { createServer } from 'node:http';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canMount, mountTmpfs, type Mounted } from '../../../support/faults.ts';
import { startInitbox, terminationLog } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { respond, startFaultServer, type Behaviour, type FaultServer } from './fault-server.ts';

const missing = requireOrSkip('canaries', canMount());

/** Every value has it, and nothing else does. */
const mark = 'CANARY';
const values = {
  field: `${mark}-field "quoted" $(id)`,
  other: `${mark}-other\nsecond line ${mark}`,
  number: `77${'7'.repeat(20)}`,
  token: `hvs.${mark}token`,
  secretId: `${mark}-secret-id`,
  header: `${mark}-header-value`,
  password: `${mark}-url-password`,
  awsKey: `${mark}awsSecretKey/+x`,
  awsSession: `${mark}awsSessionToken`,
  aws: `{"k":"${mark}-aws-value"}`,
  file: `${mark}-file-content`,
  env: `${mark}-env-value`,
};
/** The mark in base64, wherever it stands in what was encoded, and in hex. */
const marks = [
  ...[0, 1, 2].map((before) =>
    Buffer.from('x'.repeat(before) + mark)
      .toString('base64')
      .slice(Math.ceil((before * 8) / 6), Math.floor(((before + mark.length) * 8) / 6)),
  ),
  Buffer.from(mark).toString('hex'),
];
const search = new RegExp(`${mark}|7{15}|${marks.join('|')}`);

const json = { 'Content-Type': 'application/json' };
const answer = (status: number, body: unknown): Behaviour => respond(status, JSON.stringify(body), json);
const secretBody = `{"data":{"data":{"field":${JSON.stringify(values.field)},"other":${JSON.stringify(values.other)},"number":${values.number},"A-B":"${mark}-dashed","deep":{"in":"${mark}-deep"}},"metadata":{"version":3}}}`;

/** The failures of Vault, each with a value in its words, as a careless server might put them. */
const readings: Readonly<Record<string, Behaviour>> = {
  whole: respond(200, secretBody, json),
  truncated: respond(200, secretBody.slice(0, -40), json),
  'half a body': (socket) =>
    socket.end(
      `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n${secretBody}`,
    ),
  html: respond(200, `<html>${values.field}`, { 'Content-Type': 'text/html' }),
  denied: answer(403, { errors: [`permission denied for ${values.token}`] }),
  'echoing 400': answer(400, { errors: [`bad request by ${values.token} with ${values.secretId}`] }),
  'echoing where its words are cut': answer(400, { errors: [`${'x'.repeat(288)}${values.secretId}`] }),
  'echoing a page where it is cut': respond(400, `${'x'.repeat(190)}${values.secretId}`),
  absent: answer(404, { errors: [] }),
  error: answer(500, { errors: [`internal error near ${values.token}`] }),
};

const vaultServer = (reading: Behaviour): Promise<FaultServer> =>
  startFaultServer({
    '/v1/auth/approle/login': answer(200, {
      auth: { client_token: values.token, accessor: `${mark}-accessor`, policies: ['p'], lease_duration: 60 },
    }),
    '/v1/auth/token/revoke-self': respond(204, ''),
    '/v1/sys/internal/ui/mounts/secret/a': answer(200, {
      data: { path: 'secret/', type: 'kv', options: { version: '2' } },
    }),
    '/v1/secret/data/a': reading,
  });

describe.skipIf(missing)('no value leaves by another way than it should', () => {
  let volume: Mounted;
  let count = 0;
  const folder = (): string => {
    const path = join(volume.path, String(count++));
    mkdirSync(path);
    return path;
  };
  beforeAll(() => {
    volume = mountTmpfs({ size: '32m' });
  });
  afterAll(() => volume[Symbol.dispose]());

  let runs = 0;
  /** Runs it with all of its output at debug level, as text and as JSON in turn; returns the status. */
  async function watched(
    args: readonly string[],
    env: Record<string, string>,
    { own = [], timeout = '30s' }: { own?: readonly string[]; timeout?: string } = {},
  ): Promise<number | null> {
    const log = terminationLog();
    const ours = [
      '--log-level',
      'debug',
      '--log-format',
      runs++ % 2 === 0 ? 'text' : 'json',
      '--timeout',
      timeout,
    ];
    const running = await startInitbox(['fetch-config', ...ours, '--termination-log', log.path, ...args], {
      env,
    });
    const visible: string[] = [];
    const look = setInterval(() => visible.push(...othersSee(running.pid)), 20);
    const { status, stdout, stderr } = await running.exit;
    clearInterval(look);
    expect(stdout, 'standard output').not.toMatch(search);
    expect(stderr, 'standard error').not.toMatch(search);
    expect(log.read(), 'the last words').not.toMatch(search);
    const seen = visible.filter((text) => search.test(text) && !own.some((word) => text.includes(word)));
    expect(seen, 'what others see').toEqual([]);
    expect(stderr).not.toMatch(/^\s+at .*:\d+:\d+/m);
    return status;
  }

  /** Command lines of the program and its children, and the environment of its children. */
  function othersSee(pid: number): string[] {
    const read = (path: string): string => {
      try {
        return readFileSync(path, 'utf8');
      } catch {
        return ''; // it has ended
      }
    };
    const children = read(`/proc/${pid}/task/${pid}/children`).split(' ').filter(Boolean);
    return [
      read(`/proc/${pid}/cmdline`),
      ...children.flatMap((child) => [read(`/proc/${child}/cmdline`), read(`/proc/${child}/environ`)]),
    ];
  }

  test('Vault that echoes a login where its words are cut', async () => {
    const echo = `invalid secret id ${'x'.repeat(272)}${values.secretId}`;
    await using server = await startFaultServer({
      '/v1/auth/approle/login': answer(400, { errors: [echo] }),
    });
    const place = folder();
    const args = ['vault:secret/a', '--to', join(place, 'out'), ...flags(place)];
    expect(await watched(args, { VAULT_ADDR: server.url })).toBe(69);
  });

  const quoted = `${mark}"Qk9v W2'mP\\L7&rT4wB`;
  const echoes: Readonly<Record<string, (body: string) => string>> = {
    'as a string in JSON': (body) => JSON.stringify({ detail: `rejected ${body}` }),
    'as a string in JSON, among the errors': (body) => JSON.stringify({ errors: [`rejected ${body}`] }),
    'as a string in JSON in JSON': (body) =>
      JSON.stringify({ detail: JSON.stringify({ upstream: `rejected ${body}` }) }),
    'in a URL': (body) => `rejected /v1/login?body=${encodeURIComponent(body)}`,
    'as a form': (body) =>
      `rejected ${new URLSearchParams(JSON.parse(body) as Record<string, string>).toString()}`,
    'in HTML': (body) => `<pre>${body.replaceAll('&', '&amp;').replaceAll('"', '&quot;')}</pre>`,
    'in base64': (body) => JSON.stringify({ detail: Buffer.from(body).toString('base64') }),
    'in hex': (body) => `rejected ${Buffer.from(body).toString('hex')}`,
  };
  test.each(Object.keys(echoes))('Vault that repeats the body of a login %s', async (name) => {
    let repeated = 0;
    await using server = await startFaultServer({
      '/v1/auth/userpass/login/me': (socket, request) => {
        const body = request.slice(request.indexOf('\r\n\r\n') + 4);
        if (body.includes('password')) repeated++;
        respond(400, echoes[name]!(body), { 'Content-Type': 'text/plain' })(socket, request);
      },
    });
    const place = folder();
    writeFileSync(join(place, '.password'), quoted);
    const user = ['--vault-user', 'me', '--vault-password-file', join(place, '.password')];
    expect(
      await watched(['vault:secret/a', '--to', join(place, 'f'), ...user], { VAULT_ADDR: server.url }),
    ).toBe(69);
    expect(repeated).toBeGreaterThan(0);
  });

  const flags = (place: string): string[] => {
    writeFileSync(join(place, '.id'), values.secretId);
    return ['--vault-role-id', 'role', '--vault-secret-id-file', join(place, '.id')];
  };

  test.each(['raw', 'json', 'yaml', 'dotenv', 'env-file', 'properties', 'shell', 'files'])(
    'Vault, as %s',
    async (format) => {
      await using server = await vaultServer(readings['whole'] as Behaviour);
      const place = folder();
      const out = format === 'files' ? folder() : join(place, 'out');
      const status = await watched(['vault:secret/a', '--format', format, '--to', out, ...flags(place)], {
        VAULT_ADDR: server.url,
      });
      // json and yaml hold all of it; the others refuse the object, or the dash, and must not show it.
      expect(status).toBe(format === 'json' || format === 'yaml' ? 0 : 69);
      const picked = await watched(
        [
          'vault:secret/a#field',
          '--format',
          format === 'files' ? 'raw' : format,
          '--to',
          join(place, 'picked'),
          ...flags(place),
        ],
        { VAULT_ADDR: server.url },
      );
      expect(picked).toBe(0);
      expect(readFileSync(join(place, 'picked'), 'utf8')).toContain(mark);
    },
  );

  test.each(Object.keys(readings))('Vault that answers: %s', async (name) => {
    await using server = await vaultServer(readings[name] as Behaviour);
    const place = folder();
    // Two of them are waited for.
    const patience = { timeout: name === 'error' || name === 'half a body' ? '1s' : '30s' };
    await watched(
      ['vault:secret/a', '--dry-run', '--format', 'json', '--to', join(place, 'f'), ...flags(place)],
      { VAULT_ADDR: server.url },
      patience,
    );
    await watched(
      ['vault:secret/a#nope', '--to', join(place, 'f'), ...flags(place)],
      {
        VAULT_ADDR: server.url,
      },
      patience,
    );
    await watched(
      ['vault:secret/a', '--env', ...flags(place), '--', 'true'],
      { VAULT_ADDR: server.url },
      patience,
    );
    await watched(
      [
        'vault:secret/a',
        'vault:secret/a?version=3',
        '--format',
        'json',
        '--to',
        join(place, 'f'),
        ...flags(place),
      ],
      { VAULT_ADDR: server.url },
      patience,
    );
    expect(readdirSync(place)).toEqual(['.id']);
  });

  test('a login that is refused with the credentials in its words', async () => {
    await using server = await startFaultServer({
      '/v1/auth/approle/login': answer(400, { errors: [`invalid secret id ${values.secretId}`] }),
    });
    const place = folder();
    expect(
      await watched(['vault:secret/a', '--to', join(place, 'f'), ...flags(place)], {
        VAULT_ADDR: server.url,
      }),
    ).toBe(69);
    expect(
      await watched(['vault:secret/a', '--to', join(place, 'f')], {
        VAULT_ADDR: server.url,
        VAULT_TOKEN: values.token,
      }),
    ).toBe(69);
  });

  test('http with headers, a password, a field, a wrong sum; a redirect that repeats them', async () => {
    await using server = await startFaultServer({
      '/f': respond(200, `{"a":"${values.header}","b":"${mark}-body"}`),
      '/r': respond(302, '', { Location: `http://localhost:1/x?token=${values.header}` }),
      '/e': respond(500, values.header),
    });
    const place = folder();
    writeFileSync(join(place, '.headers'), `Authorization: Bearer ${values.header}\n`);
    const base = ['--header-file', join(place, '.headers'), '--to', join(place, 'f')];
    expect(await watched([`${server.url}/f`, ...base], {})).toBe(0);
    await watched([`${server.url}/f#a`, ...base], {});
    await watched([`${server.url}/f#none`, ...base], {});
    await watched([`${server.url}/f`, ...base, '--sha256', '0'.repeat(64)], {});
    await watched([`${server.url}/r`, ...base], {});
    await watched([`${server.url}/e`, ...base], {}, { timeout: '1s' });
    // This one is in the program's own argv, where the user put it, and it is warned about.
    await watched(
      [`${server.url.replace('://', `://u:${values.password}@`)}/f`, '--to', join(place, 'g')],
      {},
      { own: [values.password] },
    );
  });

  test('Secrets Manager, with failures that repeat what was sent', async () => {
    let status = 200;
    const server = createServer((request, response) => {
      request.resume();
      const body =
        status === 200
          ? { Name: 'a', SecretString: values.aws, VersionId: 'v' }
          : { __type: 'AccessDeniedException', message: `denied for ${values.awsKey} ${values.awsSession}` };
      response.writeHead(status, { 'Content-Type': 'application/x-amz-json-1.1' }).end(JSON.stringify(body));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const env = {
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
      AWS_SECRET_ACCESS_KEY: values.awsKey,
      AWS_SESSION_TOKEN: values.awsSession,
      AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    };
    const place = folder();
    expect(await watched(['aws-sm:a', '--to', join(place, 'f')], env)).toBe(0);
    await watched(['aws-sm:a#none', '--to', join(place, 'f')], env);
    await watched(['aws-sm:a', '--dry-run'], env);
    status = 400;
    expect(await watched(['aws-sm:a', '--to', join(place, 'f')], env)).toBe(69);
    server.close();
  });

  test('files and variables', async () => {
    const place = folder();
    writeFileSync(join(place, '.source'), values.file);
    const env = { APP_ONE: values.env, APP_TWO: values.other };
    expect(await watched([`file:${join(place, '.source')}`, '--to', join(place, 'f')], env)).toBe(0);
    await watched([`file:${join(place, '.source')}`, '--format', 'dotenv', '--to', join(place, 'g')], env);
    await watched([`file:${join(place, '.source')}#x`, '--to', join(place, 'g')], env);
    expect(await watched(['env:APP_*', '--format', 'dotenv', '--to', join(place, 'h')], env)).toBe(0);
    await watched(['env:APP_*', '--to', join(place, 'h')], env);
  });

  test('a source that was mistyped, with a password in it', async () => {
    const wrong = [
      `htps://u:${values.password}@host/x`,
      `https://u:${values.password}/x@host/x`,
      `https://u:${values.password}@/x`,
      `https://u:${values.password}@host/a#b#c`,
    ];
    for (const source of wrong) {
      expect(await watched([source, '--to', '/dev/shm/x'], {}, { own: [values.password] })).toBe(2);
    }
  });
});
