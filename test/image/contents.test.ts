import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { dockerOk, image, runImage } from './docker.ts';

const run = promisify(execFile);

interface Component {
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly components?: readonly Component[];
}

let folder: string;
/** Every entry of every layer, as tar lists it: type and mode, owner, path. */
let entries: { mode: string; owner: string; path: string }[];
/** The image's files, unpacked. */
let root: string;
let compressed: number;
let config: {
  User: string;
  Entrypoint: string[];
  Labels: Record<string, string>;
  Env: string[] | null;
  Volumes: unknown;
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'initbox-image-'));
  root = join(folder, 'root');
  await run('mkdir', ['-p', join(folder, 'saved'), root]);
  await dockerOk('save', '--output', join(folder, 'image.tar'), image);
  await run('tar', ['-C', join(folder, 'saved'), '-xf', join(folder, 'image.tar')]);
  const [{ Layers: layers }] = JSON.parse(await readFile(join(folder, 'saved/manifest.json'), 'utf8')) as [
    { Layers: string[] },
  ];
  entries = [];
  compressed = 0;
  for (const layer of layers) {
    const path = join(folder, 'saved', layer);
    // A registry holds each layer compressed like so.
    compressed += gzipSync(await readFile(path), { level: 6 }).length;
    const { stdout } = await run('tar', ['-tvf', path, '--numeric-owner'], { maxBuffer: 1 << 26 });
    for (const line of stdout.trim().split('\n')) {
      const [mode = '', owner = '', , , , ...name] = line.split(/\s+/);
      entries.push({ mode, owner, path: name.join(' ') });
    }
    await run('tar', ['-C', root, '-xf', path]);
  }
  config = JSON.parse(await dockerOk('inspect', '--format', '{{json .Config}}', image)) as typeof config;
});

afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

test('the image is at most 52 MB compressed', () => {
  console.log(`image: ${(compressed / 1e6).toFixed(1)} MB compressed, ${entries.length} files and folders`);
  expect(compressed).toBeLessThanOrEqual(52e6);
});

test('nothing is outside /initbox but /etc/nsswitch.conf', () => {
  const outside = entries.map(({ path }) => path).filter((path) => !path.startsWith('initbox/'));
  expect(outside).toEqual(['etc/', 'etc/nsswitch.conf']);
});

test('files are root’s, readable and not writable for others; nothing is setuid, a link or a device', () => {
  const allowed = new Set(['drwxr-xr-x', '-rwxr-xr-x', '-rw-r--r--']);
  expect(entries.filter(({ mode, owner }) => !allowed.has(mode) || owner !== '0/0')).toEqual([]);
});

test('glibc asks /etc/hosts before DNS', async () => {
  expect(await readFile(join(root, 'etc/nsswitch.conf'), 'utf8')).toMatch(/^hosts: files dns$/m);
});

test('the user is a number that is not root, the entrypoint is initbox', () => {
  expect(config.User).toBe('65532:65532');
  expect(config.Entrypoint).toEqual(['/initbox/initbox']);
  expect(config.Volumes ?? null).toBeNull();
  // Nothing for a successor to inherit but what Docker always sets.
  expect((config.Env ?? []).filter((one) => !one.startsWith('PATH='))).toEqual([]);
});

