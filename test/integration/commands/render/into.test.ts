// Written into a file that is there: a block between markers, or the lines that are missing.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { canMount, mountTmpfs, underStrace } from '../../../support/faults.ts';
import { runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { findInPath, requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { waitUntil } from '../../../support/wait-until.ts';
import { leftovers } from '../../fs/publish/drive.ts';

const noMounts = requireOrSkip('render into files of others', canMount());
const noStrace = requireOrSkip(
  'render into a file that others change meanwhile',
  findInPath('strace') === undefined ? 'there is no strace' : undefined,
);

let work: ReturnType<typeof temporaryDirectory>;
beforeAll(() => {
  work = temporaryDirectory('render-into');
});
afterAll(() => work.remove());

let count = 0;
const template = 'peer=$PEER\n';
const old = '# the image’s own\nport=1\n';
const marked = (text: string) => `# BEGIN initbox peers\n${text}# END initbox peers\n`;

/** A folder with the file that is written into, and a template beside. */
function folder(file = old, mode = 0o640): { cwd: string; path: string; now: () => string } {
  const cwd = join(work.path, String(count++));
  const path = join(cwd, 'out/app.conf');
  mkdirSync(join(cwd, 'out'), { recursive: true });
  writeFileSync(join(cwd, 'in'), template);
  writeFileSync(path, file);
  chmodSync(path, mode);
  return { cwd, path, now: () => readFileSync(path, 'utf8') };
}
const args = (...more: string[]) => ['render', 'in', '--to', 'out/app.conf', ...more];
const env = { PEER: 'a' };

describe('--block', () => {
  test('the rest of the file, its mode and its owner stay; the same again leaves it alone', async () => {
    const { cwd, path, now } = folder();
    if (process.getuid?.() === 0) chownSync(path, 500, 600);
    const was = statSync(path);
    const first = await runInitbox(args('--block', 'peers'), { cwd, env });
    expect(first.status, first.stderr).toBe(0);
    expect(now()).toBe(old + marked('peer=a\n'));
    expect(statSync(path)).toMatchObject({ mode: was.mode, uid: was.uid, gid: was.gid });
    const before = statSync(path, { bigint: true });
    const again = await runInitbox(args('--block', 'peers'), { cwd, env });
    expect(again.stderr).toContain('1 file unchanged');
    expect(statSync(path, { bigint: true })).toMatchObject({ ino: before.ino, mtimeNs: before.mtimeNs });
    const changed = await runInitbox(args('--block', 'peers'), { cwd, env: { PEER: 'b' } });
    expect(changed.status, changed.stderr).toBe(0);
    expect(now()).toBe(old + marked('peer=b\n'));
    expect(leftovers(join(cwd, 'out'))).toEqual([]);
  });

  test('after a line that is there once; --check looks at the whole file', async () => {
    const { cwd, now } = folder('[a]\nx=1\n[b]\ny=2\n');
    const words = args('--block', 'peers', '--comment', ';', '--after', '[b]', '--check', 'ini');
    expect(await runInitbox(words, { cwd, env })).toMatchObject({ status: 0 });
    const made = '[a]\nx=1\n[b]\n; BEGIN initbox peers\npeer=a\n; END initbox peers\ny=2\n';
    expect(now()).toBe(made);
    writeFileSync(join(cwd, 'in'), 'no line of such a file\n');
    const bad = await runInitbox(words, { cwd, env });
    expect(bad.status).toBe(2);
    expect(bad.stderr).toContain('what it becomes is not ini, at 5:');
    expect(now()).toBe(made);
  });

  test('--dry-run tells the size and writes nothing', async () => {
    const { cwd, now } = folder();
    const { status, stdout } = await runInitbox(args('--block', 'peers', '--dry-run'), { cwd, env });
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      files: [
        { path: join(cwd, 'out/app.conf'), size: Buffer.byteLength(old + marked('peer=a\n')), mode: '0640' },
      ],
    });
    expect(now()).toBe(old);
  });

  test.each<[what: string, more: string[], words: string]>([
    ['--mode', ['--block', 'b', '--mode', '0444'], '--mode cannot be combined with --block'],
    ['--owner', ['--append-lines', '--owner', '1:1'], '--owner cannot be combined with --append-lines'],
    ['--after alone', ['--after', 'x'], '--after is for --block NAME, which is not given'],
    ['--comment with --append-lines', ['--append-lines', '--comment', ';'], '--comment is for --block'],
    ['both places', ['--block', 'b', '--after', 'x', '--before', 'y'], '--after'],
    ['both ways', ['--block', 'b', '--append-lines'], '--append-lines'],
    ['two templates', ['in2', '--block', 'b'], 'several templates; name a folder'],
    ['a name with a blank', ['--block', 'a b'], "is not a block's name"],
  ])('%s is refused', async (_, more, words) => {
    const { cwd, now } = folder();
    writeFileSync(join(cwd, 'in2'), 'x');
    const { status, stderr } = await runInitbox(args(...more), { cwd, env });
    expect(status, stderr).toBe(2);
    expect(stderr).toContain(words);
    expect(now()).toBe(old);
  });

  test('a marker without its end: nothing is asked for, nothing is written', async () => {
    const { cwd, now } = folder(`${old}# BEGIN initbox peers\n`);
    const { status, stderr } = await runInitbox(args('--block', 'peers', '--data', 'X=dns:nobody.invalid'), {
      cwd,
      env,
    });
    expect(status).toBe(2);
    expect(stderr).toContain('out/app.conf: the block peers begins at line 3, and ends nowhere');
    expect(now()).toBe(`${old}# BEGIN initbox peers\n`);
  });

  test('two templates into the files of a folder are refused', async () => {
    const { cwd } = folder();
    writeFileSync(join(cwd, 'in2'), 'x');
    const { status, stderr } = await runInitbox(['render', 'in', 'in2', '--to', 'out/', '--block', 'b'], {
      cwd,
      env,
    });
    expect(status).toBe(2);
    expect(stderr).toContain('take one template; run render once for each');
  });

  test('a file that is not there is not made, nor is its folder', async () => {
    const { cwd } = folder();
    const { status, stderr } = await runInitbox(['render', 'in', '--to', 'out/other', '--block', 'b'], {
      cwd,
      env,
    });
    expect(status).toBe(2);
    expect(stderr).toContain('there is no such file to write into');
    expect(readdirSync(join(cwd, 'out'))).toEqual(['app.conf']);
  });
});

