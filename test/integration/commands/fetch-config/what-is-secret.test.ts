// What counts as a secret: by the source, by evidence, and by what the user says of it.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canMount } from '../../../support/faults.ts';
import { runInitbox } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { quote, temporaryDirectory, undoAtDeath } from '../../../support/undo.ts';

// On a disk, where no secret may be written.
const folder = temporaryDirectory('what-is-secret').path;
let count = 0;
const value = 'value-of-a-test';

async function fetched(
  words: readonly string[],
  env: Record<string, string> = {},
): Promise<{ status: number | null; mode: string; stderr: string; text: string }> {
  const to = join(folder, `out-${count++}`);
  const { status, stderr } = await runInitbox(
    ['fetch-config', ...words, '--to', to, '--log-level', 'debug', '--timeout', '20s'],
    { env },
  );
  if (status !== 0) return { status, mode: '', stderr, text: '' };
  return { status, mode: (statSync(to).mode & 0o777).toString(8), stderr, text: readFileSync(to, 'utf8') };
}
const content = { status: 0, mode: '444', text: value };

let server: Server;
let url: string;
beforeAll(async () => {
  server = createServer((_, response) => response.end(value));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  writeFileSync(join(folder, 'file'), value);
});
afterAll(() => server.close());

describe('the query of a URL', () => {
  test.each(['client_secret', 'access-token', 'authorization'])('%s gives access', async (name) => {
    const { status, stderr } = await fetched([`${url}/f?ref=main&${encodeURIComponent(name)}=abcd1234`]);
    expect(stderr).toContain('it is a secret');
    expect(stderr).not.toContain('abcd1234');
    expect(status).toBe(2);
  });
  test('so does a JSON Web Token, whatever it is called', async () => {
    const token = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2lnbmF0dXJl';
    const { status, stderr } = await fetched([`${url}/f?x=${token}`]);
    expect(stderr).not.toContain(token);
    expect(status).toBe(2);
  });
  test.each(['ref', 'author'])('%s does not', async (name) => {
    expect(await fetched([`${url}/f?${name}=abcd1234`])).toMatchObject(content);
  });
});

describe('by what the user says', () => {
  test.each(['file', 'env'])('%s: is a secret, unless --public', async (scheme) => {
    const source = scheme === 'file' ? `file:${folder}/file` : 'env:POD_NAME';
    const env = { POD_NAME: value };
    const refused = await fetched([source], env);
    expect(refused.stderr).toContain('it is a secret');
    expect(refused.status).toBe(2);
    expect(await fetched([source, '--public'], env)).toMatchObject(content);
  });
  test('a URL with a parameter that gives access, where --public', async () => {
    expect(await fetched([`${url}/f?key=main`, '--public'])).toMatchObject(content);
  });
  test('a plain URL is a secret where --secret', async () => {
    const refused = await fetched([`${url}/f`, '--secret']);
    expect(refused.stderr).toContain('it is a secret');
    expect(refused.status).toBe(2);
    expect(await fetched([`${url}/f`, '--secret', '--allow-disk'])).toMatchObject({ status: 0, mode: '440' });
  });
  test('not both, and not for Vault or stores of secrets', async () => {
    expect((await fetched([`${url}/f`, '--secret', '--public'])).status).toBe(2);
    const env = { VAULT_ADDR: url, VAULT_TOKEN: 'token', AWS_REGION: 'eu-central-1' };
    for (const source of ['vault:secret/a', 'aws-sm:a', 'gcp-sm:shop/a', 'azure-kv:shop/a']) {
      const { status, stderr } = await fetched([source, '--public'], env);
      expect(stderr).toContain(`${source} cannot be public`);
      expect(status).toBe(2);
    }
  });
  test('one source of a specification', async () => {
    const spec = join(folder, 'spec.yaml');
    const [open, guarded] = [join(folder, 'spec-open'), join(folder, 'spec-guarded')];
    const files = [
      { path: open, from: [{ source: 'env:POD_NAME', public: true }] },
      { path: guarded, from: ['env:POD_NAME'] },
    ];
    const run = (of: readonly object[]) => {
      writeFileSync(spec, JSON.stringify({ files: of }));
      return runInitbox(['fetch-config', '--spec', spec], { env: { POD_NAME: value } });
    };
    expect((await run(files)).status).toBe(2);
    expect((await run(files.slice(0, 1))).status).toBe(0);
    expect(readFileSync(open, 'utf8')).toBe(value);
    expect((await run([{ path: open, from: [{ source: 'vault:a/b', public: true }] }])).stderr).toContain(
      'vault:a/b cannot be public',
    );
  });
});

describe.skipIf(requireOrSkip('volumes of ConfigMaps', canMount()))('by evidence', () => {
  /** A folder as the kubelet makes it, mounted as the container sees it. */
  function volume(kind: string): string {
    const base = join(folder, `node-${kind}`);
    const made = join(base, 'pods', '6f1c-uid', 'volumes', `kubernetes.io~${kind}`, 'config');
    const point = join(base, 'etc-config');
    mkdirSync(join(made, '..2026_11_26'), { recursive: true });
    mkdirSync(point);
    writeFileSync(join(made, '..2026_11_26', 'app.conf'), value);
    symlinkSync('..2026_11_26', join(made, '..data'));
    symlinkSync('..data/app.conf', join(made, 'app.conf'));
    execFileSync('mount', ['--bind', made, point]);
    undoAtDeath(`umount ${quote(point)}`);
    return point;
  }

  test('what lies on the volume of a ConfigMap is content', async () => {
    const point = volume('configmap');
    expect(await fetched([`file:${point}/app.conf`])).toMatchObject(content);
    expect(await fetched([`file:${point}#app.conf`])).toMatchObject(content);
    expect((await fetched([`file:${point}/app.conf`, '--secret'])).status).toBe(2);
    // A link out of it leads to what is none.
    symlinkSync(join(folder, 'file'), join(point, 'linked'));
    expect((await fetched([`file:${point}/linked`])).status).toBe(2);
    expect((await fetched([`file:${point}#app.conf`])).status).toBe(2);
  });
  test('what lies on another volume is a secret, whatever its path is called', async () => {
    const point = volume('empty-dir');
    expect((await fetched([`file:${point}/app.conf`])).status).toBe(2);
    const fake = join(folder, 'pods', 'uid', 'volumes', 'kubernetes.io~configmap', 'config');
    mkdirSync(fake, { recursive: true });
    writeFileSync(join(fake, 'app.conf'), value);
    // The path is called so, and the mount that it lies on is the container's own.
    expect((await fetched([`file:${fake}/app.conf`])).status).toBe(2);
  });
});
