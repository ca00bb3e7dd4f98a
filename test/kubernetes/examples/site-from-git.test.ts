import { describe, expect, test } from 'vitest';

import { startGitServer } from '../../support/git-server.ts';
import { createCertificateAuthority } from '../../support/tls.ts';
import { Example, noCluster } from '../support/example.ts';
import type { Thing } from '../support/kubectl.ts';
import { ended } from '../support/namespace.ts';
import { webServer } from '../support/web-server.ts';

const login = `Basic ${Buffer.from('x-access-token:of-good-news').toString('base64')}`;

/** nginx answers a POST with a file only where it takes it for a GET. */
const config = `  ssl_certificate /tls/tls.crt;
  ssl_certificate_key /tls/tls.key;
  location = /acme/site.git/info/refs {
    if ($http_authorization != "${login}") { return 401; }
    default_type application/x-git-upload-pack-advertisement;
    alias /content/refs;
  }
  location = /acme/site.git/git-upload-pack {
    if ($http_authorization != "${login}") { return 401; }
    error_page 405 =200 /pack;
    alias /content/pack;
  }
  location = /pack {
    default_type application/x-git-upload-pack-result;
    alias /content/pack;
  }`;

/** What Git's own server answers of a repository, by the old version of the protocol, where there are two questions. */
async function recorded(): Promise<{ refs: Uint8Array; pack: Uint8Array }> {
  await using server = await startGitServer({ old: true });
  const commit = server.repository('acme/site.git').commit({
    'README.md': 'not for the web\n',
    'public/index.html': '<h1>The site, from Git</h1>',
    'public/css/site.css': 'h1 { color: teal }',
  });
  const base = `${server.url}/acme/site.git`;
  const bytes = async (sent: Promise<Response>): Promise<Uint8Array> =>
    new Uint8Array(await (await sent).arrayBuffer());
  const packet = (line: string): string => `${(line.length + 4).toString(16).padStart(4, '0')}${line}`;
  return {
    refs: await bytes(fetch(`${base}/info/refs?service=git-upload-pack`)),
    pack: await bytes(
      fetch(`${base}/git-upload-pack`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/x-git-upload-pack-request' },
        body: `${packet(`want ${commit} side-band-64k ofs-delta no-progress\n`)}${packet('deepen 1\n')}0000${packet('done\n')}`,
      }),
    ),
  };
}

async function gitServer(token: string): Promise<Thing[]> {
  using authority = await createCertificateAuthority();
  const { certificate, key } = await authority.server(['git']);
  return [
    ...webServer('git', {
      port: 8443,
      config,
      content: await recorded(),
      tls: { 'tls.crt': certificate, 'tls.key': key },
    }),
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'git' },
      stringData: { netrc: `machine git login x-access-token password ${token}\n` },
    },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'git-ca' },
      data: { 'ca.crt': authority.certificate },
    },
  ];
}

describe.skipIf(noCluster)('site-from-git', () => {
  test('nginx serves the folder of the branch', async () => {
    await using example = await Example.create(import.meta.filename);
    await example.namespace.apply(await gitServer('of-good-news'));
    await example.apply();
    const [pod] = await example.becomesReady();
    const path = `/api/v1/namespaces/${example.namespace.name}/pods/${pod!.metadata.name}:8080/proxy/`;
    expect(await example.namespace.kubectl('get', '--raw', path)).toContain('<h1>The site, from Git</h1>');
    expect(await example.exec('cat', '/usr/share/nginx/html/css/site.css')).toBe('h1 { color: teal }');
    expect(await example.logs('content')).not.toContain('of-good-news');
  });

  test('with a token that is not accepted: 69 at once', async () => {
    await using example = await Example.create(import.meta.filename);
    await example.namespace.apply(await gitServer('of-bad-news'));
    await example.namespace.rolledOut('deployment/git');
    await example.apply();
    await example.watch.until(/^Init:(Error|CrashLoopBackOff)$/);
    const { exitCode, message } = ended(await example.namespace.pod(example.selector), 'content');
    expect(message).toMatch(/401/);
    expect(exitCode).toBe(69);
  });
});