test('--append-lines adds those that are missing, once', async () => {
  const { cwd, now } = folder('127.0.0.1 localhost\n10.0.0.1 a');
  writeFileSync(join(cwd, 'in'), '10.0.0.1 a\n10.0.0.2 $PEER\n');
  for (const said of ['1 file written', '1 file unchanged']) {
    const { status, stderr } = await runInitbox(args('--append-lines'), { cwd, env: { PEER: 'b' } });
    expect(status, stderr).toBe(0);
    expect(stderr).toContain(said);
    expect(now()).toBe('127.0.0.1 localhost\n10.0.0.1 a\n10.0.0.2 b\n');
  }
});

describe('what somebody planted', () => {
  test.each<[what: string, plant: (path: string, cwd: string) => void, words: string]>([
    [
      'a link',
      (path, cwd) => (renameSync(path, join(cwd, 'x')), symlinkSync('../x', path)),
      'is a symbolic link to "../x"',
    ],
    ['another name', (path, cwd) => linkSync(path, join(cwd, 'x')), 'it has another name (a hard link)'],
    ['a FIFO', (path) => (renameSync(path, `${path}.old`), execFileSync('mkfifo', [path])), 'and no file'],
    ['a set-user-ID bit', (path) => chmodSync(path, 0o4755), 'set-user-ID or set-group-ID'],
    ['bytes that are no text', (path) => writeFileSync(path, 'a\0b'), 'it holds a NUL byte'],
    [
      'very many lines',
      (path) => writeFileSync(path, '\n'.repeat(250_001)),
      'it has more than 250,000 lines',
    ],
    [
      'a large file',
      (path) => writeFileSync(path, 'x'.repeat((16 << 20) + 1)),
      'the limit of 16 MiB (--max-size)',
    ],
  ])('%s: refused, and left as it is', async (_, plant, words) => {
    const { cwd, path } = folder();
    plant(path, cwd);
    const { status, stderr } = await runInitbox(args('--block', 'peers'), { cwd, env });
    expect(status, stderr).toBe(2);
    expect(stderr).toContain(words);
    expect(leftovers(join(cwd, 'out'))).toEqual([]);
  });

  test.skipIf(noMounts)('the file of another user, whose owner the new one cannot have', async () => {
    const { cwd, path, now } = folder(old, 0o644);
    chmodSync(work.path, 0o755);
    chmodSync(join(cwd, 'out'), 0o777);
    const { status, stderr } = await runInitbox(args('--block', 'peers'), {
      cwd,
      env,
      user: { uid: 4321, gid: 4321 },
    });
    expect(status).toBe(2);
    expect(stderr).toContain('it belongs to 0:0, and a file that this user makes cannot');
    expect(now()).toBe(old);
    expect(statSync(path).uid).toBe(0);
    expect(leftovers(join(cwd, 'out'))).toEqual([]);
  });

  test.skipIf(findInPath('setfacl') === undefined)('an access control list', async () => {
    const { cwd, path, now } = folder();
    execFileSync('setfacl', ['-m', 'u:4321:r', path]);
    const { status, stderr } = await runInitbox(args('--block', 'peers'), { cwd, env });
    expect(status).toBe(2);
    expect(stderr).toContain('it has an access control list');
    expect(now()).toBe(old);
  });
});

