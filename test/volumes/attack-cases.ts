// What runs as root on the attacker's volume, and what stands there when it begins.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chownSync,
  cpSync,
  linkSync,
  lchownSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { underStrace } from '../support/faults.ts';
import { type Allowed, type Ground, marks, owner, put } from './ground.ts';

export interface AttackCase {
  readonly name: string;
  /** Puts onto the empty volume what is there at the start. */
  readonly prepare: (ground: Ground) => void;
  readonly args: (ground: Ground) => readonly string[];
  readonly env?: Record<string, string>;
  /** Names below the volume that are exchanged all the time. */
  readonly pairs?: readonly (readonly [string, string])[];
  /** True where the attacker does nothing but exchange those. */
  readonly quiet?: boolean;
  readonly allowed?: Allowed;
  /** Below these folders the result is judged; the volume unless given. */
  readonly judged?: (ground: Ground) => readonly string[];
  /** What is wrong beside what is wrong everywhere. */
  readonly judge?: (ground: Ground, status: number | null) => readonly string[];
  /** What is run instead of `node dist/initbox.js`. */
  readonly program?: readonly string[];
  /** What stands before the program. */
  readonly prefix?: readonly string[];
}

/**
 * The same with calls that take as long as on a network volume, so that many of them are under way at a time. A server of
 * slow volumes would itself follow the names that are exchanged below it.
 */
function slowly(one: AttackCase): AttackCase {
  const prefix = underStrace('inject=statx,fchown,lchown,chown,fchmod,link,unlink,rmdir:delay_enter=500');
  return { ...one, name: `${one.name}, slowly`, prefix };
}

/** Gives everything on the volume to its owner, but what has another name outside. */
function givenToOwner({ volume }: Ground): void {
  execFileSync('find', [
    volume,
    '(',
    '-links',
    '1',
    '-o',
    '-type',
    'd',
    ')',
    '-exec',
    'chown',
    '-h',
    `${owner}:${owner}`,
    '{}',
    '+',
  ]);
}

function link(target: string, path: string): void {
  symlinkSync(target, path);
  lchownSync(path, owner, owner);
}

/** Folders of three depths, each with a link of the same depth that leads out, to be exchanged with it. */
const parents = [
  ['d0', 'o0'],
  ['d0/d1', 'd0/o1'],
] as const;

function linkedFolders(ground: Ground): void {
  const { volume, outside } = ground;
  for (const [folder, other] of parents) {
    mkdirSync(join(volume, folder), { recursive: true });
    link(join(outside, folder), join(volume, other));
  }
}

/** What the attacker has put under the names that root's copy is to have. */
function plantedTargets(ground: Ground): void {
  const { volume, outside } = ground;
  linkedFolders(ground);
  for (const folder of ['', 'd0/', 'd0/d1/']) {
    const at = (name: string) => join(volume, folder, name);
    put(at('su'), marks.evil, 0o4755, owner);
    put(at('mine-su'), marks.evil, 0o6777, owner);
    put(at('f0'), marks.evil, 0o666, owner);
    // A further name of what is outside, as an administrator may have made it.
    linkSync(join(outside, folder, 'f1'), at('f1'));
    linkSync(join(outside, folder, 'secret'), at('secret'));
    linkSync(join(outside, folder, 'su'), at('other-su'));
    execFileSync('mkfifo', [at('f2')]);
    execFileSync('mknod', [at('f3'), 'c', '1', '3']);
    link(join(outside, folder, 'secret'), at('f4'));
    link(join(outside, folder, 'f5'), at('f5'));
  }
  put(join(volume, 'large'), marks.evil, 0o644, owner, (4 << 20) + 64);
  givenToOwner(ground);
}

/** Of those, what --atomic replaces rather than refuses. */
function plantedNames(ground: Ground): void {
  const { volume, outside } = ground;
  const at = (name: string) => join(volume, name);
  put(at('su'), marks.evil, 0o4755, owner);
  put(at('mine-su'), marks.evil, 0o6777, owner);
  put(at('f0'), marks.evil, 0o666, owner);
  for (const name of ['f1', 'secret']) linkSync(join(outside, name), at(name));
  put(at('large'), marks.evil, 0o644, owner, (4 << 20) + 64);
  link(outside, at('o0'));
  givenToOwner(ground);
}

const atomicPairs = [
  ['su', 'mine-su'],
  ['f0', 'f1'],
  ['secret', 'f0'],
  ['..data', 'o0'],
  ['d0', 'o0'],
  ['f2', 'mine-su'],
] as const;

const targetPairs = [
  ...parents,
  ['su', 'mine-su'],
  ['f0', 'f1'],
  ['secret', 'f0'],
  ['d0/su', 'd0/f4'],
  ['d0/f0', 'd0/f1'],
  ['d0/d1/su', 'd0/d1/secret'],
] as const;

