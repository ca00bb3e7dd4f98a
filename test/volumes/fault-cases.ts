// Every way in which the program writes to a volume: what stands there before, what it writes, and what a reader may see.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** What a reader sees: by its path, what is there. */
export type Seen = Readonly<Record<string, string>>;

export interface FaultCase {
  readonly name: string;
  /**
   * `all`: a reader sees all of the old or all of the new. `each`: each file is the old or the new one, as documented.
   */
  readonly promise: 'all' | 'each';
  /** @param version 1 is there before, 2 is written */
  readonly args: (volume: string, version: 1 | 2) => readonly string[];
  /** Puts there what is there before; a run with version 1 unless given. */
  readonly before?: (volume: string) => void;
  /** Status of a run that ends well; 0 unless given. */
  readonly status?: number;
  /** What stays true, whatever a reader sees. */
  readonly holds?: (seen: Seen) => string | undefined;
  /** What may be seen beside the old and the new. */
  readonly also?: (path: string) => string | undefined;
  readonly program?: (version: 1 | 2) => readonly string[];
  /** Changes what versions are, where that is not in the arguments. */
  readonly serve?: (version: 1 | 2) => void;
  /** False where each step of a volume's size would be too many. */
  readonly sizes?: boolean;
}

/** What a reader of the volume sees: files through links, folders, with modes and owners. */
export function seenIn(volume: string): Seen {
  const seen: Record<string, string> = {};
  const look = (folder: string, below: string): void => {
    for (const name of readdirSync(folder).toSorted()) {
      if (name.startsWith('..')) continue;
      const path = join(folder, name);
      const shown = join(below, name);
      const link = lstatSync(path).isSymbolicLink() ? readlinkSync(path) : '';
      if (link !== '' && !link.startsWith('..data/')) {
        seen[shown] = `-> ${link}`;
        continue;
      }
      const stat = statSync(path, { throwIfNoEntry: false });
      // A link of a file to come, which leads nowhere yet.
      if (stat === undefined) continue;
      const whose = `${stat.uid}:${stat.gid} ${(stat.mode & 0o7777).toString(8)}`;
      if (stat.isDirectory()) {
        seen[`${shown}/`] = whose;
        look(path, shown);
      } else seen[shown] = `${whose} ${contentOf(path)}`;
    }
  };
  look(volume, '');
  const top = statSync(volume);
  seen['/'] = `${top.uid}:${top.gid} ${(top.mode & 0o7777).toString(8)}`;
  return seen;
}

/** Bytes, or how many of which where they are many. */
function contentOf(path: string): string {
  const bytes = readFileSync(path);
  // Times that the termination message tells differ from run to run.
  const start = bytes
    .subarray(0, 300)
    .toString('latin1')
    .replaceAll(/\d+m?s\b/g, 'TIME');
  const same = bytes.every((byte) => byte === bytes[0]);
  return bytes.length <= 300 ? start : `${start}… ${bytes.length} ${same ? 'of one' : ''}`;
}

/** Every entry there, the names of generations made equal: two runs that end well leave the same. */
export function entriesIn(volume: string): string[] {
  const equal = (text: string) => text.replaceAll(/\.\.initbox_[A-Za-z0-9_-]+/g, '..initbox_GENERATION');
  return readdirSync(volume, { recursive: true, encoding: 'utf8' })
    .map((name) => {
      const stat = lstatSync(join(volume, name));
      const kind = stat.isDirectory()
        ? 'd'
        : stat.isSymbolicLink()
          ? `-> ${readlinkSync(join(volume, name))}`
          : 'f';
      return equal(
        `${name} ${stat.uid}:${stat.gid} ${stat.isSymbolicLink() ? '' : (stat.mode & 0o7777).toString(8)} ${kind}`,
      );
    })
    .toSorted();
}