describe.skipIf(noMounts)('on a volume', () => {
  test('that is full: the old file stays, whole', async () => {
    using full = mountTmpfs({ size: '64k' });
    const path = join(full.path, 'app.conf');
    const large = `${old}${'x'.repeat(40_000)}\n`;
    writeFileSync(path, large);
    const { cwd } = folder();
    const result = await runInitbox(['render', 'in', '--to', path, '--block', 'b'], { cwd, env });
    expect(result.status).toBe(1);
    expect(result.stderr).toContain('the volume is full (ENOSPC)');
    expect(readFileSync(path, 'utf8')).toBe(large);
    expect(readdirSync(full.path)).toEqual(['app.conf']);
  });

  test('a secret goes to memory alone, and where everybody may read it that is said', async () => {
    const { cwd, now } = folder(old, 0o644);
    const disk = await runInitbox(args('--block', 'b', '--secret'), { cwd, env });
    expect(disk.status).toBe(2);
    expect(disk.stderr).toContain('it is a secret, and');
    expect(now()).toBe(old);
    using memory = mountTmpfs({ size: '1m' });
    const path = join(memory.path, 'app.conf');
    writeFileSync(path, old, { mode: 0o644 });
    const said = await runInitbox(['render', 'in', '--to', path, '--block', 'b', '--secret'], { cwd, env });
    expect(said.status, said.stderr).toBe(0);
    expect(said.stderr).toContain('holds a secret now, and its mode 0644 lets everybody read it');
  });
});

test('eight at once, each with a block of its own: none is lost', async () => {
  const { cwd, now } = folder();
  const names = Array.from({ length: 8 }, (_, index) => `b${index}`);
  const results = await Promise.all(
    names.map((name) => runInitbox(args('--block', name), { cwd, env: { PEER: name } })),
  );
  expect(results.map(({ status, stderr }) => (status === 0 ? '' : stderr))).toEqual(names.map(() => ''));
  for (const name of names)
    expect(now()).toContain(`# BEGIN initbox ${name}\npeer=${name}\n# END initbox ${name}\n`);
  expect(now().startsWith(old)).toBe(true);
  expect(leftovers(join(cwd, 'out'))).toEqual([]);
});

test.skipIf(noStrace)('what somebody else writes to it meanwhile is not lost: the run fails', async () => {
  const { cwd, path, now } = folder();
  // It was read by then, and what is to be renamed is there.
  const program = await startInitbox(args('--block', 'peers'), {
    cwd,
    env,
    prefix: underStrace('inject=fchmod:delay_enter=3000000'),
  });
  await waitUntil(() => leftovers(join(cwd, 'out')).length > 0);
  writeFileSync(path, `${old}theirs\n`);
  const { status, stderr } = await program.exit;
  expect(status).toBe(1);
  expect(stderr).toContain('somebody else changed it meanwhile');
  expect(now()).toBe(`${old}theirs\n`);
  expect(leftovers(join(cwd, 'out'))).toEqual([]);
  expect(await runInitbox(args('--block', 'peers'), { cwd, env })).toMatchObject({ status: 0 });
  expect(now()).toBe(`${old}theirs\n${marked('peer=a\n')}`);
});

test('SIGTERM and the deadline while its data is waited for: the file is as it was', async () => {
  const { cwd, now } = folder();
  const words = args('--block', 'peers', '--data', 'X=interface:none0#ipv4');
  const late = await runToDeadline([...words, '--timeout', '300ms'], { cwd, env });
  expect(late.status).toBe(124);
  const program = await startInitbox(words, { cwd, env });
  await program.waitForStderr(/interface:none0#ipv4/);
  program.kill('SIGTERM');
  expect(await within(promptly, program.exit)).toMatchObject({ status: 143 });
  expect(now()).toBe(old);
  expect(leftovers(join(cwd, 'out'))).toEqual([]);
});

test('killed 60 times: the file is the old or the new one, whole', { timeout: 300_000 }, async () => {
  const { cwd, now } = folder();
  const first = await runInitbox(args('--block', 'peers'), { cwd, env: { PEER: '0' } });
  let last = 0;
  let killed = 0;
  // How long a run takes while the machine is as busy as it is now.
  let lasts = first.milliseconds;
  for (let version = 1; version <= 60; version++) {
    const program = await startInitbox(args('--block', 'peers'), { cwd, env: { PEER: String(version) } });
    await new Promise((resolve) => setTimeout(resolve, lasts * (0.5 + (0.6 * ((version * 37) % 60)) / 60)));
    program.child.kill('SIGKILL');
    const ended = await program.exit;
    if (ended.status === 0) lasts = ended.milliseconds;
    else killed++;
    const [, seen] = /^peer=(\d+)$/m.exec(now()) ?? [];
    expect(now()).toBe(old + marked(`peer=${seen}\n`));
    expect([last, version]).toContain(Number(seen));
    last = Number(seen);
  }
  expect(killed).toBeGreaterThan(5);
  expect(await runInitbox(args('--block', 'peers'), { cwd, env })).toMatchObject({ status: 0 });
  expect(leftovers(join(cwd, 'out'))).toEqual([]);
});
