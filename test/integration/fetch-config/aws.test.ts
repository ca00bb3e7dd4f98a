import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { canMount, mountTmpfs, type Mounted } from '../../support/faults.ts';
import { canUseMoto, startMoto, type Moto } from '../../support/moto.ts';
import { freePort } from '../../support/ports.ts';
import { runInitbox } from '../../support/program.ts';
import { requireOrSkip } from '../../support/tools.ts';

const missing = requireOrSkip('fetch-config from Secrets Manager', canUseMoto() ?? canMount());

let volume: Mounted;
let count = 0;
function folder(): string {
  const path = join(volume.path, String(count++));
  mkdirSync(path);
  return path;
}
beforeAll(() => {
  volume = mountTmpfs({ size: '16m' });
});
afterAll(() => volume[Symbol.dispose]());

describe.skipIf(missing)('a Secrets Manager server', () => {
  let moto: Moto;
  let arn: string;
  beforeAll(async () => {
    moto = await startMoto();
    const json = '{"user":"api","port":5432,"ratio":1.10,"id":12345678901234567890}';
    arn = (
      (await moto.secretsManager('CreateSecret', { Name: 'prod/api', SecretString: json })).body as {
        ARN: string;
      }
    ).ARN;
    await moto.secretsManager('CreateSecret', { Name: 'text', SecretString: 'first text' });
    await moto.secretsManager('PutSecretValue', { SecretId: 'text', SecretString: 'second text' });
    await moto.secretsManager('CreateSecret', {
      Name: 'binary',
      SecretBinary: Buffer.from([0, 1, 2, 255]).toString('base64'),
    });
    await moto.secretsManager('CreateSecret', { Name: 'gone', SecretString: 'x' });
    await moto.secretsManager('DeleteSecret', { SecretId: 'gone', RecoveryWindowInDays: 7 });
  });
  afterAll(() => moto.stop());

  const fetchConfig = (args: readonly string[], env: Record<string, string> = {}) =>
    runInitbox(['fetch-config', ...args, '--log-level', 'debug', '--timeout', '20s'], {
      env: { ...moto.env, ...env },
    });

  test('keys of a JSON secret as files, with the digits of their numbers', async () => {
    const place = folder();
    const { status, stderr } = await fetchConfig(['aws-sm:prod/api', '--to', place, '--format', 'files']);
    expect(status).toBe(0);
    expect(stderr).toContain('credentials from environment keys');
    const read = (name: string) => readFileSync(join(place, name), 'utf8');
    expect([read('user'), read('port'), read('ratio'), read('id')]).toEqual([
      'api',
      '5432',
      '1.10',
      '12345678901234567890',
    ]);
  });

  test('by ARN, whose region counts; one field; a text as it is; a stage; bytes', async () => {
    const place = folder();
    const run = async (source: string, env: Record<string, string> = {}) => {
      const { status } = await fetchConfig([source, '--to', join(place, 'f')], env);
      expect(status).toBe(0);
      return readFileSync(join(place, 'f'));
    };
    expect((await run(`aws-sm:${arn}#user`, { AWS_REGION: '', AWS_DEFAULT_REGION: '' })).toString()).toBe(
      'api',
    );
    expect((await run('aws-sm:text')).toString()).toBe('second text');
    expect((await run('aws-sm:text?stage=AWSPREVIOUS')).toString()).toBe('first text');
    expect([...(await run('aws-sm:binary'))]).toEqual([0, 1, 2, 255]);
  });

  const refusals: readonly (readonly [string, RegExp])[] = [
    ['aws-sm:nope', /does not exist in eu-central-1[\s\S]*AWS_REGION/],
    ['aws-sm:gone', /cannot be read[\s\S]*restore-secret|does not exist/],
    ['aws-sm:prod/api#nope', /has no field "nope"[\s\S]*its fields are "user"/],
    ['aws-sm:text#field', /has no field "field": it is not JSON/],
    ['aws-sm:text?version=00000000-0000-0000-0000-000000000000', /has no version/],
  ];
  test.each(refusals)('%s', async (source, words) => {
    const place = folder();
    const { status, stderr } = await fetchConfig([source, '--to', join(place, 'f')]);
    expect(stderr).toMatch(words);
    expect(stderr).not.toMatch(/second text|12345678901234567890/);
    expect(status).toBe(69);
    expect(readdirSync(place)).toEqual([]);
  });

  test('a text that is no JSON has no keys to write', async () => {
    const { status, stderr } = await fetchConfig([
      'aws-sm:text',
      '--to',
      join(folder(), 'f'),
      '--format',
      'dotenv',
    ]);
    expect(status).toBe(69);
    expect(stderr).toContain('aws-sm:text has no fields to write as dotenv: it is not JSON');
  });

  test('--expect-role: STS is asked whose the keys are', async () => {
    const env = { AWS_ENDPOINT_URL_STS: moto.address };
    const place = folder();
    const wrong = await fetchConfig(
      ['aws-sm:text', '--to', join(place, 'f'), '--expect-role', 'api-server'],
      env,
    );
    expect(wrong.status).toBe(69);
    expect(wrong.stderr).toMatch(/are those of arn:aws:sts::\d{12}:\S+, not of the role api-server/);
    expect(readdirSync(place)).toEqual([]);
  });

  test('web identity (IRSA): the role is named, and the expected one is taken', async () => {
    const place = folder();
    // STS does not verify it here; the SDK reads it from the file that the pod's volume holds.
    writeFileSync(join(place, '.token'), 'e30.e30.signature-canary');
    const env = {
      AWS_ENDPOINT_URL_STS: moto.address,
      AWS_ACCESS_KEY_ID: '',
      AWS_SECRET_ACCESS_KEY: '',
      AWS_WEB_IDENTITY_TOKEN_FILE: join(place, '.token'),
      AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/api-server',
    };
    const { status, stderr } = await fetchConfig(
      ['aws-sm:text', '--to', join(place, 'f'), '--expect-role', 'api-server'],
      env,
    );
    expect(stderr).toContain(
      'web identity (IRSA), arn:aws:iam::123456789012:role/api-server, which is the expected role',
    );
    expect(status).toBe(0);
    expect(stderr).not.toContain('canary');
    const other = await fetchConfig(['aws-sm:text', '--to', join(place, 'f'), '--expect-role', 'other'], env);
    expect(other.status).toBe(69);
  });

  test('container credentials (Pod Identity): the token of its file is sent to the agent', async () => {
    const place = folder();
    writeFileSync(join(place, '.token'), 'pod-canary');
    const seen: (string | undefined)[] = [];
    const agent = createServer((request, response) => {
      seen.push(request.headers.authorization);
      response.setHeader('Content-Type', 'application/json').end(
        JSON.stringify({
          AccessKeyId: 'ASIAEXAMPLE',
          SecretAccessKey: 'secret-canary',
          Token: 'session-canary',
          Expiration: new Date(Date.now() + 3_600_000).toISOString(),
        }),
      );
    });
    await new Promise<void>((resolve) => agent.listen(0, '127.0.0.1', resolve));
    const { status, stderr } = await fetchConfig(['aws-sm:text', '--to', join(place, 'f')], {
      AWS_ACCESS_KEY_ID: '',
      AWS_SECRET_ACCESS_KEY: '',
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://127.0.0.1:${(agent.address() as { port: number }).port}/v1/credentials`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: join(place, '.token'),
    });
    agent.close();
    expect(stderr).toContain('container credentials (EKS Pod Identity or ECS)');
    expect(status).toBe(0);
    expect(seen).toEqual(['pod-canary']);
    expect(stderr).not.toContain('canary');
  });

  test('no credentials: said at once; the node’s role is not asked for', async () => {
    let asked = 0;
    const imds = createServer((_request, response) => {
      asked++;
      response.statusCode = 404;
      response.end();
    });
    await new Promise<void>((resolve) => imds.listen(0, '127.0.0.1', resolve));
    const env = {
      AWS_ACCESS_KEY_ID: '',
      AWS_SECRET_ACCESS_KEY: '',
      HOME: folder(),
      AWS_EC2_METADATA_SERVICE_ENDPOINT: `http://127.0.0.1:${(imds.address() as { port: number }).port}`,
    };
    const without = await fetchConfig(['aws-sm:text', '--to', join(folder(), 'f')], env);
    expect(without.status).toBe(69);
    expect(without.stderr).toMatch(
      /there are no credentials for AWS[\s\S]*eks\.amazonaws\.com\/role-arn[\s\S]*--aws-imds/,
    );
    expect(asked).toBe(0);
    await fetchConfig(['aws-sm:text', '--to', join(folder(), 'f'), '--aws-imds'], env);
    imds.close();
    expect(asked).toBeGreaterThan(0);
  });
});

