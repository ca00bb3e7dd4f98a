import { readFileSync, readdirSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';

import { canMount } from '../../../support/faults.ts';
import { memoryFolders } from '../../../support/memory-folders.ts';
import { canUseMoto, startMoto, type Moto } from '../../../support/moto.ts';
import { runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

const missing = requireOrSkip('fetch-config from Parameter Store', canUseMoto() ?? canMount());

const folder = memoryFolders();

describe.skipIf(missing)('a Parameter Store server', () => {
  let moto: Moto;
  beforeAll(async () => {
    moto = await startMoto();
    const put = async (Name: string, Value: string, Type = 'SecureString', more = {}) => {
      const { status } = await moto.parameterStore('PutParameter', { Name, Value, Type, ...more });
      expect(status).toBe(200);
    };
    await put('/app/key', 'first-canary');
    await put('/app/key', 'second-canary', 'SecureString', { Overwrite: true });
    await moto.parameterStore('LabelParameterVersion', {
      Name: '/app/key',
      ParameterVersion: 1,
      Labels: ['old'],
    });
    await put('/app/db/password', 'db-canary');
    await put('/app/level', 'info', 'String');
    await put('plain', 'a plain text', 'String');
    await put('json', '{"user":"api","port":5432,"ratio":1.10}', 'String');
    for (let n = 0; n < 25; n++) await put(`/many/${n}`, `value ${n}`, 'String');
  });
  afterAll(() => moto.stop());

  const fetchConfig = (args: readonly string[], env: Record<string, string> = {}) =>
    runInitbox(['fetch-config', ...args, '--log-level', 'debug', '--timeout', '20s'], {
      env: { ...moto.env, ...env },
    });

  test('one parameter, decrypted; by version and by label; a field of its JSON', async () => {
    const place = folder();
    const run = async (source: string) => {
      const { status, stderr } = await fetchConfig([source, '--to', join(place, 'f')]);
      expect(stderr).not.toContain('canary');
      expect(status).toBe(0);
      return readFileSync(join(place, 'f'), 'utf8');
    };
    expect(await run('aws-ssm:/app/key')).toBe('second-canary');
    expect(await run('aws-ssm:/app/key?version=1')).toBe('first-canary');
    expect(await run('aws-ssm:/app/key?label=old')).toBe('first-canary');
    expect(await run('aws-ssm:plain')).toBe('a plain text');
    expect(await run('aws-ssm:json#ratio')).toBe('1.10');
  });

  test('a path, with all below it, page by page; in a run with Secrets Manager, by one login', async () => {
    const place = folder();
    await moto.secretsManager('CreateSecret', { Name: 'beside', SecretString: '{"token":"sm-canary"}' });
    const { status, stderr } = await fetchConfig([
      'aws-ssm:/app/',
      'aws-sm:beside',
      '--format',
      'json',
      '--to',
      join(place, 'app.json'),
    ]);
    expect(status).toBe(0);
    expect(JSON.parse(readFileSync(join(place, 'app.json'), 'utf8'))).toEqual({
      key: 'second-canary',
      level: 'info',
      'db/password': 'db-canary',
      token: 'sm-canary',
    });
    expect(stderr.match(/info .*credentials from environment keys/g)).toHaveLength(1);
    expect(stderr).not.toContain('canary');
    const many = await fetchConfig(['aws-ssm:/many/', '--format', 'files', '--to', join(place, 'many')]);
    expect(many.status).toBe(0);
    expect(readdirSync(join(place, 'many')).filter((name) => !name.startsWith('..'))).toHaveLength(25);
    expect(readFileSync(join(place, 'many/24'), 'utf8')).toBe('value 24');
    const again = await fetchConfig(['aws-ssm:/many/', '--format', 'files', '--to', join(place, 'many')]);
    expect(again.stderr).toContain('unchanged');
    const picked = await fetchConfig(['aws-ssm:/app/#db/password', '--to', join(place, 'password')]);
    expect(picked.status).toBe(0);
    expect(readFileSync(join(place, 'password'), 'utf8')).toBe('db-canary');
  });

  test('everything: also what has no slash before its name', async () => {
    const place = folder();
    const { status, stderr } = await fetchConfig(['aws-ssm:/', '--format', 'json', '--to', join(place, 'f')]);
    expect(status, stderr).toBe(0);
    const found = JSON.parse(readFileSync(join(place, 'f'), 'utf8')) as Record<string, unknown>;
    expect(found).toMatchObject({
      plain: 'a plain text',
      'app/key': 'second-canary',
      'app/db/password': 'db-canary',
      'many/24': 'value 24',
    });
    const field = await fetchConfig(['aws-ssm:/#plain', '--to', join(place, 'plain')]);
    expect(field.status, field.stderr).toBe(0);
    expect(readFileSync(join(place, 'plain'), 'utf8')).toBe('a plain text');
  });

  const refusals: readonly (readonly [string, RegExp])[] = [
    [
      'aws-ssm:/app/nope',
      /does not exist in eu-central-1[\s\S]*aws ssm describe-parameters --region eu-central-1/,
    ],
    ['aws-ssm:/app/key?version=9', /has no version "9" in eu-central-1/],
    ['aws-ssm:/app/key?label=nope', /has no version "nope" in eu-central-1/],
    ['aws-ssm:/nothing/', /has no parameter below it in eu-central-1/],
    ['aws-ssm:/app/#nope', /has no field "nope"[\s\S]*"key"/],
  ];
  test.each(refusals)('%s', async (source, words) => {
    const place = folder();
    const { status, stderr } = await fetchConfig([source, '--to', join(place, 'f')]);
    expect(stderr).toMatch(words);
    expect(stderr).not.toContain('canary');
    expect(status).toBe(69);
    expect(readdirSync(place)).toEqual([]);
  });

  test('--optional leaves out what does not exist', async () => {
    const place = folder();
    const { status, stderr } = await fetchConfig([
      'aws-ssm:/app/',
      'aws-ssm:/nothing/',
      'aws-ssm:/app/nope',
      '--optional',
      '--format',
      'json',
      '--to',
      join(place, 'f'),
    ]);
    expect(stderr).toMatch(/aws-ssm:\/nothing\/: left out/);
    expect(stderr).toMatch(/aws-ssm:\/app\/nope: left out/);
    expect(status).toBe(0);
  });

  test('a String may be public, and then goes to any volume; a SecureString may not', async () => {
    const disk = temporaryDirectory('parameters');
    onTestFinished(() => disk.remove());
    const content = await fetchConfig(['aws-ssm:/app/level', '--public', '--to', join(disk.path, 'level')]);
    expect(content.status).toBe(0);
    expect(readFileSync(join(disk.path, 'level'), 'utf8')).toBe('info');
    const kept = await fetchConfig(['aws-ssm:/app/level', '--to', join(disk.path, 'other')]);
    expect(kept.status).toBe(2);
    expect(kept.stderr).toContain('is not in memory');
    for (const source of ['aws-ssm:/app/key', 'aws-ssm:/app/']) {
      const secure = await fetchConfig([
        source,
        '--public',
        '--format',
        'json',
        '--to',
        join(disk.path, 'x'),
      ]);
      expect(secure.status).toBe(2);
      expect(secure.stderr).toMatch(/cannot be public: (it is|one of them is) a SecureString/);
      expect(secure.stderr).not.toContain('canary');
    }
    expect(readdirSync(disk.path)).toEqual(['level']);
  });

  test('--expect-role stops before a parameter is asked for', async () => {
    const place = folder();
    const { status, stderr } = await fetchConfig(
      ['aws-ssm:/app/key', '--to', join(place, 'f'), '--expect-role', 'api-server'],
      { AWS_ENDPOINT_URL_STS: moto.address },
    );
    expect(status).toBe(69);
    expect(stderr).toMatch(/are those of arn:aws:sts::\d{12}:\S+, not of the role api-server/);
  });
});

/** Answers as Parameter Store might, or as something that took its place. */
async function answering(
  answer: (request: IncomingMessage, body: Record<string, unknown>, response: ServerResponse) => void,
): Promise<{ env: Record<string, string>; requests: () => number } & Disposable> {
  let requests = 0;
  const server = createServer((request, response) => {
    requests++;
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () =>
      answer(request, JSON.parse(Buffer.concat(pieces).toString()) as Record<string, unknown>, response),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    env: {
      AWS_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'secret-canary',
      AWS_SESSION_TOKEN: 'session-canary',
      AWS_ENDPOINT_URL_SSM: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
    },
    requests: () => requests,
    [Symbol.dispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

const json = (response: ServerResponse, status: number, body: unknown, headers = {}): void => {
  response.writeHead(status, { 'Content-Type': 'application/x-amz-json-1.1', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
};
const parameter = (Name: string, Value: string) => ({ Name, Type: 'SecureString', Value, Version: 1 });

describe.skipIf(missing)('what answers in its place', () => {
  const run = (env: Record<string, string>, source = 'aws-ssm:/app/key', timeout = '10s') =>
    runInitbox(
      ['fetch-config', source, '--to', join(folder(), 'f'), '--log-level', 'debug', '--timeout', timeout],
      {
        env,
      },
    );

  test('throttling and failures pass', async () => {
    let count = 0;
    using server = await answering((_request, _body, response) => {
      count++;
      if (count <= 3) json(response, 400, { __type: 'ThrottlingException', message: 'Rate exceeded' });
      else if (count === 4) json(response, 503, 'no');
      else json(response, 200, { Parameter: parameter('/app/key', 'value') });
    });
    const { status, stderr } = await run(server.env, undefined, '20s');
    expect(stderr).toContain('is throttled by AWS (ThrottlingException)');
    expect(stderr).toContain('answered 503');
    expect(status).toBe(0);
    expect(server.requests()).toBe(5);
  });

  test('a clock that AWS refuses is put right, once', async () => {
    const dates: string[] = [];
    using server = await answering((request, _body, response) => {
      dates.push(String(request.headers['x-amz-date']));
      const date = { Date: 'Fri, 01 Jan 2027 12:00:00 GMT' };
      if (String(request.headers['x-amz-date']).startsWith('20270101T12'))
        json(response, 200, { Parameter: parameter('/app/key', 'value') }, date);
      else
        json(
          response,
          400,
          { __type: 'InvalidSignatureException', message: 'Signature expired: secret-canary' },
          date,
        );
    });
    const { status, stderr } = await run(server.env);
    expect(stderr).toContain('refused the clock of this node; asking with the time of AWS');
    expect(status).toBe(0);
    expect(dates).toHaveLength(2);
  });

  test.each([
    [
      'a denial names the statement',
      400,
      {
        __type: 'AccessDeniedException',
        message: 'User: arn:x is not authorized to perform: ssm:GetParameter',
      },
      /access is denied[\s\S]*"ssm:GetParameter","Resource":"arn:aws:ssm:eu-central-1:ACCOUNT:parameter\/app\/key"[\s\S]*kms:Decrypt/,
    ],
    [
      'a key that may not be used',
      400,
      { __type: 'InvalidKeyId', message: 'denied' },
      /could not be decrypted/,
    ],
    [
      'keys that have ended',
      400,
      { __type: 'com.amazonaws.ssm#ExpiredTokenException:http://x/', message: 'expired session-canary' },
      /rejected the credentials[\s\S]*\[redacted\]/,
    ],
    [
      'a page',
      200,
      '<html>secret-canary</html>',
      /gave an answer that is not from Parameter Store: it cannot be read/,
    ],
    ['a redirect', 302, '', /answered 302, a redirect, and what is signed goes to one place only/],
    ['an answer without an end', 200, ' '.repeat(2 << 20), /more than|larger than/],
  ])('%s ends it', async (_name, status, body, words) => {
    using server = await answering((_request, _body, response) =>
      json(response, status, body, status === 302 ? { Location: 'http://127.0.0.1:1/' } : {}),
    );
    const found = await run(server.env);
    expect(found.stderr).toMatch(words);
    expect(found.stderr).not.toContain('canary');
    expect(found.status).toBe(69);
  });

  test.each([
    ['another path', [parameter('/other/key', 'v')]],
    ['a name twice', [parameter('/app/a', 'v'), parameter('/app/a', 'w')]],
    ['the path itself', [parameter('/app/', 'v')]],
    ['no text', [{ ...parameter('/app/a', 'v'), Value: 7 }]],
    ['no type', [{ ...parameter('/app/a', 'v'), Type: 'never', state: 'never', status: 0 }]],
  ])('a list with %s is broken', async (_name, Parameters) => {
    using server = await answering((_request, _body, response) => json(response, 200, { Parameters }));
    const { status, stderr } = await runToDeadline(
      [
        'fetch-config',
        'aws-ssm:/app/',
        '--to',
        join(folder(), 'f'),
        '--format',
        'json',
        '--timeout',
        '1500ms',
      ],
      { env: server.env },
    );
    expect(stderr).toContain('answered 200 with a broken body');
    expect(status).toBe(124);
  });

  test.each([
    [
      'an answer about another parameter',
      'aws-ssm:/app/key',
      { Parameter: parameter('/other/key', 'other-canary') },
      'it has another parameter',
    ],
    [
      'an answer with the ARN of another parameter',
      'aws-ssm:/app/key',
      {
        Parameter: {
          ...parameter('/app/key', 'other-canary'),
          ARN: 'arn:aws:ssm:eu-central-1:1:parameter/other/key',
        },
      },
      'it has another parameter',
    ],
    [
      'an answer without its version',
      'aws-ssm:/app/key?version=4',
      { Parameter: { ...parameter('/app/key', 'other-canary'), Version: undefined } },
      'it has another version',
    ],
    [
      'an answer by another selector',
      'aws-ssm:/app/key?version=4',
      { Parameter: { ...parameter('/app/key', 'other-canary'), Version: 4, Selector: ':9' } },
      'it has another version',
    ],
    [
      'an answer about another version',
      'aws-ssm:/app/key?version=4',
      { Parameter: { ...parameter('/app/key', 'other-canary'), Version: 5 } },
      'it has another version',
    ],
    [
      'a list whose rest is itself',
      'aws-ssm:/app/',
      { Parameters: [], NextToken: 'same' },
      'NextToken leads to itself',
    ],
  ])('%s is broken', async (_name, source, answer, words) => {
    using server = await answering((_request, _body, response) => json(response, 200, answer));
    const place = folder();
    const { status, stderr } = await runToDeadline(
      ['fetch-config', source, '--to', join(place, 'f'), '--format', 'json', '--timeout', '1500ms'],
      { env: server.env },
    );
    expect(stderr).toContain(words);
    expect(stderr).not.toContain('canary');
    expect(status).toBe(124);
    expect(readdirSync(place)).toEqual([]);
  });

  test('names that lead out of a folder are not written', async () => {
    const place = folder();
    using server = await answering((_request, _body, response) =>
      json(response, 200, { Parameters: [parameter('/app/../../escaped', 'v')] }),
    );
    const { status } = await runInitbox(
      ['fetch-config', 'aws-ssm:/app/', '--to', join(place, 'in'), '--format', 'files', '--timeout', '10s'],
      { env: server.env },
    );
    expect(status).toBe(69);
    expect(readdirSync(place)).toEqual([]);
  });

  test('pages without an end are not read without an end', async () => {
    let page = 0;
    using server = await answering((_request, _body, response) =>
      json(response, 200, { Parameters: [], NextToken: `page ${(page += 1)}` }),
    );
    const { status, stderr } = await runToDeadline(
      ['fetch-config', 'aws-ssm:/app/', '--to', join(folder(), 'f'), '--format', 'json', '--timeout', '3s'],
      { env: server.env },
    );
    expect(stderr).toContain('100 lists in a row have no parameter');
    expect(status).toBe(124);
  });

  test('a signal ends it', async () => {
    using server = await answering(() => {});
    const program = await startInitbox(['fetch-config', 'aws-ssm:/app/key', '--to', join(folder(), 'f')], {
      env: server.env,
    });
    await expect.poll(() => server.requests()).toBe(1);
    program.kill('SIGTERM');
    expect((await program.exit).status).toBe(143);
  });
});
