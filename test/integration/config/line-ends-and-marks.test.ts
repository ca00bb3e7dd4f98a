// What editors and `echo` add to a value: a line end at its end, a byte order mark before it. Every reader of a credential.
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { runInitbox } from '../../support/program.ts';
import { temporaryDirectory } from '../../support/undo.ts';

const folder = temporaryDirectory('line-ends').path;
const to = ['--to', join(folder, 'out'), '--allow-disk', '--timeout', '20s'];
let count = 0;
const file = (text: string): string => {
  const path = join(folder, `file-${count++}`);
  writeFileSync(path, text);
  return path;
};

let server: Server;
let url: string;
let heard: { headers: IncomingHttpHeaders; body: string }[];
beforeAll(async () => {
  server = createServer((request, response) => {
    let body = '';
    request.on('data', (part: Buffer) => (body += part.toString()));
    request.on('end', () => {
      heard.push({ headers: request.headers, body });
      const login = { auth: { client_token: 'token-of-login', policies: [], lease_duration: 60 } };
      const vault = request.url?.startsWith('/v1/auth/') ? login : { data: { k: 'v' } };
      const aws = { SecretString: '{"k":"v"}', ARN: 'arn', Name: 'a' };
      const json = request.headers['x-amz-target'] === undefined ? vault : aws;
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(json));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => server.close());
beforeEach(() => {
  heard = [];
});

const aws = (): Record<string, string> => ({
  AWS_REGION: 'eu-central-1',
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'secret-access-key',
  AWS_SESSION_TOKEN: 'session-token',
  AWS_ENDPOINT_URL: url,
});

describe.each(['\n', '\r\n'])('%j at the end of', (end) => {
  test('AWS keys in variables: what is sent is what is sent without it', async () => {
    const signed = async (env: Record<string, string>) => {
      const { status, stderr } = await runInitbox(['fetch-config', 'aws-sm:a', ...to], { env });
      expect({ status, stderr }).toMatchObject({ status: 0 });
      return heard.at(-1)!.headers;
    };
    const keys = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN'];
    const ended = Object.fromEntries(keys.map((name) => [name, `${aws()[name]}${end}`]));
    const headers = await signed({ ...aws(), ...ended });
    expect(headers['x-amz-security-token']).toBe('session-token');
    expect(headers.authorization).toMatch(/Credential=AKIDEXAMPLE\//);
  });

  test('Vault’s token in a variable, and credentials in files', async () => {
    const cases: [words: string[], env: Record<string, string>, sent: RegExp][] = [
      [[], { VAULT_TOKEN: `token-of-variable${end}` }, /^token-of-variable$/],
      [['--vault-token-file', file(`token-of-file${end}`)], {}, /^token-of-file$/],
      [
        ['--vault-role-id', 'r', '--vault-secret-id-file', file(`secret-id${end}`)],
        {},
        /"secret_id":"secret-id"/,
      ],
      [['--vault-user', 'u', '--vault-password-file', file(`pass-word${end}`)], {}, /"password":"pass-word"/],
    ];
    for (const [words, env, sent] of cases) {
      heard = [];
      const { status, stderr } = await runInitbox(['fetch-config', 'vault:secret/a?kv=1', ...words, ...to], {
        env: { VAULT_ADDR: url, ...env },
      });
      expect({ status, stderr }).toMatchObject({ status: 0 });
      expect(heard.flatMap(({ headers, body }) => [headers['x-vault-token'], body])).toContainEqual(
        expect.stringMatching(sent),
      );
    }
  });

  test('a variable of PostgreSQL is told by its name', async () => {
    const pg = {
      PGHOST: '127.0.0.1',
      PGPORT: '1',
      PGUSER: 'app',
      PGPASSWORD: 'pass-word',
      PGDATABASE: 'app',
    };
    for (const [name, value] of Object.entries(pg)) {
      const { status, stderr } = await runInitbox(['wait-postgres', '--timeout', '300ms'], {
        env: { ...pg, [name]: value + end },
      });
      expect(stderr).toContain(`${name} ends with a line end`);
      expect(stderr).not.toContain('pass-word');
      expect(status).toBe(2);
    }
  });
});

test('a byte order mark before what is read from a file', async () => {
  const mark = '\ufeff';
  const home = join(folder, 'home');
  mkdirSync(home);
  writeFileSync(join(home, '.vault-token'), `${mark}token-of-home`);
  const cases: [words: string[], env: Record<string, string>, sent: RegExp][] = [
    [['vault:secret/a?kv=1', '--vault-token-file', file(`${mark}token-of-file`)], {}, /^token-of-file$/],
    [['vault:secret/a?kv=1'], { HOME: home }, /^token-of-home$/],
    [[`${url}/`, '--header-file', file(`${mark}X-Vault-Token: of-header`)], {}, /^of-header$/],
  ];
  for (const [words, env, sent] of cases) {
    heard = [];
    const { status, stderr } = await runInitbox(['fetch-config', ...words, ...to], {
      env: { VAULT_ADDR: url, ...env },
    });
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(heard[0]!.headers['x-vault-token']).toMatch(sent);
  }
  const database = file(`${mark}postgres://app:pass-word@127.0.0.1:1/app\n`);
  const waited = await runInitbox(['wait-postgres', '--database-url-file', database, '--timeout', '300ms']);
  expect(waited.stderr).toContain('connection refused');
  const plan = file(`${mark}steps:\n  - name: a\n    uses: wait-tcp\n    targets: 127.0.0.1:1\n`);
  expect((await runInitbox(['run', plan, '--dry-run'])).status).toBe(0);
  const spec = file(
    `${mark}files:\n  - path: ${join(folder, 'made')}\n    from: [{source: 'env:HOME', public: true}]\n`,
  );
  expect((await runInitbox(['fetch-config', '--spec', spec])).status).toBe(0);
  const passwords = file(`${mark}127.0.0.1:1:app:app:pass-word\n`);
  const pg = { PGHOST: '127.0.0.1', PGPORT: '1', PGUSER: 'app', PGDATABASE: 'app', PGPASSFILE: passwords };
  expect((await runInitbox(['wait-postgres', '--timeout', '300ms'], { env: pg })).stderr).toContain(
    'refused',
  );
  const source = file(`${mark}{"k":"v"}`);
  const fetched = await runInitbox(['fetch-config', `file:${source}#k`, '--public', ...to]);
  expect(fetched.status).toBe(0);
});
