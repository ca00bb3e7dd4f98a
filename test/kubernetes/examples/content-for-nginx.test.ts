import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { Example, noCluster } from '../support/example.ts';
import { ended } from '../support/namespace.ts';
import { webServer } from '../support/web-server.ts';

const name = 'site-1.4.0.tar.gz';
const archive = readFileSync(join(import.meta.dirname, '../fixtures', name));
/** The port that the example's URL means. */
const port = 80;

function releases(bytes: Uint8Array) {
  const things = webServer('releases', {
    port: 8080,
    config: '  root /content;',
    content: { [name]: bytes },
  });
  const service = things.find(({ kind }) => kind === 'Service')!;
  service['spec'] = { selector: { app: 'releases' }, ports: [{ port, targetPort: 8080 }] };
  return things;
}

describe.skipIf(noCluster)('content-for-nginx', () => {
  test('nginx serves the site, whole', async () => {
    await using example = await Example.create(import.meta.filename);
    await example.namespace.apply(releases(archive));
    await example.apply();
    const [pod] = await example.becomesReady();
    const path = `/api/v1/namespaces/${example.namespace.name}/pods/${pod!.metadata.name}:8080/proxy/`;
    const page = await example.namespace.kubectl('get', '--raw', path);
    expect(page).toContain('<h1>The site, 1.4.0</h1>');
    expect(await example.exec('cat', '/usr/share/nginx/html/css/site.css')).toBe('h1 { color: teal }');
  });

  test('another archive under that name: 69, and nothing is unpacked', async () => {
    await using example = await Example.create(import.meta.filename);
    await example.namespace.apply(releases(archive.subarray(0, -20)));
    await example.namespace.rolledOut('deployment/releases');
    await example.apply();
    await example.watch.until(/^Init:(Error|CrashLoopBackOff)$/);
    const pod = await example.namespace.pod(example.selector);
    const { exitCode, message } = ended(pod, 'content');
    expect(message).toMatch(/has the SHA-256/);
    expect(exitCode).toBe(69);
  });
});
