import { describe, expect, test } from 'vitest';

import { explainChownError } from '../../../../src/commands/chown/explain.ts';
import { chownSummary, problemHints } from '../../../../src/commands/chown/summary.ts';
import { emptyChownTally } from '../../../../src/commands/chown/tally.ts';
import { refusedPath } from '../../../../src/fs/directory/forbidden-places.ts';
import type { Mount } from '../../../../src/fs/directory/mounts.ts';
import { addTally, problemLines, walkProgressText } from '../../../../src/fs/tree/tally.ts';

const script = '/initbox/initbox';

describe('paths that are refused', () => {
  test.each([
    ['/', 'is the root directory'],
    ['//', 'that is /'],
    ['/data/../..', 'that is /'],
    ['/data/..', 'that is /'],
    ['/./.', 'that is /'],
    ['/proc', "is the kernel's"],
    ['/proc/self/cwd/data', "is the kernel's"],
    ['/data/../proc/1', "is the kernel's"],
    ['/sys/', "is the kernel's"],
    ['/sys/fs/cgroup', "is the kernel's"],
    ['/dev', "is the kernel's"],
    ['/dev/null', "is the kernel's"],
    ['/initbox', "this program's own folder"],
    ['/initbox/lib', "this program's own folder"],
    ['/opt/tools/chown', "this program's own folder"],
    ['/opt', "this program's own folder"],
    ['', 'empty'],
  ])('%j', (path, message) =>
    expect(refusedPath(path, path.startsWith('/opt') ? '/opt/tools/initbox.js' : script)).toContain(message),
  );

  test.each([
    '/data',
    '/processes',
    '/device',
    '/initbox2',
    '/dev/shm',
    '/dev/shm/x',
    '/data/proc',
    '/data/./a//b/',
  ])('%s is not', (path) => expect(refusedPath(path, script)).toBeUndefined());
});

describe('what stands behind an error', () => {
  const mount = (type: string, options = 'rw'): Mount => ({
    parent: 0,
    device: '0:5',
    root: '/',
    id: 1,
    point: '/data',
    options,
    type,
    source: 'x',
  });
  const all = () => true;

  test.each([
    [
      'EPERM',
      mount('ext4'),
      (name: string) => name !== 'CHOWN',
      /CAP_CHOWN is missing.*runAsUser: 0.*CHOWN, FOWNER, DAC_OVERRIDE/,
    ],
    ['EPERM', mount('ext4'), (name: string) => name !== 'FOWNER', /CAP_FOWNER is missing/],
    ['EPERM', mount('nfs4'), all, /nfs4 mount at \/data refuses root.*root_squash/],
    ['EPERM', mount('vfat'), all, /vfat mount at \/data stores no owner.*uid=, gid=/],
    ['EPERM', mount('cifs'), all, /stores no owner/],
    ['EPERM', mount('fuse.s3fs'), all, /FUSE/],
    ['EPERM', mount('ext4'), all, /immutable.*lsattr/],
    ['EPERM', undefined, all, /immutable/],
    ['EACCES', mount('ext4'), (name: string) => name !== 'DAC_OVERRIDE', /CAP_DAC_OVERRIDE is missing/],
    ['EACCES', mount('nfs'), all, /root_squash/],
    ['EACCES', mount('ext4'), all, /SELinux/],
    ['EROFS', mount('ext4', 'ro,relatime'), all, /mounted read-only; take readOnly from the volumeMount/],
    ['EROFS', mount('ext4', 'rw'), all, /stop writing to it after an error/],
    ['EINVAL', mount('ext4', 'rw,idmapped'), all, /idmapped/],
    ['EINVAL', mount('ext4'), all, /user namespace.*hostUsers: false/],
    ['EDQUOT', mount('xfs'), all, /quota/],
  ])('%s on %o', (code, where, has, text) => expect(explainChownError(code, where, has)).toMatch(text));

  test('an unknown code gets no story', () =>
    expect(explainChownError('EXYZ', mount('ext4'), all)).toBeUndefined());

  test('each explanation once', () =>
    expect(problemHints([{ code: 'EROFS' }, { code: 'EROFS' }], mount('ext4', 'ro'), all)).toHaveLength(1));
});

describe('summaries', () => {
  test('counts are grouped, zeros left out', () => {
    const tally = { ...emptyChownTally(), entries: 1_202_001, changed: 1000, right: 1_201_001 };
    expect(chownSummary(tally, '1000:1000', false)).toBe(
      '1,202,001 entries, 1,000 changed to 1000:1000, 1,201,001 right already',
    );
    expect(
      chownSummary({ ...tally, entries: 1, vanished: 2, crossed: 1, excluded: 3, spared: 4 }, ':5', true),
    ).toBe(
      '1 entry, 1,000 to change to :5, 1,201,001 right already, 4 of other owners left (--from), 3 excluded, 2 vanished meanwhile, 1 mount not entered (--no-one-file-system enters)',
    );
  });

  test('progress tells the rate', () =>
    expect(
      walkProgressText({ ...emptyChownTally(), entries: 210_000, errors: 1 }, 5000, '1,200 changed'),
    ).toBe('210,000 entries so far in 5s, 42,000/s, 1,200 changed, 1 error'));

  test('ten problems are listed over all processes, the rest counted', () => {
    const sum = emptyChownTally();
    for (let part = 0; part < 2; part++) {
      const problems = Array.from({ length: 8 }, (_, i) => ({
        path: `/d/${part}\n${i}`,
        action: 'change',
        code: 'EPERM',
      }));
      addTally(sum, { ...emptyChownTally(), errors: 8, problems });
    }
    const lines = problemLines(sum);
    expect(lines).toHaveLength(11);
    expect(lines[0]).toBe('cannot change "/d/0\\n0": EPERM');
    expect(lines[10]).toBe('and 6 more');
  });
});
