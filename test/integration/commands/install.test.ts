import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';

import { beforeAll, describe, expect, test } from 'vitest';

import { canMount, freeze, mountReadOnly, mountTmpfs, underStrace } from '../../support/faults.ts';
import { liveDescendants } from '../../support/process-table.ts';
import { runInitbox, startInitbox } from '../../support/program.ts';
import { promptly, within } from '../../support/promptly.ts';
import { slowToShow, startsMeanwhile } from '../../support/start-at-once.ts';
import { nodePath, projectDirectory, requireOrSkip, whyMissing } from '../../support/tools.ts';
import { temporaryDirectory } from '../../support/undo.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { memoryFolder } from './copy/support.ts';

/** A runtime's folder as the image has it, with a small file in Node's place: what is copied does not run here. */
const runtime = join(temporaryDirectory('runtime').path, 'initbox');
const program = [nodePath(), join(runtime, 'initbox')];
let build = '';

beforeAll(() => {
  cpSync(join(projectDirectory, 'dist'), runtime, { recursive: true });
  cpSync(join(projectDirectory, 'dist/initbox.js'), join(runtime, 'initbox'));
  mkdirSync(join(runtime, 'bin'));
  writeFileSync(join(runtime, 'bin/node'), Buffer.alloc(3_000_000, 'n'));
  chmodSync(join(runtime, 'bin/node'), 0o755);
  const files = [
    'initbox',
    'bin/node',
    'program.js',
    ...['commands', 'parts'].flatMap((folder) =>
      readdirSync(join(runtime, folder)).map((name) => `${folder}/${name}`),
    ),
  ].map((path) => {
    const content = readFileSync(join(runtime, path));
    const mode = (statSync(join(runtime, path)).mode & 0o777).toString(8).padStart(4, '0');
    return { path, size: content.length, mode, sha256: createHash('sha256').update(content).digest('hex') };
  });
  build = createHash('sha256').update(JSON.stringify(files)).digest('hex');
  writeFileSync(join(runtime, 'manifest.json'), JSON.stringify({ version: '1.2.3', build, files }));
});

const install = (...args: string[]) => runInitbox(['install', ...args], { program });

