import { describe, expect, test } from 'vitest';

import { slowCrc32c } from '../../support/fake-google.ts';
import { cloud, type CloudAnswer, cloudUrl, useCloud } from '../support/cloud.ts';
import { Example, noCluster } from '../support/example.ts';
import type { Thing } from '../support/kubectl.ts';
import { ended } from '../support/namespace.ts';
import { webServer } from '../support/web-server.ts';

const token = 'ya29.of-good-news';
const secret = 'ann:apr1-of-good-news';
const pages = { 'index.html': '<h1>The site, from Google</h1>', 'css/site.css': 'h1 { color: teal }' };
const updated = '2026-01-02T03:04:05Z';

/** The metadata server of a node, which speaks for an account. */
function metadata(email: string): Thing[] {
  const account = '/computeMetadata/v1/instance/service-accounts/default';
  const said = (path: string, body: string): string => `  location = ${path} {
    if ($http_metadata_flavor != "Google") { return 403; }
    add_header Metadata-Flavor Google;
    return 200 '${body}';
  }`;
  const given = JSON.stringify({ access_token: token, expires_in: 3599, token_type: 'Bearer' });
  return webServer('metadata', {
    port: 8080,
    config: [said(`${account}/token`, given), said(`${account}/email`, email)].join('\n'),
    content: {},
  });
}

function google(): Promise<Thing[]> {
  const bytes = Buffer.from(secret);
  const items = Object.entries(pages).map(([name, text]) => ({
    bucket: 'shop-site',
    name: `public/${name}`,
    generation: '17',
    size: `${text.length}`,
    updated,
  }));
  const answers: CloudAnswer[] = [
    { path: '/storage/v1/b/shop-site/o', body: JSON.stringify({ items }), token },
    ...Object.entries(pages).map(([name, body]) => ({
      path: `/storage/v1/b/shop-site/o/public/${name}`,
      body,
      headers: { 'X-Goog-Generation': '17' },
      token,
    })),
    {
      path: '/v1/projects/shop-prod/secrets/site-htpasswd/versions/latest:access',
      body: JSON.stringify({
        name: 'projects/123456789012/secrets/site-htpasswd/versions/3',
        payload: { data: bytes.toString('base64'), dataCrc32c: `${slowCrc32c(bytes)}` },
      }),
      headers: { 'Content-Type': 'application/json' },
      token,
    },
  ];
  return cloud('google', answers);
}

async function prepared(email: string): Promise<Example> {
  const example = await Example.create(import.meta.filename);
  await example.namespace.apply([...metadata(email), ...(await google())]);
  await Promise.all(['metadata', 'google'].map((name) => example.namespace.rolledOut(`deployment/${name}`)));
  useCloud(example, 'google', {
    GCE_METADATA_HOST: 'metadata:8080',
    CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE: `${cloudUrl('google')}/`,
    CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: `${cloudUrl('google')}/`,
  });
  await example.apply();
  return example;
}

describe.skipIf(noCluster)('site-from-google', () => {
  test('nginx serves what is below the prefix, and the secret is in memory', async () => {
    await using example = await prepared('site@shop-prod.iam.gserviceaccount.com');
    const [pod] = await example.becomesReady();
    const path = `/api/v1/namespaces/${example.namespace.name}/pods/${pod!.metadata.name}:8080/proxy/`;
    expect(await example.namespace.kubectl('get', '--raw', path)).toContain(pages['index.html']);
    expect(await example.exec('cat', '/usr/share/nginx/html/css/site.css')).toBe(pages['css/site.css']);
    expect(await example.exec('cat', '/settings/htpasswd')).toBe(secret);
    expect(await example.exec('stat', '-L', '-c', '%a %g', '/settings/htpasswd')).toBe('440 101');
    expect(await example.exec('stat', '-f', '-c', '%T', '/settings')).toBe('tmpfs');
    const logs = (await example.logs('content')) + (await example.logs('settings'));
    expect(logs).toContain('site@shop-prod.iam.gserviceaccount.com');
    expect(logs).not.toContain('of-good-news');
  });

  test('where the node’s account answers: 69, and nothing is asked for', async () => {
    await using example = await prepared('123456789012-compute@developer.gserviceaccount.com');
    await example.watch.until(/^Init:(Error|CrashLoopBackOff)$/);
    const { exitCode, message } = ended(await example.namespace.pod(example.selector), 'content');
    expect(message).toContain('not of site@shop-prod.iam.gserviceaccount.com');
    expect(exitCode).toBe(69);
  });
});
