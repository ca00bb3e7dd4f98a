// Each action by itself and in a list: first, again, where it does not fit, and what is never done.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

import { mounting, mountReadOnly } from '../../../support/faults.ts';
import { runInitbox } from '../../../support/program.ts';
import { projectDirectory } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { files, modeOf, noVolumes, stateOf, volume } from './support.ts';

describe.skipIf(noVolumes)('files', () => {
  test('mkdir -p, touch and chmod in one list; again, nothing is changed', async () => {
    using data = volume();
    const list = [`mkdir:${data.path}/{a,b}/c`, `touch:${data.path}/ready`, `mode:0700:${data.path}`];
    const first = await files(list);
    expect(first.stderr).toMatch(
      /made \S+\/a\/c, made \S+\/b\/c, made \S+\/ready, changed the mode of \S+ to 0700/,
    );
    expect(first.status).toBe(0);
    expect([modeOf(data.path), modeOf(join(data.path, 'a/c')), modeOf(join(data.path, 'ready'))]).toEqual([
      '0700',
      '0755',
      '0644',
    ]);
    const before = stateOf(data.path);
    const again = await files(list);
    expect(again.stderr).toContain('nothing was changed: 4 right already');
    expect(stateOf(data.path)).toEqual(before);
  });

  test('the umask of the container changes nothing', async () => {
    using data = volume();
    const { status } = await files([`mkdir:${data.path}/a`, `touch:${data.path}/b`], {
      prefix: ['sh', '-c', 'umask 077; exec "$@"', 'sh'],
    });
    expect([status, modeOf(join(data.path, 'a')), modeOf(join(data.path, 'b'))]).toEqual([0, '0755', '0644']);
  });

  test('touch leaves content and times of what is there, and refuses what is not a file', async () => {
    using data = volume();
    const file = join(data.path, 'f');
    writeFileSync(file, 'x');
    utimesSync(file, 1, 1);
    expect((await files([`touch:${file}`])).status).toBe(0);
    expect([readFileSync(file, 'utf8'), lstatSync(file).mtimeMs]).toEqual(['x', 1000]);
    symlinkSync('nowhere', join(data.path, 'link'));
    execFileSync('mkfifo', [join(data.path, 'fifo')]);
    for (const [name, why] of [
      ['link', 'what is there is a symbolic link'],
      ['fifo', 'what is there is not a file'],
      ['.', 'what is there is not a file'],
    ] as const) {
      const { status, stderr } = await files([`touch:${data.path}/${name}`, `touch:${data.path}/later`]);
      expect([name, status]).toEqual([name, 1]);
      expect(stderr).toContain(why);
    }
    expect(readdirSync(data.path).toSorted()).toEqual(['f', 'fifo', 'link']);
  });

  test('link: to itself by another way there: refused where nothing is there, and right where something is', async () => {
    using data = volume();
    mkdirSync(join(data.path, 'd'));
    symlinkSync('d', join(data.path, 'way'));
    for (const [target, path] of [
      [`${data.path}/way/new`, `${data.path}/d/new`],
      ['../way/new', `${data.path}/d/new`],
    ] as const) {
      const { status, stderr } = await files([`link:${target}=${path}`]);
      expect([status, stderr]).toEqual([
        2,
        expect.stringContaining('is another way to its own place, so it would lead to itself'),
      ]);
      expect(existsSync(join(data.path, 'd/new'))).toBe(false);
      expect(readdirSync(join(data.path, 'd'))).toEqual([]);
    }
    symlinkSync('releases/v2', join(data.path, 'd/current'));
    const { status } = await files([`link:${data.path}/way/current=${data.path}/d/current`]);
    expect(status).toBe(0);
    expect(readlinkSync(join(data.path, 'd/current'))).toBe('releases/v2');
  });

  test('link: made, right already, led elsewhere by one rename, and nothing but a link is replaced', async () => {
    using data = volume();
    const current = join(data.path, 'current');
    expect((await files([`link:releases/v1=${current}`])).stderr).toContain('made');
    expect((await files([`link:releases/v1=${current}`])).stderr).toContain('nothing was changed');
    expect((await files([`link:releases/v2=${current}`])).stderr).toContain('changed');
    expect(readlinkSync(current)).toBe('releases/v2');
    for (const name of ['file', 'folder']) {
      if (name === 'file') writeFileSync(join(data.path, name), 'x');
      else mkdirSync(join(data.path, name));
      const { status, stderr } = await files([`link:x=${data.path}/${name}`]);
      expect([status, stderr]).toEqual([1, expect.stringContaining('what is there is not a link')]);
    }
    expect(readdirSync(data.path).toSorted()).toEqual(['current', 'file', 'folder']);
  });

  test('move: renamed, done already, over a file, never over a folder with something in it', async () => {
    using data = volume();
    const at = (name: string): string => join(data.path, name);
    writeFileSync(at('new'), 'new');
    writeFileSync(at('conf'), 'old');
    expect((await files([`move:${at('new')}=${at('conf')}`])).stderr).toContain('moved');
    expect((await files([`move:${at('new')}=${at('conf')}`])).stderr).toContain('nothing was changed');
    expect(readFileSync(at('conf'), 'utf8')).toBe('new');
    mkdirSync(at('a'));
    mkdirSync(at('b'));
    writeFileSync(at('b/x'), '');
    for (const [from, to, why] of [
      ['a', 'b', 'there is a folder with something in it'],
      ['conf', 'b', 'there is a folder'],
      ['a', 'conf', 'there is a file'],
      ['nothing', 'nowhere', 'neither is there'],
    ] as const) {
      const { status, stderr } = await files([`move:${at(from)}=${at(to)}`]);
      expect([status, stderr]).toEqual([1, expect.stringContaining(why)]);
    }
    expect((await files([`move:${at('a')}=${at('deep/er/a')}`])).status).toBe(0);
    expect((await files([`move:${at('x')}=${at('y')}`, '--if-exists'])).stderr).toContain('is left out');
    // To itself, by one name or two: it must not be lost.
    for (const to of [at('conf'), `${data.path}/b/../conf`]) {
      const { status, stderr } = await files([`move:${at('conf')}=${to}`]);
      expect([status, stderr]).toEqual([2, expect.stringContaining('to itself')]);
    }
    expect(readFileSync(at('conf'), 'utf8')).toBe('new');
    // Two names of one file: rename(2) would leave both.
    linkSync(at('conf'), at('conf2'));
    expect((await files([`move:${at('conf')}=${at('conf2')}`])).status).toBe(0);
    expect(readdirSync(data.path).toSorted()).toEqual(['b', 'conf2', 'deep']);
  });

  test('mode: of the path alone, by pattern, never set-user-ID, no link', async () => {
    using data = volume();
    const at = (name: string): string => join(data.path, name);
    mkdirSync(at('d'), { mode: 0o755 });
    for (const name of ['tls.key', 'ca.key', '.hidden.key', 'd/inner.key'])
      writeFileSync(at(name), '', { mode: 0o644 });
    symlinkSync('/etc/passwd', at('link.key'));
    const passwd = modeOf('/etc/passwd');
    expect((await files([`mode:0600:${data.path}/*.key`, `mode:g+ws:${at('d')}`])).status).toBe(0);
    expect(['tls.key', 'ca.key', '.hidden.key', 'd/inner.key', 'd'].map((name) => modeOf(at(name)))).toEqual([
      '0600',
      '0600',
      '0644',
      '0644',
      '2775',
    ]);
    const refused = await files([`mode:0600:${at('link.key')}`]);
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining('is a symbolic link')]);
    expect(modeOf('/etc/passwd')).toBe(passwd);
    const special = await files([`mode:2640:${at('tls.key')}`]);
    expect([special.status, special.stderr]).toEqual([
      1,
      expect.stringContaining('sets a special bit on files'),
    ]);
    // What has no group execute and set-group-ID is no program; a mode that made it one takes the bit away.
    chmodSync(at('ca.key'), 0o2600);
    expect((await files([`mode:g+x:${at('ca.key')}`])).status).toBe(0);
    expect(modeOf(at('ca.key'))).toBe('0610');
    const none = await files([`mode:0600:${data.path}/*.pem`]);
    expect([none.status, none.stderr]).toEqual([1, expect.stringContaining('does not exist')]);
    expect((await files([`mode:0600:${data.path}/*.pem`, '--if-exists'])).status).toBe(0);
  });

  test('remove: files, trees and links by name and by pattern; again, nothing is changed', async () => {
    using data = volume();
    const at = (name: string): string => join(data.path, name);
    mkdirSync(at('lost+found'), { mode: 0o700 });
    mkdirSync(at('tree/a/b'), { recursive: true });
    for (const name of ['tree/a/b/f', 'tree/f', 'x.tmp', 'y.tmp', '.z.tmp', 'keep'])
      writeFileSync(at(name), '');
    writeFileSync(Buffer.from(`${data.path}/\xff.tmp`, 'latin1'), '');
    symlinkSync('/etc', at('link'));
    symlinkSync('/etc', at('tree/link'));
    const list = [`remove:${data.path}/{lost+found,tree,link,*.tmp,absent}`];
    const first = await files(list);
    expect(first.stderr).toMatch(
      /removed \S+lost\+found, removed \S+tree \(6 entries\), removed \S+link, removed \S+\*\.tmp \(3 entries\), 1 right already/,
    );
    expect(readdirSync(data.path).toSorted()).toEqual(['.z.tmp', 'keep']);
    expect(existsSync('/etc/passwd')).toBe(true);
    expect((await files(list)).stderr).toContain('nothing was changed: 5 right already');
  });

  test('--dry-run tells what would change, and changes nothing', async () => {
    using data = volume();
    mkdirSync(join(data.path, 'old/a'), { recursive: true });
    const before = stateOf(data.path);
    const { status, stdout } = await files([
      '--dry-run',
      `remove:${data.path}/old`,
      `mkdir:${data.path}/new/er`,
      `touch:${data.path}/new/f`,
      `mode:0755:${data.path}`,
      `move:${data.path}/x=${data.path}/y`,
    ]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toEqual({
      actions: [
        { action: `remove:${data.path}/old`, change: 'removed', entries: 2 },
        { action: `mkdir:${data.path}/new/er`, change: 'made' },
        { action: `touch:${data.path}/new/f`, change: 'made' },
        { action: `mode:0755:${data.path}`, change: 'right' },
        {
          action: `move:${data.path}/x=${data.path}/y`,
          change: 'not possible',
          why: expect.stringContaining('neither is there'),
        },
      ],
    });
    expect(stateOf(data.path)).toEqual(before);
  });

  test('places that are not for it: status 2, each is named, and nothing was done', async () => {
    using data = volume();
    const image = temporaryDirectory('image').path;
    writeFileSync(join(image, 'f'), '');
    symlinkSync(image, join(data.path, 'out'));
    const { status, stderr } = await files([
      `remove:${data.path}`,
      `touch:${data.path}/first`,
      `remove:${image}/f`,
      `remove:${image}/*`,
      `remove:${data.path}/out/f`,
      `touch:${data.path}/out/g`,
      `mkdir:${image}/new`,
      `move:${image}/f=${data.path}/f`,
      `move:${data.path}/a=${image}/f`,
    ]);
    expect(status).toBe(2);
    expect(stderr.match(/^.*cannot .*$/gm)?.length).toBe(8);
    expect(stderr).toContain('is not on a volume, and nothing of the image is taken away');
    expect(stderr).toContain('a volume is mounted there, and only what is below one is removed');
    expect(stderr).toContain(`${data.path}/out is a symbolic link`);
    expect([readdirSync(data.path), readdirSync(image)]).toEqual([['out'], ['f']]);
    for (const path of ['/', '/proc/1', '/sys', '/dev/null', '/*'])
      expect([path, (await files([`remove:${path}`])).status]).toEqual([path, 2]);
    for (const word of ['mode:0777:/', 'mkdir:/proc/x', 'touch:/x'])
      expect([word, (await files([word])).status]).toEqual([word, 2]);
  });

  test('what is mounted below stays, and is told', async () => {
    using data = volume();
    mkdirSync(join(data.path, 'tree/mnt'), { recursive: true });
    writeFileSync(join(data.path, 'tree/f'), '');
    writeFileSync(join(data.path, 'mounted-file'), '');
    const other = temporaryDirectory('other').path;
    writeFileSync(join(other, 'precious'), 'x');
    const prefix = mounting(
      `mount --bind ${other} ${data.path}/tree/mnt && mount --bind ${other}/precious ${data.path}/mounted-file`,
    );
    const tree = await files([`remove:${data.path}/tree`], { prefix });
    expect([tree.status, tree.stderr]).toEqual([1, expect.stringContaining('a volume is mounted there')]);
    const file = await files([`remove:${data.path}/mounted-file`], { prefix });
    expect(file.status).toBe(2);
    const all = await files([`remove:${data.path}/*`], { prefix });
    expect(all.status).toBe(1);
    const moved = await files([`move:${data.path}/tree/mnt=${data.path}/x`], { prefix });
    expect([moved.status, moved.stderr]).toEqual([2, expect.stringContaining('no mount is moved')]);
    const across = await files([`move:${data.path}/tree/mnt/precious=${data.path}/x`], { prefix });
    expect([across.status, across.stderr]).toEqual([2, expect.stringContaining('they are on two mounts')]);
    expect(readFileSync(join(other, 'precious'), 'utf8')).toBe('x');
  });

  test('two mounts of one device are two volumes', async () => {
    using data = volume();
    mkdirSync(join(data.path, 'a/sub'), { recursive: true });
    mkdirSync(join(data.path, 'b'));
    writeFileSync(join(data.path, 'b/precious'), '');
    const prefix = mounting(`mount --bind ${data.path}/b ${data.path}/a/sub`);
    expect((await files([`remove:${data.path}/a`], { prefix })).status).toBe(1);
    expect(existsSync(join(data.path, 'b/precious'))).toBe(true);
  });

  test('as any user, without a capability: read-only folders of its own are no bar, those of others are', async () => {
    using data = volume();
    const at = (name: string): string => join(data.path, name);
    chownSync(data.path, 1000, 1000);
    mkdirSync(at('own/inner'), { recursive: true });
    writeFileSync(at('own/inner/f'), '');
    execFileSync('chown', ['-R', '1000:1000', at('own')]);
    execFileSync('chmod', ['-R', 'a-w', at('own')]);
    mkdirSync(at('roots'));
    writeFileSync(at('roots/f'), '');
    const user = { uid: 1000, gid: 1000 };
    expect((await files([`remove:${at('own')}`, `mkdir:${at('new')}`], { user })).status).toBe(0);
    expect(existsSync(at('own'))).toBe(false);
    const refused = await files([`remove:${at('roots')}`], { user });
    expect([refused.status, refused.stderr]).toEqual([
      1,
      expect.stringContaining(`cannot remove "${at('roots/f')}": EACCES`),
    ]);
    expect(refused.stderr).toContain('look at runAsUser');
    const mode = await files([`mode:0777:${at('roots')}`, `touch:${at('later')}`], { user });
    expect([mode.status, mode.stderr]).toEqual([
      1,
      expect.stringContaining(`not tried: touch:${at('later')}`),
    ]);
    const made = await files([`mkdir:${at('roots/x')}`], { user });
    expect([made.status, made.stderr]).toEqual([1, expect.stringContaining('permission denied (EACCES)')]);
  });

  test('on a volume that is mounted read-only: what is right is right, and what is not says so', async () => {
    using data = volume();
    const list = (at: string): string[] => [
      `mkdir:${at}/a`,
      `touch:${at}/f`,
      `link:a=${at}/l`,
      `mode:0600:${at}/f`,
      `remove:${at}/absent`,
    ];
    expect((await files(list(data.path))).status).toBe(0);
    using readOnly = mountReadOnly(data.path);
    const again = await files(list(readOnly.path));
    expect([again.status, again.stderr]).toEqual([
      0,
      expect.stringContaining('nothing was changed: 5 right already'),
    ]);
    for (const word of [
      'mkdir:PATH/b',
      'touch:PATH/b',
      'link:b=PATH/l',
      'mode:0640:PATH/f',
      'remove:PATH/a',
      'move:PATH/a=PATH/b',
    ]) {
      const { status, stderr } = await files([word.replaceAll('PATH', readOnly.path)]);
      expect([word, status, stderr]).toEqual([word, 1, expect.stringMatching(/read-only file system|EROFS/)]);
    }
  });

  test('owner, mode and lost+found, as the page shows it', async () => {
    using data = volume();
    mkdirSync(join(data.path, 'lost+found'), { mode: 0o700 });
    writeFileSync(join(data.path, 'f'), '', { mode: 0o600 });
    const page = readFileSync(join(projectDirectory, 'docs/files.md'), 'utf8');
    const [, plan = ''] = /becomes:\n+```yaml\n([^`]*)```/.exec(page) ?? [];
    expect(plan).toContain('uses: chown');
    const { status, stderr } = await runInitbox(['run'], {
      env: { INITBOX_PLAN: JSON.stringify(parse(plan.replaceAll('/data', data.path))) },
    });
    expect([status, stderr]).toEqual([0, expect.stringContaining('removed')]);
    expect([readdirSync(data.path), modeOf(join(data.path, 'f')), lstatSync(data.path).uid]).toEqual([
      ['f'],
      '0660',
      1000,
    ]);
  });

  test('as steps of a plan', async () => {
    using data = volume();
    const plan = join(temporaryDirectory('plan').path, 'plan.yaml');
    writeFileSync(
      plan,
      `steps:
  - name: folders
    uses: files
    actions:
      - mkdir:${data.path}/{a,b}
      - touch:${data.path}/ready
      - mode:0700:${data.path}
  - name: wrong
    uses: files
    if-exists: true
    actions: [move:${data.path}/x=${data.path}/y]
`,
    );
    const { status, stderr } = await runInitbox(['run', plan]);
    expect([status, stderr]).toEqual([0, expect.stringContaining('made')]);
    expect(readdirSync(data.path).toSorted()).toEqual(['a', 'b', 'ready']);
  });
});