describe('install', () => {
  test('copies the runtime, finds it in place on a rerun, and checks every byte', async () => {
    const target = join(memoryFolder(), 'deep', 'shared');
    expect(await install(target)).toMatchObject({ status: 0 });
    expect(statSync(join(target, 'initbox')).mode & 0o777).toBe(0o755);
    const before = statSync(join(target, 'bin/node'));
    expect((await install(target)).stderr).toContain('already');
    expect(statSync(join(target, 'bin/node'))).toMatchObject({ ino: before.ino, mtimeMs: before.mtimeMs });
    expect(await install(target, '--check')).toMatchObject({ status: 0 });
    expect(readdirSync(target, { recursive: true }).filter((name) => String(name).endsWith('.tmp'))).toEqual(
      [],
    );
  });

  test('--check finds a changed byte, a missing file, a lost mode; install repairs', async () => {
    const target = temporaryDirectory('target').path;
    await install(target);
    const node = readFileSync(join(target, 'bin/node'));
    node[1_000_000] = 0;
    writeFileSync(join(target, 'bin/node'), node);
    chmodSync(join(target, 'initbox'), 0o644);
    const { status, stderr } = await install(target, '--check');
    expect(status).toBe(1);
    expect(stderr).toContain('bin/node has other content');
    expect(stderr).toContain('initbox has the wrong mode');
    expect(stderr).toContain(`initbox install ${target} repairs it`);
  });

  test.skipIf(
    requireOrSkip(
      'a program that is started at once',
      process.getuid?.() === 0 ? whyMissing('strace', 'strace') : 'strace needs root here',
    ),
  )('the program can be started once it is there', async () => {
    const target = memoryFolder();
    const path = join(target, 'initbox');
    const publisher = await startInitbox(['install', target], { program, prefix: slowToShow });
    const found = await startsMeanwhile(path, publisher);
    expect(await publisher.exit).toMatchObject({ status: 0 });
    expect(found.size).toBeGreaterThan(0);
    expect([...found]).not.toContain('ETXTBSY');
  });

  test('two at once, and one that was cut off: whole in the end', async () => {
    const target = temporaryDirectory('target').path;
    const first = await startInitbox(['install', target], { program });
    const second = await startInitbox(['install', target], { program });
    await new Promise((resolve) => setTimeout(resolve, 60));
    first.kill('SIGKILL');
    await first.exit;
    expect((await second.exit).status).toBe(0);
    expect(await install(target)).toMatchObject({ status: 0 });
    expect(await install(target, '--check')).toMatchObject({ status: 0 });
  });

  test('what killed installs left half-written is removed, however young, unless somebody is at it', async () => {
    const target = temporaryDirectory('target').path;
    await install(target);
    mkdirSync(join(target, 'of-others'));
    const dead = ['bin/node.1-1abc.tmp', 'initbox.7-zz9.tmp', 'manifest.json.1-0.tmp'];
    const others = ['mine.1-0.tmp', 'of-others/node.1-0.tmp'];
    for (const name of [...dead, ...others, 'bin/node.1-held.tmp']) writeFileSync(join(target, name), 'half');
    // However old: whoever writes to a slow disk may not have come far in ten seconds.
    const held = join(target, 'bin/node.1-held.tmp');
    utimesSync(held, new Date(), new Date(Date.now() - 60_000));
    const holder = spawn('flock', [held, 'sh', '-c', 'echo held; cat'], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const ended = once(holder, 'close');
    await once(holder.stdout, 'data');
    const left = async (): Promise<string[]> => {
      expect(await install(target)).toMatchObject({ status: 0 });
      const names = readdirSync(target, { recursive: true }).map(String);
      return names.filter((name) => name.endsWith('.tmp')).toSorted();
    };
    expect(await left()).toEqual(['bin/node.1-held.tmp', ...others]);
    holder.stdin.end();
    await ended;
    expect(await left()).toEqual(others);
  });

  test('killed while it writes: the next run leaves nothing of it', async () => {
    const large = join(temporaryDirectory('large').path, 'initbox');
    cpSync(runtime, large, { recursive: true });
    truncateSync(join(large, 'bin/node'), 400_000_000);
    const files = [{ path: 'bin/node', size: 400_000_000, mode: '0755', sha256: '' }];
    writeFileSync(join(large, 'manifest.json'), JSON.stringify({ version: '1.2.3', build: 'b', files }));
    const target = temporaryDirectory('target').path;
    const copying = await startInitbox(['install', target], {
      program: [nodePath(), join(large, 'initbox')],
    });
    const halves = () =>
      readdirSync(target, { recursive: true }).filter((name) => String(name).endsWith('.tmp'));
    // Once bytes are in it, it is held.
    const written = (): boolean => halves().some((name) => statSync(join(target, String(name))).size > 0);
    await waitUntil(written, { what: 'a file under way' });
    await freeze(copying.pid);
    // Another install meanwhile leaves it alone.
    expect(await install(target)).toMatchObject({ status: 0 });
    expect(halves()).toHaveLength(1);
    copying.kill('SIGKILL');
    await copying.exit;
    expect(halves()).toHaveLength(1);
    expect(await install(target)).toMatchObject({ status: 0 });
    expect(halves()).toEqual([]);
  });

  test('SIGTERM while it copies: 143 within 200 ms, and nothing half-written stays', async () => {
    const large = join(temporaryDirectory('large').path, 'initbox');
    cpSync(runtime, large, { recursive: true });
    const size = 400_000_000;
    truncateSync(join(large, 'bin/node'), size);
    const files = [{ path: 'bin/node', size, mode: '0755', sha256: '' }];
    writeFileSync(join(large, 'manifest.json'), JSON.stringify({ version: '1.2.3', build: 'b', files }));
    const target = temporaryDirectory('target').path;
    const copying = await startInitbox(['install', target], {
      program: [nodePath(), join(large, 'initbox')],
    });
    await waitUntil(
      () => readdirSync(target, { recursive: true }).some((name) => String(name).endsWith('.tmp')),
      {
        what: 'a file under way',
      },
    );
    copying.kill('SIGTERM');
    expect((await within(promptly, copying.exit)).status).toBe(143);
    expect(readdirSync(join(target, 'bin'))).toEqual([]);
  });

  test.each(['sub', 'sub/deep', 'there', 'bin', 'commands/sub'])(
    'into %s in its own folder: refused, whether that is there or not',
    async (name) => {
      const own = join(memoryFolder(), 'initbox');
      cpSync(runtime, own, { recursive: true });
      mkdirSync(join(own, 'there'));
      const before = readdirSync(own, { recursive: true });
      const { status, stderr } = await runInitbox(['install', join(own, name)], {
        program: [nodePath(), join(own, 'initbox')],
      });
      expect(status, stderr).toBe(2);
      expect(stderr).toContain(
        `cannot fill ${own}/${name}: it is inside of this program's own folder, ${own}`,
      );
      expect(stderr).toContain('hint: name a folder outside of it, on a volume');
      expect(readdirSync(own, { recursive: true })).toEqual(before);
    },
  );

  test('outside of the image it says where it works', async () => {
    const { status, stderr } = await runInitbox(['install', '/tmp/x']);
    expect(status).toBe(1);
    expect(stderr).toContain('holds no runtime');
  });
});

describe.skipIf(requireOrSkip('mounts', canMount()))('install onto a volume that refuses', () => {
  test('a full one: how much is needed and how much is free', async () => {
    using full = mountTmpfs({ size: '1m' });
    const { status, stderr } = await install(join(full.path, 'shared'));
    expect(status).toBe(1);
    expect(stderr).toMatch(/the volume is full \(ENOSPC\)/);
    expect(stderr).toMatch(/takes [\d.]+ MiB, [\d.]+ (?:B|KiB|MiB) are free/);
  });

  test('a read-only one, in a folder of it too', async () => {
    using volume = mountReadOnly(temporaryDirectory('read-only').path);
    for (const target of [volume.path, join(volume.path, 'a', 'b')]) {
      const { status, stderr } = await install(target);
      expect(stderr).toContain('read-only file system (EROFS)');
      expect(status).toBe(1);
    }
  });

  test('the kernel’s, and one that is missing on the root file system', async () => {
    for (const place of ['/sys', '/proc', '/sys/none'])
      expect(await install(place)).toMatchObject({
        status: 2,
        stderr: expect.stringContaining("is the kernel's"),
      });
    expect(await install('/none-here/x')).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('/none-here does not exist, and / is not on a volume'),
    });
  });

  test('one of another user', async () => {
    const folder = memoryFolder();
    chmodSync(folder, 0o755);
    chmodSync(runtime, 0o755);
    const { status, stderr } = await runInitbox(['install', join(folder, 'x')], {
      program,
      user: { uid: 54_321, gid: 54_321 },
    });
    expect(stderr).toMatch(/permission denied|holds no runtime/);
    expect(status).toBe(1);
  });
});

