import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canMount } from '../../../support/faults.ts';
import { memoryFolders } from '../../../support/memory-folders.ts';
import { canUseMoto, startMoto, type Moto } from '../../../support/moto.ts';
import { freePort } from '../../../support/ports.ts';
import { runInitbox, runToDeadline } from '../../../support/program.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { requireOrSkip } from '../../../support/tools.ts';

const missing = requireOrSkip('fetch-config from Secrets Manager', canUseMoto() ?? canMount());

const folder = memoryFolders();

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
    runInitbox(
      [
        'fetch-config',
        ...args,
        '--log-level',
        'debug',
        ...(args.includes('--timeout') ? [] : ['--timeout', '20s']),
      ],
      {
        env: { ...moto.env, ...env },
      },
    );

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
    ['aws-sm:prod/api#nope', /has no field "nope"[\s\S]*it has the fields "user"/],
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

  /** Answers each request by what the list says, the last one from then on. */
  async function answering(
    ...answers: readonly (readonly [status: number, type: string, body: string])[]
  ): Promise<{ url: string; count: () => number } & Disposable> {
    let asked = 0;
    const server = createServer((_request, response) => {
      const [status, type, body] = answers[Math.min(asked++, answers.length - 1)] ?? [500, '', ''];
      response.writeHead(status, { 'Content-Type': type }).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return {
      url: `http://127.0.0.1:${(server.address() as { port: number }).port}`,
      count: () => asked,
      [Symbol.dispose]() {
        server.close();
      },
    };
  }

  const stsError = (code: string, message: string): readonly [number, string, string] => [
    403,
    'text/xml',
    `<ErrorResponse><Error><Type>Sender</Type><Code>${code}</Code><Message>${message}</Message></Error></ErrorResponse>`,
  ];
  const noKeys = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' };

  test('an agent for credentials that is not up yet is waited for; one that says no is quoted', async () => {
    const place = folder();
    writeFileSync(join(place, '.token'), 'pod-canary');
    const given = JSON.stringify({
      AccessKeyId: 'ASIAEXAMPLE',
      SecretAccessKey: 'secret-canary',
      Token: 'session-canary',
      Expiration: new Date(Date.now() + 3_600_000).toISOString(),
    });
    const run = (uri: string, token = '.token', timeout = '20s') =>
      fetchConfig(['aws-sm:text', '--to', join(place, 'f'), '--timeout', timeout], {
        ...noKeys,
        AWS_CONTAINER_CREDENTIALS_FULL_URI: `${uri}/v1/credentials`,
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: join(place, token),
      });
    // More failures than the SDK itself repeats.
    const failing = Array.from({ length: 7 }, () => [500, 'text/plain', 'no'] as const);
    using late = await answering(...failing, [200, 'application/json', given]);
    const waited = await run(late.url);
    expect(waited.stderr).toMatch(/the agent for credentials at 127\.0\.0\.1:\d+ answered 500/);
    expect(waited.status).toBe(0);

    using refusing = await answering([
      403,
      'application/json',
      '{"message":"no association for pod-canary"}',
    ]);
    const refused = await run(refusing.url);
    expect(refused.stderr).toMatch(/answered 403: no association for \[redacted\][\s\S]*Pod Identity/);
    expect(refused.status).toBe(69);

    const absent = await run(`http://127.0.0.1:${await freePort()}`, '.token', '5s');
    expect(absent.stderr).toMatch(/the agent for credentials at 127\.0\.0\.1:\d+: connection refused/);
    expect(absent.status).toBe(124);

    const tokenless = await run(refusing.url, '.nothing');
    expect(tokenless.stderr).toMatch(/\.nothing cannot be read \(ENOENT\)/);
    expect(tokenless.status).toBe(2);
    expect(waited.stderr + refused.stderr + absent.stderr + tokenless.stderr).not.toContain('canary');
  });

  test('IRSA that fails: a trust policy, a missing token, and STS that is not there', async () => {
    const place = folder();
    writeFileSync(join(place, '.token'), 'e30.e30.signature-canary');
    using sts = await answering(
      stsError('AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity'),
    );
    const run = (url: string, token: string, timeout = '10s') =>
      fetchConfig(['aws-sm:text', '--to', join(place, 'f'), '--timeout', timeout], {
        ...noKeys,
        AWS_ENDPOINT_URL_STS: url,
        AWS_WEB_IDENTITY_TOKEN_FILE: join(place, token),
        AWS_ROLE_ARN: 'arn:aws:iam::123456789012:role/api-server',
      });
    const denied = await run(sts.url, '.token');
    expect(denied.stderr).toMatch(/the role was not granted: Not authorized[\s\S]*hint: .*trust policy/);
    expect(denied.stderr).not.toContain('secretsmanager:GetSecretValue');
    expect(denied.status).toBe(69);
    const tokenless = await run(sts.url, '.nothing');
    expect(tokenless.stderr).toMatch(/\.nothing cannot be read \(ENOENT\)[\s\S]*AWS_WEB_IDENTITY_TOKEN_FILE/);
    expect(tokenless.status).toBe(2);
    const absent = await run(`http://127.0.0.1:${await freePort()}`, '.token', '2s');
    expect(absent.stderr).toContain('connection refused');
    expect(absent.status).toBe(124);
  });

  test('--expect-role where STS does not take the keys ends at once; where it is too busy it is asked again', async () => {
    const run = (url: string) =>
      fetchConfig(['aws-sm:text', '--to', join(folder(), 'f'), '--expect-role', 'api-server'], {
        AWS_ENDPOINT_URL_STS: url,
      });
    using refusing = await answering(stsError('InvalidClientTokenId', 'The security token is invalid.'));
    const refused = await run(refusing.url);
    expect(refused.stderr).toContain(
      'STS answered 403: InvalidClientTokenId: The security token is invalid.',
    );
    expect(refused.status).toBe(69);
    const session = 'arn:aws:sts::123456789012:assumed-role/api-server/pod';
    using busy = await answering(
      [400, 'text/xml', '<Code>Throttling</Code>'],
      [503, 'text/xml', ''],
      [200, 'text/xml', `<Arn>${session}</Arn>`],
    );
    const taken = await run(busy.url);
    expect(taken.stderr).toContain(`which is the expected role (${session})`);
    expect(taken.status).toBe(0);
    expect(busy.count()).toBe(3);
  });

  test('what the SDK has to say goes through the log', async () => {
    const { stderr } = await fetchConfig(['aws-sm:text', '--to', join(folder(), 'f'), '--timeout', '5s'], {
      AWS_PROFILE: 'none',
      HOME: folder(),
    });
    expect(stderr).toMatch(/^\S+ warn  fetch-config: .*Multiple credential sources detected/m);
    for (const line of stderr.trimEnd().split('\n')) expect(line).toMatch(/^\d{4}-/);
  });

  test('a region that is none is a mistake of the environment', async () => {
    const { status, stderr } = await fetchConfig(['aws-sm:text', '--to', join(folder(), 'f')], {
      AWS_REGION: 'Frankfurt am Main',
    });
    expect(status).toBe(2);
    expect(stderr).toContain('AWS_REGION is "Frankfurt am Main", not a region such as eu-central-1');
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
          ARN: 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:text-AbCdEf',
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

  test('https: an authority of one’s own, by a proxy, and without it to hosts that need none', async () => {
    using authority = await createCertificateAuthority();
    const pair = await authority.server(['secrets.internal', 'localhost']);
    const server = createSecureServer({ cert: pair.certificate, key: pair.key }, (request, response) => {
      request.resume();
      response
        .writeHead(200, { 'Content-Type': 'application/x-amz-json-1.1' })
        .end(JSON.stringify({ Name: 'text', SecretString: 'over tls', VersionId: 'v' }));
    });
    const seen: string[] = [];
    const proxy = createServer();
    proxy.on('connect', (request, socket: Socket) => {
      seen.push(`${request.url} ${request.headers['proxy-authorization']}`);
      const onward = connect((server.address() as { port: number }).port, '127.0.0.1', () => {
        socket.write('HTTP/1.1 200 OK\r\n\r\n');
        socket.pipe(onward).pipe(socket);
      });
      socket.on('error', () => onward.destroy());
      onward.on('error', () => socket.destroy());
    });
    await Promise.all(
      [server, proxy].map((one) => new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve))),
    );
    const target = join(folder(), 'f');
    const run = async (endpoint: string) => {
      rmSync(target, { force: true });
      const { status, stderr } = await runInitbox(
        ['fetch-config', 'aws-sm:text', '--to', target, '--timeout', '10s', '--log-level', 'debug'],
        {
          env: {
            AWS_REGION: 'eu-central-1',
            AWS_ACCESS_KEY_ID: 'k',
            AWS_SECRET_ACCESS_KEY: 's',
            AWS_CA_BUNDLE: authority.certificateFile,
            AWS_ENDPOINT_URL_SECRETS_MANAGER: endpoint,
            HTTPS_PROXY: `http://app:proxy-canary@localhost:${(proxy.address() as { port: number }).port}`,
          },
        },
      );
      expect(stderr).not.toContain('canary');
      expect(status).toBe(0);
      expect(readFileSync(target, 'utf8')).toBe('over tls');
    };
    await run('https://secrets.internal:8443');
    const pass = Buffer.from('app:proxy-canary').toString('base64');
    expect(seen).toEqual([`secrets.internal:8443 Basic ${pass}`]);
    await run(`https://localhost:${(server.address() as { port: number }).port}`);
    expect(seen).toHaveLength(1);
    server.close();
    proxy.close();
  });

  test('a refused connection, until the deadline; and no region', async () => {
    const env = {
      AWS_ACCESS_KEY_ID: 'k',
      AWS_SECRET_ACCESS_KEY: 's',
      AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://127.0.0.1:${await freePort()}`,
      HOME: folder(),
    };
    const refused = await runToDeadline(
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