describe.skipIf(missing)('what passes is waited for', () => {
  test('throttling, a server error, then the secret', async () => {
    let count_ = 0;
    const server = createServer((request, response) => {
      request.resume();
      count_++;
      const answer = (status: number, body: Record<string, unknown>): void => {
        response
          .writeHead(status, { 'Content-Type': 'application/x-amz-json-1.1' })
          .end(JSON.stringify(body));
      };
      if (count_ <= 5) answer(400, { __type: 'ThrottlingException', message: 'Rate exceeded' });
      else if (count_ === 6) answer(500, { __type: 'InternalServiceError', message: 'oops' });
      else
        answer(200, {
          ARN: 'a',
          Name: 'text',
          SecretString: 'after all',
          VersionId: 'v1',
          VersionStages: ['AWSCURRENT'],
        });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const target = join(folder(), 'f');
    const { status, stderr } = await runInitbox(
      ['fetch-config', 'aws-sm:text', '--to', target, '--log-level', 'debug', '--timeout', '20s'],
      {
        env: {
          AWS_REGION: 'eu-central-1',
          AWS_ACCESS_KEY_ID: 'k',
          AWS_SECRET_ACCESS_KEY: 'secret-canary',
          AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
        },
      },
    );
    server.close();
    expect(stderr).toContain('is throttled by AWS (ThrottlingException)');
    expect(status).toBe(0);
    expect(readFileSync(target, 'utf8')).toBe('after all');
    expect(count_).toBe(7);
  });

  test('a refused connection, until the deadline; and no region', async () => {
    const env = {
      AWS_ACCESS_KEY_ID: 'k',
      AWS_SECRET_ACCESS_KEY: 's',
      AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://127.0.0.1:${await freePort()}`,
      HOME: folder(),
    };
    const refused = await runInitbox(
      ['fetch-config', 'aws-sm:text', '--to', join(folder(), 'f'), '--timeout', '1500ms'],
      { env: { ...env, AWS_REGION: 'eu-central-1' } },
    );
    expect(refused.status).toBe(124);
    expect(refused.stderr).toMatch(/connection refused \(127\.0\.0\.1\)/);
    const nowhere = await runInitbox(
      ['fetch-config', 'aws-sm:text', '--to', join(folder(), 'f'), '--timeout', '5s'],
      { env },
    );
    expect(nowhere.status).toBe(2);
    expect(nowhere.stderr).toMatch(/no region is named[\s\S]*AWS_REGION/);
  });
});