/** Whoever finds the program finds a whole runtime: of an update too, wherever it was cut off. */
describe.skipIf(requireOrSkip('install that is cut off', whyMissing('strace', 'strace')))(
  'install that is cut off',
  () => {
    const paths = ['initbox', 'bin/node', 'program.js', 'commands/extra.js'];
    const newer = join(temporaryDirectory('newer').path, 'initbox');
    const environment = { UV_THREADPOOL_SIZE: '1' };
    const update = (target: string, ...prefix: readonly string[]) =>
      runInitbox(['install', target], {
        program: [nodePath(), join(newer, 'initbox')],
        env: environment,
        prefix,
      });

    /** Writes the list of what is in a folder. */
    function list(top: string, version: string, listed = paths): void {
      const files = listed.map((path) => {
        const content = readFileSync(join(top, path));
        const sha256 = createHash('sha256').update(content).digest('hex');
        return { path, size: content.length, mode: '0755', sha256 };
      });
      writeFileSync(join(top, 'manifest.json'), JSON.stringify({ version, build: version, files }));
    }

    beforeAll(() => {
      cpSync(runtime, newer, { recursive: true });
      writeFileSync(join(newer, 'bin/node'), 'a newer node');
      writeFileSync(join(newer, 'commands/extra.js'), 'newer');
      list(newer, '2.0.0');
    });

    /** An older version: some of its files are other than the newer one's, some are not there. */
    function older(differing: readonly string[], absent: readonly string[] = []): string {
      const target = temporaryDirectory('target').path;
      for (const folder of ['bin', 'commands']) mkdirSync(join(target, folder));
      const there = paths.filter((path) => !absent.includes(path));
      for (const path of there) {
        const content = differing.includes(path) ? `older ${path}` : readFileSync(join(newer, path));
        writeFileSync(join(target, path), content);
        chmodSync(join(target, path), 0o755);
      }
      list(target, '1.0.0', there);
      return target;
    }

    function expectWholeOrNone(target: string): void {
      if (!existsSync(join(target, 'initbox'))) return;
      const manifest = JSON.parse(readFileSync(join(target, 'manifest.json'), 'utf8')) as {
        files: readonly { path: string; sha256: string }[];
      };
      for (const { path, sha256 } of manifest.files)
        expect(
          createHash('sha256')
            .update(readFileSync(join(target, path)))
            .digest('hex'),
          path,
        ).toBe(sha256);
    }

    describe.skipIf(requireOrSkip('small volumes', canMount()))(
      'on a volume with room for one runtime',
      () => {
        const large = 6_000_000;
        const size = `${large + 1_000_000}`;
        const nodes = join(temporaryDirectory('nodes').path, 'initbox');
        const installing = (content: string, length = large) => {
          writeFileSync(join(nodes, 'bin/node'), Buffer.alloc(length, content));
          list(nodes, content);
          return [nodePath(), join(nodes, 'initbox')];
        };
        const said = 'has no room for old and new files side by side';
        const ran = (target: string, content: string, more: object = {}, length = large) =>
          runInitbox(['install', target], {
            program: installing(content, length),
            env: environment,
            ...more,
          });

        beforeAll(() => cpSync(newer, nodes, { recursive: true }));

        test('another version: the old files go first, and that is said', async () => {
          using volume = mountTmpfs({ size });
          const first = await ran(volume.path, 'a');
          expect(first).toMatchObject({ status: 0 });
          expect(first.stderr).not.toContain(said);
          const { status, stderr } = await ran(volume.path, 'b');
          expect(status, stderr).toBe(0);
          expect(stderr).toContain(said);
          expectWholeOrNone(volume.path);
          expect(existsSync(join(volume.path, 'initbox'))).toBe(true);
          expect(readFileSync(join(volume.path, 'bin/node')).subarray(0, 3).toString()).toBe('bbb');
        });

        test('after fsGroup let the group write to all: each run repairs it', async () => {
          using volume = mountTmpfs({ size });
          expect(await ran(volume.path, 'a')).toMatchObject({ status: 0 });
          for (let start = 1; start <= 2; start++) {
            for (const path of [...paths, 'manifest.json']) {
              if (process.getuid?.() === 0) chownSync(join(volume.path, path), 0, 1234);
              chmodSync(join(volume.path, path), 0o775);
            }
            const { status, stderr } = await ran(volume.path, 'a');
            expect(status, stderr).toBe(0);
            expect(stderr).toContain(said);
            expectWholeOrNone(volume.path);
            expect(statSync(join(volume.path, 'bin/node')).mode & 0o777).toBe(0o755);
          }
        });

        test('a version that has no room at all: the program that is there is left, and so by a rerun', async () => {
          using volume = mountTmpfs({ size });
          expect(await ran(volume.path, 'a')).toMatchObject({ status: 0 });
          for (let run = 1; run <= 2; run++) {
            const { status, stderr } = await ran(volume.path, 'b', {}, 2 * large);
            expect(status, stderr).toBe(1);
            expect(stderr).toContain('the volume is full (ENOSPC); the program that is there was left');
            expect(stderr).toMatch(
              /takes [\d.]+ MiB, [\d.]+ (?:B|KiB|MiB) are free, and [\d.]+ MiB more once/,
            );
            expect(existsSync(join(volume.path, 'initbox'))).toBe(true);
            expectWholeOrNone(volume.path);
            expect(readFileSync(join(volume.path, 'bin/node')).subarray(0, 3).toString()).toBe('aaa');
          }
        });

        test('killed at any moment: a whole runtime or no program, and a rerun ends the work', async () => {
          for (const call of ['unlink', 'rename', 'fdatasync'])
            for (let when = 1; ; when++) {
              using volume = mountTmpfs({ size });
              expect(await ran(volume.path, 'a')).toMatchObject({ status: 0 });
              const prefix = underStrace(`inject=${call}:signal=KILL:when=${when}`);
              const { status } = await ran(volume.path, 'b', { prefix });
              expectWholeOrNone(volume.path);
              expect(await ran(volume.path, 'b')).toMatchObject({ status: 0 });
              expectWholeOrNone(volume.path);
              expect(existsSync(join(volume.path, 'initbox'))).toBe(true);
              if (status === 0) break;
              expect(when).toBeLessThan(20);
            }
        });

        test('a volume that tells more than it has: the old file goes once the new one has no room', async () => {
          using volume = mountTmpfs({ size: '64m' });
          expect(await ran(volume.path, 'a')).toMatchObject({ status: 0 });
          const prefix = underStrace('inject=pwrite64:error=ENOSPC:when=1');
          const { status, stderr } = await ran(volume.path, 'b', { prefix });
          expect(status, stderr).toBe(0);
          expect(stderr).toContain(said);
          expectWholeOrNone(volume.path);
        });

        test('it is copied from itself: no file goes before its new one is whole', async () => {
          const newest = installing('a');
          const all = readdirSync(nodes, { recursive: true, withFileTypes: true })
            .filter((entry) => entry.isFile() && entry.name !== 'manifest.json')
            .map((entry) => relative(nodes, join(entry.parentPath, entry.name)));
          // As they are, each with its mode.
          for (const path of all) chmodSync(join(nodes, path), 0o755);
          list(nodes, 'a', all);
          const whole = all.reduce(
            (sum, path) => sum + Math.ceil(statSync(join(nodes, path)).size / 4096),
            0,
          );
          using volume = mountTmpfs({ size: `${whole * 4096 + 1_000_000}` });
          const target = join(volume.path, 'initbox-copy');
          expect(await runInitbox(['install', target], { program: newest })).toMatchObject({ status: 0 });
          chmodSync(join(target, 'bin/node'), 0o775);
          const { status, stderr } = await runInitbox(['install', target], {
            program: [nodePath(), join(target, 'initbox')],
          });
          expect(status, stderr).toBe(1);
          expect(stderr).toContain('the volume is full (ENOSPC)');
          expect(existsSync(join(target, 'initbox'))).toBe(true);
          expectWholeOrNone(target);
        });
      },
    );

    const empty = (): string => temporaryDirectory('target').path;
    const starts: readonly [string, string, () => string][] = [
      ['an empty folder', 'rename:signal=KILL', empty],
      ['an empty folder', 'pwrite64:error=ENOSPC', empty],
      ['a version with other files', 'rename:signal=KILL', () => older(paths)],
      ['a version with other files', 'unlink:signal=KILL', () => older(paths)],
      ['a version with other files', 'pwrite64:error=ENOSPC', () => older(paths)],
      ['a version with the same program', 'rename:signal=KILL', () => older(['commands/extra.js'])],
      ['a version without one of the files', 'rename:signal=KILL', () => older([], ['commands/extra.js'])],
    ];
    test.each(starts)(
      'over %s, by %s: the program is there with a whole runtime, or not at all; a rerun repairs',
      async (_, fault, start) => {
        for (let when = 1; ; when++) {
          const target = start();
          const { status } = await update(target, ...underStrace(`inject=${fault}:when=${when}`));
          expectWholeOrNone(target);
          expect(await update(target)).toMatchObject({ status: 0 });
          expect(readFileSync(join(target, 'commands/extra.js'), 'utf8')).toBe('newer');
          expect(existsSync(join(target, 'initbox'))).toBe(true);
          expectWholeOrNone(target);
          if (status === 0) break;
          expect(when).toBeLessThan(20);
        }
      },
    );

    /** Starts the update under strace; it stops itself at one of its renames. Undefined where it has ended before. */
    async function stoppedUpdate(target: string, ...faults: readonly string[]) {
      const started = await startInitbox(['install', target], {
        program: [nodePath(), join(newer, 'initbox')],
        env: environment,
        prefix: underStrace(...faults),
      });
      let ended = false;
      void started.exit.then(() => (ended = true));
      // A traced process stops at each call for a moment: it has stopped itself where it does not go on.
      let pid: number | undefined;
      let [seen, since] = ['', 0];
      await waitUntil(
        () => {
          pid = liveDescendants(started.pid)[0]?.pid;
          const status = pid === undefined ? '' : statusOf(pid);
          if (!/^State:\s*[Tt]/m.test(status) || status !== seen) [seen, since] = [status, Date.now()];
          return ended || (status !== '' && Date.now() - since > 500);
        },
        { what: 'an update that has stopped' },
      );
      if (ended || pid === undefined) return undefined;
      const stopped = pid;
      const goOn = async () => {
        while (!ended) {
          if (statusOf(stopped) !== '') process.kill(stopped, 'SIGCONT');
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
        return started.exit;
      };
      return { goOn };
    }

    function statusOf(pid: number): string {
      try {
        return readFileSync(`/proc/${pid}/status`, 'latin1');
      } catch {
        return ''; // it has ended
      }
    }

    test.each([1, 3, 5])(
      'two versions at once: the other one comes after rename %i, and one version is whole in the end',
      async (when) => {
        const target = older(paths);
        const stopped = await stoppedUpdate(target, `inject=rename:signal=STOP:when=${when}`);
        expect(await install(target)).toMatchObject({ status: 0 });
        expectWholeOrNone(target);
        const { status, stderr } = (await stopped?.goOn()) ?? {};
        expect(status, stderr).toBe(0);
        expect(existsSync(join(target, 'initbox'))).toBe(true);
        expectWholeOrNone(target);
      },
    );

    test('one that goes on after another version came, and is killed: a whole version or no program', async () => {
      for (let when = 2; ; when += 2) {
        const target = older(paths);
        const faults = ['inject=rename:signal=STOP:when=2', `inject=unlink:signal=KILL:when=${when}`];
        const stopped = await stoppedUpdate(target, ...faults);
        if (stopped === undefined) continue; // killed before the other one came
        expect(await install(target)).toMatchObject({ status: 0 });
        const { status } = await stopped.goOn();
        expectWholeOrNone(target);
        if (status === 0) break;
        expect(when).toBeLessThan(30);
      }
    });

    test('another version that does not give way: no program, and why', async () => {
      const target = older(paths);
      const other = join(target, 'program.js');
      const stop = new AbortController();
      const exchanging = (async () => {
        while (!stop.signal.aborted) {
          writeFileSync(`${other}.new`, 'of another version', { mode: 0o755 });
          renameSync(`${other}.new`, other);
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
      })();
      // Long enough after each rename for an exchange, however slow the machine is.
      const { status, stderr } = await update(target, ...underStrace('inject=rename:delay_exit=300000'));
      stop.abort();
      await exchanging;
      expect(status, stderr).toBe(1);
      expect(stderr).toContain('another install');
      expect(existsSync(join(target, 'initbox'))).toBe(false);
    });

    test('an install of the same version that was faster keeps its program', async () => {
      const target = older(paths);
      const slow = await stoppedUpdate(target, 'inject=fdatasync:signal=STOP:when=1');
      expect(await update(target)).toMatchObject({ status: 0 });
      const { ino, ctimeMs } = statSync(join(target, 'initbox'));
      const { status, stderr } = (await slow?.goOn()) ?? {};
      expect(status, stderr).toBe(0);
      expect(statSync(join(target, 'initbox'))).toMatchObject({ ino, ctimeMs });
    });

    test('what has its name can be run at once', async () => {
      const target = temporaryDirectory('target').path;
      // It stands still right after each rename.
      const done = update(target, ...underStrace('inject=rename:delay_exit=700000'));
      for (const path of ['bin/node', 'initbox']) {
        const whole = join(target, path);
        await waitUntil(() => existsSync(whole), { timeout: 60_000, what: path });
        // What stands there in this test is no program of any machine's: that is said only once it could be opened to run.
        const { error }: { error?: NodeJS.ErrnoException } = spawnSync(whole, ['--version']);
        expect(error?.code).not.toBe('ETXTBSY');
      }
      expect((await done).status).toBe(0);
    });

    test('a copy that repairs itself stays whole', async () => {
      const target = temporaryDirectory('target').path;
      expect(await install(target)).toMatchObject({ status: 0 });
      chmodSync(join(target, 'program.js'), 0o600);
      const itself = { program: [nodePath(), join(target, 'initbox')] };
      const { status, stderr } = await runInitbox(['install', target], itself);
      expect(status, stderr).toBe(0);
      expect(await install(target, '--check')).toMatchObject({ status: 0 });
    });
  },
);