/** A tree of the attacker's that root copies, reads or gives away, with further names of root's files in it. */
function plantedSource(ground: Ground, { rootsToo = true } = {}): void {
  const { volume, outside } = ground;
  linkedFolders(ground);
  for (const folder of ['', 'd0/', 'd0/d1/']) {
    const at = (name: string) => join(volume, folder, name);
    put(at('mine'), marks.evil, 0o644, owner);
    put(at('mine-su'), marks.evil, 0o4755, owner);
    put(at('mine-sgid'), marks.evil, 0o2755, owner);
    if (rootsToo) {
      linkSync(join(outside, folder, 'su'), at('su'));
      linkSync(join(outside, folder, 'secret'), at('secret'));
      linkSync(join(outside, folder, 'f0'), at('f0'));
    }
    link(join(outside, folder, 'secret'), at('to-secret'));
    link(join(outside, folder, 'f1'), at('to-f1'));
    link('mine', at('to-mine'));
    execFileSync('mkfifo', [at('fifo')]);
  }
  execFileSync('mknod', [join(volume, 'null'), 'c', '1', '3']);
  put(join(volume, 'large'), marks.evil, 0o644, owner, (4 << 20) + 64);
  link('..real', join(volume, '..data'));
  mkdirSync(join(volume, '..real'));
  put(join(volume, '..real/in'), marks.evil, 0o644, owner);
  link('..data/in', join(volume, 'in'));
  link(outside, join(volume, 'out'));
  givenToOwner(ground);
}

const sourcePairs = [
  ...parents,
  ['mine', 'su'],
  ['mine', 'secret'],
  ['mine-su', 'su'],
  ['mine-sgid', 'f0'],
  ['to-mine', 'to-secret'],
  ['d0/mine', 'd0/to-secret'],
  ['d0/d1/mine', 'd0/d1/secret'],
  ['d0', 'fifo'],
  ['..data', 'out'],
  ['..real', 'out'],
] as const;

const sourceOnlyHis = sourcePairs.filter((pair) => !pair.some((name) => /(^|\/)(su|secret|f0)$/.test(name)));

const onto = (name: string, ...flags: string[]): AttackCase => ({
  name: `copy onto the volume${name}`,
  prepare: plantedTargets,
  args: ({ source, volume }) => ['copy', source, volume, ...flags],
  pairs: targetPairs,
});

const from = (name: string, ...flags: string[]): AttackCase => ({
  name: `copy from the volume${name}`,
  prepare: plantedSource,
  args: ({ volume, taken }) => ['copy', volume, taken, ...flags],
  pairs: sourcePairs,
  judged: ({ volume, taken }) => [volume, taken],
});

const inVolume = {
  prepare: plantedTargets,
  pairs: [...targetPairs, ['conf', 'o0'], ['conf', 'f4']] as const,
};

function confFolder(ground: Ground): void {
  plantedTargets(ground);
  mkdirSync(join(ground.volume, 'conf'));
  chownSync(join(ground.volume, 'conf'), owner, owner);
}

const chown = (name: string, words: readonly string[], rootsToo: boolean): AttackCase => ({
  name: `chown${name}`,
  prepare: (ground) => plantedSource(ground, { rootsToo }),
  args: ({ volume }) => ['chown', words[0] ?? '', volume, ...words.slice(1)],
  pairs: rootsToo ? sourcePairs : sourceOnlyHis,
});

const acting = (name: string, actions: AttackCase['args']): AttackCase => ({
  name: `files${name}`,
  prepare: (ground) => plantedSource(ground, { rootsToo: false }),
  args: (ground) => ['files', '--if-exists', ...actions(ground)],
  pairs: sourceOnlyHis,
});

const template = ({ disk }: Ground) => join(disk, 'template');

/** Made once, on the disk: templates, specifications, an archive, a plan. */
export function prepareDisk(ground: Ground, url: string): void {
  const { disk, volume, source } = ground;
  writeFileSync(template(ground), `${marks.plain}\n`);
  writeFileSync(join(disk, 'template2'), `${marks.plain} $HOME\n`);
  mkdirSync(join(disk, 'site/d0/d1'), { recursive: true });
  for (const name of ['f0', 'f1', 'd0/f0', 'd0/d1/f0']) writeFileSync(join(disk, 'site', name), marks.plain);
  execFileSync('tar', ['czf', join(disk, 'site.tar.gz'), '-C', join(disk, 'site'), '.']);
  const spec = (name: string, paths: readonly string[]) =>
    writeFileSync(
      join(disk, name),
      `files:\n${paths.map((path) => `  - path: ${path}\n    from: file:${template(ground)}\n`).join('')}`,
    );
  spec('several.yaml', [`${volume}/conf/a`, `${volume}/conf/b`, `${volume}/conf/c`]);
  spec('folders.yaml', [`${volume}/conf/a`, `${volume}/d0/b`, `${volume}/d0/d1/c`]);
  writeFileSync(
    join(disk, 'plan.json'),
    JSON.stringify({
      steps: [
        { name: 'owner', uses: 'chown', owner: '2000:2000', paths: [`${volume}/d0`], from: '1000' },
        { name: 'files', uses: 'copy', sources: [source], destination: `${volume}/conf`, needs: ['owner'] },
        {
          name: 'conf',
          uses: 'render',
          templates: [template(ground)],
          to: `${volume}/d0/f0`,
          needs: ['files'],
        },
        { name: 'site', uses: 'fetch-config', sources: [`${url}/f`], to: `${volume}/site`, needs: ['conf'] },
      ],
    }),
  );
}

