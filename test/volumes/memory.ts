/**
 * `npm run volume-memory -- [--entries=20000] [--runs=40] [--only=WORDS]`: whatever writes many entries, on disks that
 * nobody has looked at since they were mounted, within 96 MiB. What the kernel keeps of files counts as the container's
 * memory too. None of the runs may be killed.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { setup as buildOnce } from '../support/build-once.ts';
import { limitMemory } from '../support/memory-limit.ts';
import { runInitbox } from '../support/program.ts';
import { requireOrSkip, whyMissing } from '../support/tools.ts';
import { quote, temporaryDirectory, undoAtDeath } from '../support/undo.ts';

/** What the pages name as the limit of a container. */
const documented = 96 << 20;

const { values } = parseArgs({
  options: {
    entries: { type: 'string', default: '20000' },
    runs: { type: 'string', default: '40' },
    only: { type: 'string', default: '' },
  },
});
const entries = Number(values.entries);
const runs = Number(values.runs);
if (!(entries >= 100) || !(runs > 0)) throw new Error('--entries takes a number from 100, --runs a number');

/** A file system in a file, mounted. */
class Disk {
  readonly path: string;
  /** Another one each time: while a mount namespace of another process holds the last one, the kernel would show that. */
  #image = '';
  #made = 0;

  constructor(folder: string, name: string) {
    this.path = join(folder, name);
    mkdirSync(this.path);
    undoAtDeath(`umount -l ${quote(this.path)}; rm -f ${quote(this.path)}-*.img`);
    this.make();
  }

  /** Empty, whatever it was. */
  make(): void {
    this.#unmount();
    rmSync(this.#image, { force: true });
    this.#image = `${this.path}-${++this.#made}.img`;
    writeFileSync(this.#image, '');
    truncateSync(this.#image, entries * 6144 + (96 << 20));
    execFileSync('mkfs.ext4', ['-qF', '-N', String(entries * 2 + 4096), this.#image]);
    this.mount();
  }

  /** Mounted anew: the kernel keeps nothing of it. */
  mount(): void {
    this.#unmount();
    execFileSync('mount', ['-o', 'loop', this.#image, this.path]);
  }

  remove(): void {
    this.#unmount();
  }

  #unmount(): void {
    for (let tries = 0; readFileSync('/proc/mounts', 'utf8').includes(` ${this.path} `); tries++) {
      try {
        execFileSync('umount', [this.path], { stdio: 'ignore' });
      } catch (error) {
        // A process of the last run is ending still.
        if (tries >= 100) throw error;
        execFileSync('sleep', ['0.1']);
      }
    }
  }
}

const maker = `
import json, os, sys
disk, count = sys.argv[1], int(sys.argv[2])
for i in range(count // 100):
    p = f"{disk}/tree/{i // 100}/d{i}"
    os.makedirs(p)
    for j in range(100):
        with open(f"{p}/file-{j:03d}", "w") as f: f.write(f"{i} {j}\\n" * 50)
with open(f"{disk}/values.json", "w") as f: json.dump({f"key{i}": f"value {i}" for i in range(min(count, 20000))}, f)
with open(f"{disk}/template", "w") as f: f.write("".join(f"key{i}: \${{key{i}}}\\n" for i in range(min(count, 20000))))
os.system(f"tar czf {disk}/tree.tar.gz -C {disk}/tree .")
`;

interface Work {
  readonly name: string;
  readonly args: (from: string, to: string) => readonly string[];
  /** True where it goes on with what the run before it has left. */
  readonly goesOn?: boolean;
}

const works: readonly Work[] = [
  { name: 'copy', args: (from, to) => ['copy', `${from}/tree`, to] },
  { name: 'chown', goesOn: true, args: (_, to) => ['chown', '1000:1000', to] },
  {
    name: 'chown, again',
    goesOn: true,
    args: (_, to) => ['chown', '1000:1000', to, '--mode', 'u=rwX,g=rX,o='],
  },
  {
    name: 'copy, again',
    goesOn: true,
    args: (from, to) => ['copy', `${from}/tree`, to, '--owner', '1000:1000'],
  },
  { name: 'files remove:', goesOn: true, args: (_, to) => ['files', `remove:${to}/*`] },
  { name: 'copy --atomic', args: (from, to) => ['copy', `${from}/tree`, `${to}/app`, '--atomic'] },
  {
    name: 'fetch-config --unpack',
    args: (from, to) => ['fetch-config', `file:${from}/tree.tar.gz`, '--unpack', '--to', `${to}/site`],
  },
  {
    name: 'fetch-config --unpack, again',
    goesOn: true,
    args: (from, to) => ['fetch-config', `file:${from}/tree.tar.gz`, '--unpack', '--to', `${to}/site`],
  },
  {
    name: 'fetch-config --format files',
    args: (from, to) => [
      'fetch-config',
      `file:${from}/values.json`,
      '--format',
      'files',
      '--allow-disk',
      '--to',
      `${to}/values`,
    ],
  },
  {
    name: 'render',
    args: (from, to) => [
      'render',
      `${from}/template`,
      '--data',
      `${from}/values.json`,
      '--to',
      `${to}/rendered`,
    ],
  },
];

const probe = limitMemory(documented);
probe?.[Symbol.dispose]();
const why =
  process.getuid?.() === 0
    ? probe === undefined
      ? 'no cgroup can be made'
      : whyMissing('mkfs.ext4', 'e2fsprogs')
    : 'mounting needs root';
if (!requireOrSkip('a memory limit on volumes', why)) {
  await buildOnce();
  const folder = temporaryDirectory('volume-memory').path;
  const [source, target] = [new Disk(folder, 'source'), new Disk(folder, 'target')];
  execFileSync('python3', ['-c', maker, source.path, String(entries)]);
  const chosen = works.filter(({ name }) => name.includes(values.only));
  const wrong: string[] = [];
  const peaks: Record<string, number> = {};
  for (let run = 0; run < runs; run++) {
    const { name, args, goesOn = false } = chosen[run % chosen.length] as Work;
    source.mount();
    if (goesOn) target.mount();
    else {
      target.make();
      for (const below of ['app', 'site', 'values']) mkdirSync(join(target.path, below));
    }
    const limit = limitMemory(documented);
    if (limit === undefined) throw new Error('no cgroup can be made');
    const { status, signal, stderr, milliseconds } = await runInitbox(args(source.path, target.path), {
      prefix: limit.prefix,
      timeout: 600_000,
    });
    peaks[name] = Math.max(peaks[name] ?? 0, limit.peak());
    if (status !== 0) wrong.push(`${name}: ${status ?? signal}: ${stderr.slice(0, 600)}`);
    console.log(
      `${run + 1}/${runs} ${name}: ${status ?? signal}, ${Math.round(milliseconds)} ms, ${readdirSync(target.path).length} at the top`,
    );
    // The last of what it held goes with its last page.
    target.mount();
    source.mount();
    try {
      limit[Symbol.dispose]();
    } catch {
      // a process of it is ending still
    }
  }
  console.log(
    `${runs} runs of ${entries} entries within 96 MiB: ${wrong.length === 0 ? 'none was killed' : 'WRONG'}`,
  );
  for (const [name, peak] of Object.entries(peaks))
    console.log(`  ${name}: at most ${(peak / (1 << 20)).toFixed(1)} MiB`);
  for (const line of wrong) console.log(`  WRONG: ${line}`);
  source.remove();
  target.remove();
  process.exitCode = wrong.length === 0 ? 0 : 1;
}
