// Where AWS is asked, in every partition and with FIPS, as the proxy sees it; and whose the credentials are, each time.
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSocketServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { runInitbox } from '../../../support/program.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

const target = join(temporaryDirectory('partitions').path, 'target');
const args = ['fetch-config', 'aws-sm:a', '--to', target, '--allow-disk', '--timeout', '20s'];
const keys = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret-access-key' };

/** The hosts that a proxy is asked for; it refuses each with 403. */
async function hostsAsked(
  words: readonly string[],
  env: Record<string, string>,
): Promise<{ hosts: string[]; status: number | null; stderr: string }> {
  const hosts: string[] = [];
  const proxy = createSocketServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (head) => {
      hosts.push(/^CONNECT ([^ :]+)/.exec(head.toString())?.[1] ?? head.toString());
      socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n');
    });
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  try {
    const HTTPS_PROXY = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const { status, stderr } = await runInitbox([...args, ...words], {
      env: { ...keys, HTTPS_PROXY, ...env },
    });
    return { hosts: [...new Set(hosts)], status, stderr };
  } finally {
    proxy.close();
  }
}

describe('STS is asked in the partition of the region, as Secrets Manager is', () => {
  const fips = { AWS_USE_FIPS_ENDPOINT: 'true' };
  test.each<[region: string, env: Record<string, string>, sts: string, secrets: string]>([
    ['eu-central-1', {}, 'sts.eu-central-1.amazonaws.com', 'secretsmanager.eu-central-1.amazonaws.com'],
    ['cn-north-1', {}, 'sts.cn-north-1.amazonaws.com.cn', 'secretsmanager.cn-north-1.amazonaws.com.cn'],
    ['us-gov-west-1', {}, 'sts.us-gov-west-1.amazonaws.com', 'secretsmanager.us-gov-west-1.amazonaws.com'],
    ['us-iso-east-1', {}, 'sts.us-iso-east-1.c2s.ic.gov', 'secretsmanager.us-iso-east-1.c2s.ic.gov'],
    ['us-isob-east-1', {}, 'sts.us-isob-east-1.sc2s.sgov.gov', 'secretsmanager.us-isob-east-1.sc2s.sgov.gov'],
    [
      'eu-isoe-west-1',
      {},
      'sts.eu-isoe-west-1.cloud.adc-e.uk',
      'secretsmanager.eu-isoe-west-1.cloud.adc-e.uk',
    ],
    [
      'us-isof-south-1',
      {},
      'sts.us-isof-south-1.csp.hci.ic.gov',
      'secretsmanager.us-isof-south-1.csp.hci.ic.gov',
    ],
    ['eusc-de-east-1', {}, 'sts.eusc-de-east-1.amazonaws.eu', 'secretsmanager.eusc-de-east-1.amazonaws.eu'],
    ['us-east-1', fips, 'sts-fips.us-east-1.amazonaws.com', 'secretsmanager-fips.us-east-1.amazonaws.com'],
    [
      'us-gov-west-1',
      fips,
      'sts.us-gov-west-1.amazonaws.com',
      'secretsmanager-fips.us-gov-west-1.amazonaws.com',
    ],
  ])('%s %j', async (region, env, sts, secrets) => {
    const where = { AWS_REGION: region, ...env };
    expect((await hostsAsked(['--expect-role', 'app'], where)).hosts).toEqual([sts]);
    expect((await hostsAsked([], where)).hosts).toEqual([secrets]);
  });

  test.each(['AWS_USE_FIPS_ENDPOINT', 'AWS_USE_DUALSTACK_ENDPOINT'])('%s with another word', async (name) => {
    const { hosts, status, stderr } = await hostsAsked([], { AWS_REGION: 'us-east-1', [name]: 'yes' });
    expect(stderr).toContain(`${name} is "yes"; write true or false`);
    expect({ hosts, status }).toEqual({ hosts: [], status: 2 });
  });
});

test('--expect-role holds for keys that were renewed while initbox waits, in every region', async () => {
  const asked: string[] = [];
  let given = 0;
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      const key = /Credential=(\w+)/.exec(request.headers.authorization ?? '')?.[1];
      if (request.url === '/creds') {
        // They end within five minutes, so that they are renewed at each use.
        const Expiration = new Date(Date.now() + 60_000).toISOString();
        const AccessKeyId = given++ < 2 ? 'AKIDRIGHT' : 'AKIDWRONG';
        response.end(
          JSON.stringify({ AccessKeyId, SecretAccessKey: 'x'.repeat(20), Token: 't', Expiration }),
        );
      } else if (body.startsWith('Action=GetCallerIdentity')) {
        const role = key === 'AKIDRIGHT' ? 'app' : 'other';
        response.end(`<Arn>arn:aws:sts::123456789012:assumed-role/${role}/session</Arn>`);
      } else {
        asked.push(`${key}`);
        response.writeHead(503).end('{}');
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const arn = (region: string): string =>
    `aws-sm:arn:aws:secretsmanager:${region}:123456789012:secret:a-AbCdEf`;
  const { status, stderr } = await runInitbox(
    [
      'fetch-config',
      arn('eu-central-1'),
      arn('us-east-1'),
      '--format',
      'json',
      '--to',
      target,
      '--allow-disk',
      '--expect-role',
      'app',
      '--timeout',
      '20s',
    ],
    { env: { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${url}/creds`, AWS_ENDPOINT_URL: url } },
  );
  server.close();
  expect(stderr).toContain('not of the role app');
  expect(status).toBe(69);
  expect(asked).not.toContain('AKIDWRONG');
  expect(asked).toContain('AKIDRIGHT');
  expect(existsSync(target)).toBe(false);
});
