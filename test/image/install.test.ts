import { chmod, mkdtemp, open, readFile, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { docker, dockerOk, muslImage, nodeImage, runImage, startListener, type Container } from './docker.ts';

/** An image made from a Dockerfile without a context, by its name. */
async function build(name: string, dockerfile: string, ...args: string[]): Promise<string> {
  const { status, stderr } = await docker(['build', '--tag', name, ...args, '-'], dockerfile);
  if (status !== 0) throw new Error(stderr);
  return name;
}

/** Nothing at all but a label, which an image must have to exist. */
const empty = 'FROM scratch\nLABEL initbox.test=empty\n';

/** glibc and one program, no shell, as distroless images are; the user is not root. */
const distroless = `
ARG BASE
FROM $BASE AS base
RUN mkdir -p /out/usr/bin && cp /usr/bin/env /out/usr/bin/ && \\
    for file in $(ldd /usr/bin/env | grep -o '/[^ ]*'); do mkdir -p "/out$(dirname "$file")" && cp -L "$file" "/out$file"; done
FROM scratch
COPY --from=base /out/ /
USER 1000:1000
`;

let volume: string;
let listener: Container;
let joined: string[];
const made: string[] = [];

beforeAll(async () => {
  volume = await mkdtemp(join(tmpdir(), 'initbox-volume-'));
  // As an emptyDir is.
  await chmod(volume, 0o777);
  listener = await startListener();
  joined = ['--network', `container:${listener.id}`, '--volume', `${volume}:/initbox:ro`];
  const { status, stderr } = await install();
  expect({ status, stderr }).toMatchObject({ status: 0 });
});

afterAll(async () => {
  await listener[Symbol.asyncDispose]();
  await rm(volume, { recursive: true, force: true });
  if (made.length > 0) await dockerOk('rmi', '--force', ...made);
});

function install(...args: string[]): ReturnType<typeof runImage> {
  return runImage(
    ['--volume', `${volume}:/shared`, '--read-only', '--cap-drop', 'ALL', '--user', '12345:12345'],
    ['install', '/shared', ...args],
  );
}

describe('from a volume that install filled, mounted at /initbox', () => {
  const images: readonly (readonly [string, () => Promise<string>, readonly string[]])[] = [
    ['a musl image', async () => muslImage, ['/bin/busybox', 'echo', 'handed over']],
    [
      'an empty image',
      () => build('initbox-test/empty', empty),
      ['/initbox/bin/node', '-p', "'handed over'"],
    ],
    [
      'an image with glibc and no shell',
      () => build('initbox-test/distroless', distroless, '--build-arg', `BASE=${nodeImage}`),
      ['/usr/bin/env', 'WORDS=handed over'],
    ],
    ['a Debian image', async () => nodeImage, ['/bin/sh', '-c', 'echo handed over']],
  ];

  test.each(images)('%s waits and hands over', async (_, prepare, successor) => {
    const of = await prepare();
    if (of.startsWith('initbox-test/')) made.push(of);
    const { status, stdout, stderr } = await runImage(
      [...joined, '--read-only', '--cap-drop', 'ALL', '--user', '4711', '--entrypoint', '/initbox/initbox'],
      ['wait-tcp', '127.0.0.1:5432', '--', ...successor],
      of,
    );
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(stdout).toContain('handed over');
  });

  test('libraries of the other image are not loaded, whatever LD_LIBRARY_PATH says', async () => {
    const where = `dirname "$(ldd /usr/bin/env | grep -o '/[^ ]*/libc[.]so[^ ]*')"`;
    const theirs = (await runImage([], ['sh', '-c', where], nodeImage)).stdout.trim();
    expect(theirs).toMatch(/^\/.*lib/);
    const environment = ['--env', `LD_LIBRARY_PATH=${theirs}`, '--env', 'LD_DEBUG=libs'];
    const { status, stderr } = await runImage(
      [...joined, ...environment, '--entrypoint', '/initbox/initbox'],
      ['version'],
      nodeImage,
    );
    expect(status).toBe(0);
    const initialised = [...stderr.matchAll(/calling init: (\S+)/g)].map(([, path]) => path ?? '');
    expect(initialised.length).toBeGreaterThan(3);
    expect(initialised.filter((path) => !path.startsWith('/initbox/lib/'))).toEqual([]);
  });
});

test('the volume holds what the manifest lists, and nothing half-written', async () => {
  const { files } = JSON.parse(await readFile(join(volume, 'manifest.json'), 'utf8')) as {
    files: { path: string }[];
  };
  const found = await readdir(volume, { recursive: true, withFileTypes: true });
  const paths = found.filter((one) => one.isFile()).map((one) => join(one.parentPath, one.name));
  const expected = [...files.map(({ path }) => path), 'manifest.json'].map((path) => join(volume, path));
  expect(paths.toSorted()).toEqual(expected.toSorted());
});

test('a rerun copies nothing and is quick', async () => {
  const before = await stat(join(volume, 'bin/node'));
  const { status, milliseconds } = await install();
  const { milliseconds: bare } = await runImage([], ['version']);
  console.log(
    `install again: ${milliseconds.toFixed(0)} ms with docker's own time, which alone is about ${bare.toFixed(0)} ms`,
  );
  expect(status).toBe(0);
  const after = await stat(join(volume, 'bin/node'));
  expect({ inode: after.ino, time: after.mtimeMs }).toEqual({ inode: before.ino, time: before.mtimeMs });
  expect(milliseconds - bare).toBeLessThan(1_000);
});

test('--check passes on a whole copy, names a changed byte, and install repairs a shortened file', async () => {
  expect((await install('--check')).status).toBe(0);

  const path = join(volume, 'sbom.cdx.json');
  const whole = await readFile(path);
  const file = await open(path, 'r+');
  await file.write(Buffer.from('X'), 0, 1, 100);
  await file.close();
  const changed = await install('--check');
  expect(changed.status).toBe(1);
  expect(changed.stderr).toContain('sbom.cdx.json');

  const shortened = await open(path, 'r+');
  await shortened.truncate(10);
  await shortened.close();
  expect((await install()).status).toBe(0);
  expect(await readFile(path)).toEqual(whole);
  expect((await install('--check')).status).toBe(0);
});

test('under a memory limit of 32 MiB it still copies everything', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'initbox-volume-'));
  await chmod(folder, 0o777);
  try {
    const limit = ['--memory', '32m', '--memory-swap', '32m', '--volume', `${folder}:/shared`];
    const { status, stderr, milliseconds } = await runImage(limit, ['install', '/shared']);
    console.log(`install into an empty volume under 32 MiB: ${milliseconds.toFixed(0)} ms`);
    expect({ status, stderr }).toMatchObject({ status: 0 });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('a volume that cannot be written is told with its reason', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'initbox-volume-'));
  await chmod(folder, 0o777);
  try {
    const { status, stderr } = await runImage(['--volume', `${folder}:/shared:ro`], ['install', '/shared']);
    expect(status).toBe(1);
    expect(stderr).toMatch(/read-only/);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});

test('two installs at once leave one whole copy', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'initbox-volume-'));
  await chmod(folder, 0o777);
  try {
    const mount = ['--volume', `${folder}:/shared`];
    const both = await Promise.all([1, 2].map(() => runImage(mount, ['install', '/shared'])));
    expect(both.map(({ status }) => status)).toEqual([0, 0]);
    expect((await runImage(mount, ['install', '/shared', '--check'])).status).toBe(0);
    expect((await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
