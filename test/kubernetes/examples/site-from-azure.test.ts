import { describe, expect, test } from 'vitest';

import { client, tenant } from '../../support/fake-azure.ts';
import { cloud, type CloudAnswer, cloudUrl, useCloud } from '../support/cloud.ts';
import { Example, noCluster } from '../support/example.ts';
import type { Thing } from '../support/kubectl.ts';
import { podSpecOf } from '../support/manifests.ts';
import { ended } from '../support/namespace.ts';

const token = 'of-good-news';
const secret = 'ann:apr1-of-good-news';
const pages = { 'index.html': '<h1>The site, from Azure</h1>', 'css/site.css': 'h1 { color: teal }' };
const etag = '0x8DC0FFEE';
const modified = 'Fri, 02 Jan 2026 03:04:05 GMT';

function azure(accepted: string): Promise<Thing[]> {
  const blobs = Object.entries(pages).map(
    ([name, text]) =>
      `<Blob><Name>public/${name}</Name><Properties><Last-Modified>${modified}</Last-Modified><Etag>${etag}</Etag><Content-Length>${text.length}</Content-Length></Properties></Blob>`,
  );
  const answers: CloudAnswer[] = [
    {
      path: `/${tenant}/oauth2/v2.0/token`,
      body: JSON.stringify({ token_type: 'Bearer', expires_in: 3599, access_token: token }),
      headers: { 'Content-Type': 'application/json' },
    },
    {
      path: '/shop/site',
      body: `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="site"><Prefix>public/</Prefix><Blobs>${blobs.join('')}</Blobs><NextMarker/></EnumerationResults>`,
      token: accepted,
    },
    ...Object.entries(pages).map(([name, body]) => ({
      path: `/shop/site/public/${name}`,
      body,
      headers: { ETag: `"${etag}"` },
      token: accepted,
    })),
    {
      path: '/secrets/site-htpasswd',
      body: JSON.stringify({
        value: secret,
        id: `https://shop.vault.azure.net/secrets/site-htpasswd/${'0'.repeat(32)}`,
        attributes: { enabled: true },
      }),
      headers: { 'Content-Type': 'application/json' },
      token: accepted,
    },
  ];
  return cloud('azure', answers);
}

/** What the webhook of Workload Identity adds to a pod with its label. */
function injectIdentity(example: Example): void {
  const mountPath = '/var/run/secrets/azure/tokens';
  const spec = podSpecOf(example.workload)!;
  const account = example.things.find(({ kind }) => kind === 'ServiceAccount');
  expect(account?.metadata['annotations']).toEqual({ 'azure.workload.identity/client-id': client });
  for (const container of spec.initContainers ?? []) {
    container.env = [
      ...(container.env ?? []),
      { name: 'AZURE_CLIENT_ID', value: client },
      { name: 'AZURE_TENANT_ID', value: tenant },
      { name: 'AZURE_FEDERATED_TOKEN_FILE', value: `${mountPath}/azure-identity-token` },
      { name: 'AZURE_AUTHORITY_HOST', value: `${cloudUrl('azure')}/` },
    ];
    container.volumeMounts = [
      ...(container.volumeMounts ?? []),
      { name: 'azure-identity-token', mountPath, readOnly: true },
    ];
  }
  const source = {
    path: 'azure-identity-token',
    audience: 'api://AzureADTokenExchange',
    expirationSeconds: 3600,
  };
  spec.volumes = [
    ...(spec.volumes ?? []),
    { name: 'azure-identity-token', projected: { sources: [{ serviceAccountToken: source }] } },
  ];
}

async function prepared(accepted: string): Promise<Example> {
  const example = await Example.create(import.meta.filename);
  await example.namespace.apply(await azure(accepted));
  await example.namespace.rolledOut('deployment/azure');
  injectIdentity(example);
  const url = `${cloudUrl('azure')}/`;
  useCloud(example, 'azure', { INITBOX_AZURE_VAULT_URL: url, INITBOX_AZURE_BLOB_URL: url });
  await example.apply();
  return example;
}

describe.skipIf(noCluster)('site-from-azure', () => {
  test('nginx serves what is below the prefix, and the secret is in memory', async () => {
    await using example = await prepared(token);
    const [pod] = await example.becomesReady();
    const path = `/api/v1/namespaces/${example.namespace.name}/pods/${pod!.metadata.name}:8080/proxy/`;
    expect(await example.namespace.kubectl('get', '--raw', path)).toContain(pages['index.html']);
    expect(await example.exec('cat', '/usr/share/nginx/html/css/site.css')).toBe(pages['css/site.css']);
    expect(await example.exec('cat', '/settings/htpasswd')).toBe(secret);
    expect(await example.exec('stat', '-L', '-c', '%a %g', '/settings/htpasswd')).toBe('440 101');
    expect(await example.exec('stat', '-f', '-c', '%T', '/settings')).toBe('tmpfs');
    const logs = (await example.logs('content')) + (await example.logs('settings'));
    expect(logs).toContain(client);
    expect(logs).not.toContain('of-good-news');
  });

  test('with a token that the account does not take: 69 at once', async () => {
    await using example = await prepared('of-bad-news');
    await example.watch.until(/^Init:(Error|CrashLoopBackOff)$/);
    const { exitCode, message } = ended(await example.namespace.pod(example.selector), 'content');
    expect(message).toMatch(/401/);
    expect(exitCode).toBe(69);
  });
});