/** Sources, templates, archives and runtimes of both versions. */
export interface Inputs {
  readonly folder: string;
  readonly url: string;
  readonly serve: (version: 1 | 2) => void;
  readonly runtime: (version: 1 | 2) => readonly string[];
}

function tree(top: string, version: 1 | 2): void {
  const text = version === 1 ? 'old ' : 'newer ';
  mkdirSync(join(top, 'd/e'), { recursive: true });
  mkdirSync(join(top, `only-${version}`), { recursive: true });
  for (const name of ['a', 'b', 'd/c', 'd/e/f', `d/only-${version}`, `only-${version}/g`])
    writeFileSync(join(top, name), `${text}${name}\n`);
  writeFileSync(join(top, 'big'), String(version).repeat(9_000 + version));
  symlinkSync(version === 1 ? 'a' : 'b', join(top, 'link'));
  chmodSync(join(top, 'b'), version === 1 ? 0o600 : 0o640);
  chownSync(join(top, 'a'), 1234, 1234);
}

export function makeInputs(folder: string): void {
  for (const version of [1, 2] as const) {
    const top = join(folder, `tree${version}`);
    tree(top, version);
    execFileSync('tar', ['czf', join(folder, `tree${version}.tar.gz`), '-C', top, '.']);
    for (const name of ['x', 'y', 'z']) {
      mkdirSync(join(folder, `templates${version}`), { recursive: true });
      writeFileSync(join(folder, `templates${version}`, name), `version ${version} of ${name}\n`.repeat(300));
    }
    writeFileSync(join(folder, `large${version}`), String(version).repeat((4 << 20) + 100));
    writeFileSync(
      join(folder, `large${version}.gz`),
      gzipSync(readFileSync(join(folder, `large${version}`))),
    );
    const linked = join(folder, `linked${version}`);
    tree(linked, version);
    linkSync(join(linked, 'a'), join(linked, 'd/second'));
    linkSync(join(linked, 'big'), join(linked, 'd/e/third'));
    mkdirSync(join(folder, `wide${version}`));
    writeFileSync(join(folder, `wide${version}`, 'large'), String(version).repeat((4 << 20) + 100));
    const values = { x: `x${version}`, y: `y${version}`, [`only${version}`]: 'z' };
    writeFileSync(join(folder, `values${version}.json`), JSON.stringify(values));
  }
}