test('the OCI labels say what it is', async () => {
  const { version } = JSON.parse(await readFile(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
    version: string;
  };
  expect(config.Labels).toMatchObject({
    'org.opencontainers.image.title': 'initbox',
    'org.opencontainers.image.version': version,
    'org.opencontainers.image.description': expect.stringContaining('init-container') as string,
  });
  expect(config.Labels['org.opencontainers.image.revision']).toMatch(/^[0-9a-f]{40}$/);
  expect(Date.parse(config.Labels['org.opencontainers.image.created'] ?? '')).toBeGreaterThan(0);
});

test('the manifest lists every file with its size, mode and digest', async () => {
  const manifest = JSON.parse(await readFile(join(root, 'initbox/manifest.json'), 'utf8')) as {
    version: string;
    build: string;
    files: { path: string; size: number; mode: string; sha256: string }[];
  };
  const modes: Record<string, string> = { '-rwxr-xr-x': '0755', '-rw-r--r--': '0644' };
  const found = await Promise.all(
    entries
      .filter(({ path }) => /^initbox\/.*[^/]$/.test(path) && path !== 'initbox/manifest.json')
      .map(async ({ path, mode }) => {
        const data = await readFile(join(root, path));
        return {
          path: path.replace('initbox/', ''),
          size: data.length,
          mode: modes[mode],
          sha256: createHash('sha256').update(data).digest('hex'),
        };
      }),
  );
  expect(manifest.files).toEqual(found.toSorted((a, b) => (a.path < b.path ? -1 : 1)));
  expect(manifest.build).toMatch(/^[0-9a-f]{64}$/);
});

test('the code that V8 made of the program is taken by the image’s own Node', async () => {
  const script = `
    const { globSync, readFileSync } = require('node:fs');
    const { Script } = require('node:vm');
    for (const file of globSync('/initbox/**/*.code')) {
      const bytes = readFileSync(file.slice(0, -5));
      // As initbox.js reads it: a line of 128 bytes, each block of 8192 bytes of the code twice, the source.
      const sealed = readFileSync(file);
      const length = (sealed.length - 128 - bytes.length) / 2;
      const blocks = [];
      for (let done = 0; done < length; done += 8192)
        blocks.push(sealed.subarray(128 + 2 * done, 128 + 2 * done + Math.min(8192, length - done)));
      const code = Buffer.concat(blocks);
      const { cachedDataRejected } = new Script(bytes.latin1Slice(), { cachedData: code });
      const own = sealed.latin1Slice(0, 128).startsWith('initbox code 2, Node ' + process.version + ' ' + process.arch + ',');
      console.log(file.slice('/initbox/'.length) + ' ' + (own && !cachedDataRejected));
    }`;
  const { stdout } = await runImage(['--entrypoint', '/initbox/bin/node'], ['-e', script]);
  expect(stdout).toContain('program.js.code true');
  expect(stdout).toContain('commands/fetch-config.js.code true');
  expect(stdout).not.toContain('false');
});

test('Node loads libraries from /initbox/lib only', async () => {
  const { stdout } = await runImage(
    ['--entrypoint', '/initbox/bin/node', '--env', 'LD_TRACE_LOADED_OBJECTS=1'],
    [],
  );
  const libraries = stdout.split('\n').flatMap((line) => /(\/\S+) \(0x/.exec(line)?.[1] ?? []);
  expect(libraries.length).toBeGreaterThan(5);
  expect(libraries.filter((path) => !path.startsWith('/initbox/lib/'))).toEqual([]);
  // And every library that is there is needed.
  const shipped = (await readdir(join(root, 'initbox/lib'))).map((name) => `/initbox/lib/${name}`);
  expect(libraries.toSorted()).toEqual(shipped.toSorted());
});

test('the certificates are there', async () => {
  const text = await readFile(join(root, 'initbox/etc/ssl/certs/ca-certificates.crt'), 'utf8');
  expect(text.match(/-----BEGIN CERTIFICATE-----/g)?.length).toBeGreaterThan(100);
});

describe('the bill of materials', () => {
  let components: Component[];
  let metafile: { outputs: Record<string, { inputs: Record<string, { bytesInOutput: number }> }> };

  beforeAll(async () => {
    const text = await readFile(join(root, 'initbox/sbom.cdx.json'), 'utf8');
    const bill = JSON.parse(text) as { bomFormat: string; specVersion: string; components: Component[] };
    expect(bill).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6' });
    ({ components } = bill);
    metafile = JSON.parse(
      await readFile(join(import.meta.dirname, '../../dist/meta.json'), 'utf8'),
    ) as typeof metafile;
  });

  test('lists the npm packages that are in the bundle, and no other', () => {
    const inBundle = new Set<string>();
    for (const { inputs } of Object.values(metafile.outputs)) {
      for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
        const name = /^.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1];
        if (name && bytesInOutput > 0) inBundle.add(name);
      }
    }
    const listed = components.filter(({ purl }) => purl.startsWith('pkg:npm/')).map(({ name }) => name);
    expect(new Set(listed)).toEqual(inBundle);
    expect(listed).toContain('yargs');
    expect(listed).not.toContain('vitest');
  });

  test('lists Node with what is compiled into it', async () => {
    const { stdout } = await runImage(
      ['--entrypoint', '/initbox/bin/node'],
      ['-p', 'JSON.stringify(process.versions)'],
    );
    const versions = JSON.parse(stdout) as Record<string, string>;
    const node = components.find(({ name }) => name === 'node');
    expect(node?.version).toBe(versions['node']);
    expect(node?.components?.find(({ name }) => name === 'openssl')?.version).toBe(versions['openssl']);
  });

  test('lists the packages of the libraries and of the certificates', () => {
    const debian = components.filter(({ purl }) => purl.startsWith('pkg:deb/')).map(({ name }) => name);
    expect(debian).toEqual(expect.arrayContaining(['ca-certificates', 'libc6', 'libstdc++6', 'libgcc-s1']));
  });

  test('every part has its licence text beside it', async () => {
    const texts = await readFile(join(root, 'initbox/THIRD-PARTY-LICENSES'), 'utf8');
    const titles = new Set(texts.match(/^.+(?=\n-{72}$)/gm)?.map((title) => title.replace(/ \(.*/, '')));
    const expected = components.map(({ name, version }) =>
      name === 'node' ? `Node.js v${version}` : `${name} ${version}`,
    );
    expect(expected.filter((title) => !titles.has(title))).toEqual([]);
    expect(texts).toContain('GNU LESSER GENERAL PUBLIC LICENSE');
  });
});