export function attackCases(
  ground: Ground,
  url: string,
  runtime: readonly string[],
  databaseUrl: string,
): AttackCase[] {
  const archive = join(ground.disk, 'site.tar.gz');
  const sum = createHash('sha256').update(readFileSync(archive)).digest('hex');
  const reads = (
    name: string,
    prepareIn: (at: string) => void,
    args: AttackCase['args'],
    pairs: AttackCase['pairs'] = [],
  ): AttackCase => ({
    name,
    prepare: (made) => {
      // A further name of root's own file is root's file: nobody but root can have made it (fs.protected_hardlinks).
      plantedSource(made, { rootsToo: false });
      prepareIn(made.volume);
      givenToOwner(made);
    },
    args,
    pairs: [...sourceOnlyHis, ...pairs],
    allowed: { anyContentOfRoot: true },
    judged: ({ taken }) => [taken],
  });
  return [
    onto(''),
    { ...onto(', --atomic', '--atomic'), prepare: plantedNames, pairs: atomicPairs },
    onto(', --delete', '--delete'),
    onto(', --checksum', '--checksum'),
    onto(', --dereference', '--dereference'),
    onto(', --no-clobber', '--no-clobber'),
    onto(', --owner 0:0 --mode', '--owner', '0:0', '--mode', 'u+rw,go-w'),
    { ...onto(', one file'), args: ({ source, volume }) => ['copy', join(source, 'su'), `${volume}/su`] },
    from(''),
    from(', --atomic', '--atomic'),
    from(', --delete', '--delete'),
    from(', --checksum', '--checksum'),
    from(', --dereference', '--dereference'),
    from(', --no-clobber', '--no-clobber'),
    {
      ...from(', --owner 0:0', '--owner', '0:0'),
      allowed: { anyContentOfRoot: true },
    },
    chown('', ['2000:2000'], false),
    chown(' --mode', ['2000:2000', '--mode', 'u=rwX,go=rX'], false),
    chown(' --mode a+rwX --from', ['2000:2000', '--from', '1000:1000', '--mode', 'a+rwX'], true),
    chown(' --from', ['2000:2000', '--from', '1000'], true),
    { ...chown(' 0:0 --from', ['0:0', '--from', '1000'], true), allowed: { anyContentOfRoot: true } },
    chown(' --exclude', ['2000:2000', '--exclude', 'd0/d1', '--from', '1000'], true),
    chown(' --policy root-mismatch', ['2000:2000', '--policy', 'root-mismatch'], false),
    acting(', making', ({ volume }) => [
      `mkdir:${volume}/d0/d1/new/er`,
      `touch:${volume}/d0/d1/touched`,
      `link:mine=${volume}/d0/linked`,
    ]),
    acting(', mode', ({ volume }) => [
      `mode:a+rwX:${volume}/d0/mine`,
      `mode:0777:${volume}/d0/d1`,
      `mode:g+w:${volume}/m*`,
    ]),
    acting(', moving', ({ volume }) => [
      `move:${volume}/d0/mine=${volume}/moved`,
      `move:${volume}/large=${volume}/d0/d1/large`,
    ]),
    acting(', removing', ({ volume }) => [`remove:${volume}/d0`, `remove:${volume}/{m,t}*`]),
    slowly(acting(', removing', ({ volume }) => [`remove:${volume}/d0`, `remove:${volume}/{m,t}*`])),
    slowly(onto('')),
    slowly(onto(', --delete', '--delete')),
    slowly(from('')),
    slowly(from(', --dereference', '--dereference')),
    slowly(chown('', ['2000:2000'], false)),
    slowly(chown(' --mode a+rwX --from', ['2000:2000', '--from', '1000:1000', '--mode', 'a+rwX'], true)),
    {
      ...inVolume,
      name: 'fetch-config to a file',
      prepare: confFolder,
      args: (made) => ['fetch-config', `file:${template(made)}`, '--to', `${made.volume}/conf/f0`],
    },
    {
      ...inVolume,
      name: 'fetch-config, several files',
      prepare: confFolder,
      args: ({ disk }) => ['fetch-config', '--spec', join(disk, 'several.yaml')],
    },
    {
      ...inVolume,
      name: 'fetch-config, several folders',
      prepare: confFolder,
      args: ({ disk }) => ['fetch-config', '--spec', join(disk, 'folders.yaml')],
    },
    {
      ...inVolume,
      name: 'fetch-config --unpack',
      prepare: confFolder,
      args: ({ volume }) => [
        'fetch-config',
        `file:${archive}`,
        '--sha256',
        sum,
        '--unpack',
        '--to',
        `${volume}/conf`,
      ],
    },
    {
      ...inVolume,
      name: 'fetch-config --etag-file',
      prepare: confFolder,
      args: ({ volume }) => [
        'fetch-config',
        `${url}/f`,
        '--to',
        `${volume}/conf/f0`,
        '--etag-file',
        `${volume}/etag`,
      ],
    },
    {
      ...inVolume,
      name: 'render to a file',
      prepare: confFolder,
      args: (made) => ['render', template(made), '--to', `${made.volume}/conf/f0`],
    },
    {
      ...inVolume,
      name: 'render --block into a file',
      prepare(made) {
        confFolder(made);
        put(join(made.volume, 'conf/f0'), 'his own\n', 0o666, owner);
      },
      args: (made) => ['render', template(made), '--to', `${made.volume}/conf/f0`, '--block', 'b'],
    },
    {
      ...inVolume,
      name: 'render to a folder',
      prepare: confFolder,
      args: (made) => [
        'render',
        template(made),
        join(made.disk, 'template2'),
        '--to',
        `${made.volume}/conf/`,
      ],
    },
    {
      ...inVolume,
      name: 'certificate',
      prepare: confFolder,
      args: ({ volume }) => [
        'certificate',
        'shop.test',
        '--to',
        `${volume}/conf`,
        '--base-name',
        'f0',
        '--allow-disk',
      ],
    },
    {
      ...inVolume,
      name: 'certificate, with an authority on the volume',
      prepare: confFolder,
      args: ({ volume }) => [
        'certificate',
        'shop.test',
        '--ca-dir',
        `${volume}/conf`,
        '--to',
        `${volume}/d0/d1`,
        '--allow-disk',
        '--timeout',
        '5s',
      ],
    },
    {
      ...inVolume,
      name: 'install',
      args: ({ volume }) => ['install', `${volume}/d0/runtime`],
      program: runtime,
    },
    {
      ...inVolume,
      name: 'the termination message',
      args: ({ volume }) => [
        'wait-tcp',
        '127.0.0.1:1',
        '--timeout',
        '20ms',
        '--termination-log',
        `${volume}/f0`,
      ],
    },
    {
      ...inVolume,
      name: 'run, a plan of four',
      prepare: confFolder,
      args: ({ disk }) => ['run', join(disk, 'plan.json')],
    },
    reads(
      'what fetch-config reads',
      () => {},
      ({ volume, taken }) => ['fetch-config', '--timeout', '5s', `file:${volume}/mine`, '--to', `${taken}/f`],
      [['mine', 'to-secret']],
    ),
    {
      ...reads(
        'what fetch-config unpacks, by its sum',
        (at) => {
          cpSync(archive, join(at, 'site.tar.gz'));
          cpSync(archive, join(at, 'other.tar.gz'));
        },
        ({ volume, taken }) => [
          'fetch-config',
          '--timeout',
          '5s',
          `file:${volume}/site.tar.gz`,
          '--sha256',
          sum,
          '--unpack',
          '--to',
          taken,
        ],
        [
          ['site.tar.gz', 'mine'],
          ['site.tar.gz', 'to-secret'],
        ],
      ),
      allowed: {},
    },
    reads(
      'what render reads',
      (at) => writeFileSync(join(at, 'data.json'), '{"a":"1"}'),
      ({ volume, taken }) => [
        'render',
        `${volume}/mine`,
        '--data',
        `${volume}/data.json`,
        '--to',
        `${taken}/f`,
      ],
      [
        ['mine', 'to-secret'],
        ['data.json', 'to-secret'],
      ],
    ),
    {
      ...reads(
        'what migrate-with-lock reads',
        (at) => {
          mkdirSync(join(at, 'sql'));
          writeFileSync(join(at, 'sql/1_a.sql'), 'SELECT 1;');
          link(join(ground.outside, 'secret'), join(at, 'sql/..to-secret'));
        },
        ({ volume }) => ['migrate-with-lock', '--sql', `${volume}/sql`, '--timeout', '10s'],
        [
          ['sql', 'out'],
          ['sql/1_a.sql', 'sql/..to-secret'],
        ],
      ),
      env: { DATABASE_URL: databaseUrl },
    },
  ];
}