/** A specification and a plan name the volume, so they are made for it. */
function written(folder: string, name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

export function faultCases({ folder, url, serve, runtime }: Inputs): FaultCase[] {
  const at = (name: string) => join(folder, name);
  const templates = (version: 1 | 2) => ['x', 'y', 'z'].map((name) => at(`templates${version}/${name}`));
  const spec = (paths: readonly string[]) => (volume: string, version: 1 | 2) => {
    const parts = paths.map(
      (path, i) => `  - path: ${volume}/${path}\n    from: file:${templates(version)[i % 3]}\n`,
    );
    return ['fetch-config', '--spec', written(folder, `spec${version}.yaml`, `files:\n${parts.join('')}`)];
  };
  /** Plain files, as another tool left them. */
  const plain = (volume: string) => {
    for (const name of ['x', 'y', 'z']) writeFileSync(join(volume, name), `plain ${name}`, { mode: 0o644 });
  };
  const owned = (volume: string) => {
    tree(volume, 1);
    execFileSync('chown', ['-hR', '0:0', volume]);
    for (let i = 0; i < 4; i++) chownSync(join(volume, 'a'), 500, 500);
  };
  /** The mark of a top below which a change is under way, or failed. */
  const underWay = (path: string) => (path === '/' ? '^65535:65535 ' : undefined);
  const topLast = (seen: Seen): string | undefined =>
    seen['/']?.startsWith('1000:1000') === true &&
    Object.values(seen).some((text) => !text.startsWith('1000:1000') && !text.startsWith('->'))
      ? 'the top has the new owner before all below it'
      : undefined;
  return [
    { name: 'copy', promise: 'each', args: (to, v) => ['copy', at(`tree${v}`), to] },
    { name: 'copy --delete', promise: 'each', args: (to, v) => ['copy', at(`tree${v}`), to, '--delete'] },
    { name: 'copy --atomic', promise: 'all', args: (to, v) => ['copy', at(`tree${v}`), to, '--atomic'] },
    { name: 'copy --checksum', promise: 'each', args: (to, v) => ['copy', at(`tree${v}`), to, '--checksum'] },
    {
      name: 'copy onto an empty volume',
      promise: 'each',
      before: () => {},
      args: (to) => ['copy', at('tree2'), to, '--if-empty'],
    },
    {
      name: 'copy of hard links, with an owner and a mode',
      promise: 'each',
      args: (to, v) => ['copy', at(`linked${v}`), to, '--owner', '1000:1000', '--mode', 'u=rwX,g=rX,o='],
    },
    {
      name: 'files, a move',
      promise: 'all',
      before: (to) => {
        for (const [name, text] of [
          ['new', 'newer'],
          ['now', 'old'],
        ] as const)
          writeFileSync(join(to, name), text);
      },
      args: (to) => ['files', `move:${to}/new=${to}/now`],
    },
    {
      name: 'files, several actions',
      promise: 'each',
      before: (to) => {
        tree(to, 1);
        mkdirSync(join(to, 'closed/in'), { recursive: true });
        writeFileSync(join(to, 'closed/in/f'), '');
        chmodSync(join(to, 'closed/in'), 0o555);
      },
      args: (to) => [
        'files',
        `remove:${to}/{d,closed,*.tmp}`,
        `mkdir:${to}/made/of/several`,
        `touch:${to}/made/touched`,
        `mode:0700:${to}/made`,
        `mode:u=rw,go=:${to}/{a,b}`,
        `link:made/touched=${to}/link`,
      ],
      // A folder has its parts' fate until it is gone, and gets its mode after it is made.
      also: (path) => (path.startsWith('closed/') || path === 'made/' ? '' : undefined),
    },
    { name: 'files, a link', promise: 'all', args: (to, v) => ['files', `link:v${v}=${to}/current`] },
    { name: 'copy of one file', promise: 'all', args: (to, v) => ['copy', at(`templates${v}/x`), `${to}/x`] },
    {
      name: 'copy of a large file',
      promise: 'all',
      sizes: false,
      args: (to, v) => ['copy', at(`wide${v}`), to],
    },
    {
      name: 'chown',
      promise: 'each',
      before: owned,
      args: (to) => ['chown', '1000:1000', to],
      holds: topLast,
      also: underWay,
    },
    {
      name: 'chown --mode',
      promise: 'each',
      before: owned,
      args: (to) => ['chown', '1000:1000', to, '--mode', 'u=rwX,g=rX,o='],
      holds: topLast,
      // Owner and mode are set one after another.
      also: (path) => underWay(path) ?? '^(1000:1000|0:0|500:500) ',
    },
    {
      name: 'fetch-config to a file',
      promise: 'all',
      args: (to, v) => ['fetch-config', `file:${at(`templates${v}/x`)}`, '--to', `${to}/x`],
    },
    { name: 'fetch-config, several files', promise: 'all', args: spec(['x', 'y', 'z']) },
    {
      name: 'fetch-config, several files where plain ones were',
      promise: 'all',
      before: plain,
      args: spec(['x', 'y', 'z']),
    },
    {
      name: 'fetch-config --format files',
      promise: 'all',
      args: (to, v) => ['fetch-config', `file:${at(`values${v}.json`)}`, '--format', 'files', '--to', to],
    },
    {
      name: 'fetch-config --unpack',
      promise: 'all',
      args: (to, v) => ['fetch-config', `file:${at(`tree${v}.tar.gz`)}`, '--unpack', '--to', to],
    },
    {
      name: 'fetch-config --unpack --secret',
      promise: 'all',
      args: (to, v) => [
        'fetch-config',
        `file:${at(`tree${v}.tar.gz`)}`,
        '--unpack',
        '--secret',
        '--owner',
        '1000:1000',
        '--to',
        to,
      ],
    },
    {
      name: 'fetch-config --decompress',
      promise: 'all',
      sizes: false,
      args: (to, v) => ['fetch-config', `file:${at(`large${v}.gz`)}`, '--decompress', '--to', `${to}/x`],
    },
    {
      name: 'fetch-config, files of several folders',
      promise: 'each',
      args: spec(['a/x', 'b/y', 'b/c/z']),
    },
    {
      name: 'fetch-config --etag-file',
      promise: 'each',
      serve,
      args: (to) => [
        'fetch-config',
        `${url}/f`,
        '--to',
        `${to}/x`,
        '--etag-file',
        `${to}/etag`,
        '--timeout',
        '20s',
      ],
      // Where it cannot be written that is said, and the next run downloads again.
      also: (path) => (path === 'etag' ? 'v[12]' : undefined),
      // Else no later run would fetch it.
      holds: (seen) =>
        seen['etag']?.includes('v2') === true && seen['x']?.includes('body 2') !== true
          ? 'the new ETag stands beside the old body'
          : undefined,
    },
    {
      name: 'render to a file',
      promise: 'all',
      args: (to, v) => ['render', at(`templates${v}/x`), '--to', `${to}/x`],
    },
    {
      name: 'render --block into a file',
      promise: 'all',
      before: (volume) => {
        const block = readFileSync(at('templates1/x'), 'latin1').replace(/(?<!\n)$/, '\n');
        const text = `its own\n# BEGIN initbox b\n${block}# END initbox b\nthe end`;
        writeFileSync(join(volume, 'x'), text, { encoding: 'latin1', mode: 0o640 });
        chownSync(join(volume, 'x'), 500, 500);
      },
      args: (to, v) => ['render', at(`templates${v}/x`), '--to', `${to}/x`, '--block', 'b'],
    },
    {
      name: 'render to a folder',
      promise: 'all',
      args: (to, v) => ['render', ...templates(v), '--to', `${to}/`],
    },
    {
      name: 'install',
      promise: 'each',
      sizes: false,
      args: (to) => ['install', `${to}/runtime`],
      program: runtime,
      // The program is taken away first and comes last; half a file stays under a name of its own until the next run.
      also: (path) => (path === 'runtime/initbox' ? '^undefined$' : path.endsWith('.tmp') ? '' : undefined),
    },
    {
      name: 'the termination message',
      promise: 'all',
      status: 124,
      before: (to) => writeFileSync(join(to, 'log'), 'what a run before has left'),
      args: (to) => ['wait-tcp', '127.0.0.1:1', '--timeout', '1ms', '--termination-log', `${to}/log`],
      // One that cannot be emptied stays as it is, which is warned about.
      also: () => '^0:0 644 $|^0:0 644 (?:initbox wait-tcp: gave up|what a run before has left$)',
    },
    {
      name: 'run, a plan that writes',
      promise: 'each',
      args: (to, v) => {
        const steps = [
          { name: 'files', uses: 'copy', sources: [at(`tree${v}`)], destination: `${to}/files` },
          { name: 'conf', uses: 'render', templates: templates(v), to: `${to}/conf/`, needs: ['files'] },
          {
            name: 'one',
            uses: 'fetch-config',
            sources: [`file:${at(`values${v}.json`)}`],
            to: `${to}/one`,
            needs: ['conf'],
          },
        ];
        return ['run', written(folder, `plan${v}.json`, JSON.stringify({ steps }))];
      },
      before: (to) => {
        for (const name of ['files', 'conf']) mkdirSync(join(to, name));
      },
    },
  ];
}
