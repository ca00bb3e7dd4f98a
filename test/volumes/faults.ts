/**
 * `npm run volume-faults -- [--for=50s] [--seed=N] [--only=WORDS] [--kinds=kill,EIO,…]`: every way in which the program
 * writes to a volume, killed at each system call that touches it, with each of these calls failing, and on a volume with
 * every number of inodes and every size from what is there to what is needed. After each, a reader sees the old or the new;
 * the next run ends well, and leaves what it would have left without the fault. With `--for`, as many of all of them as fit
 * into that time, chosen by the seed.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { seeded } from '../chaos/random.ts';
import { respond, startFaultServer } from '../integration/commands/fetch-config/fault-server.ts';
import { setup as buildOnce } from '../support/build-once.ts';
import { canMount, groupGone, mountTmpfs } from '../support/faults.ts';
import { type ProgramResult, startInitbox } from '../support/program.ts';
import {
  changingCalls,
  lookingCalls,
  type Point,
  pointsOf,
  striking,
  struckOf,
} from '../support/strace-points.ts';
import { nodePath, projectDirectory, requireOrSkip, whyMissing } from '../support/tools.ts';
import { temporaryDirectory } from '../support/undo.ts';
import { entriesIn, type FaultCase, faultCases, makeInputs, type Seen, seenIn } from './fault-cases.ts';

const kinds = ['kill', 'EIO', 'ENOSPC', 'EDQUOT', 'inodes', 'size'] as const;
type Kind = (typeof kinds)[number];

const { values } = parseArgs({
  options: {
    for: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000_007) },
    only: { type: 'string', default: '' },
    /** At most so many trials of each kind for each way to write, spread evenly. */
    each: { type: 'string', default: '100000' },
    kinds: { type: 'string', default: kinds.join(',') },
  },
});
const seed = Number(values.seed);
const limit = values.for === undefined ? undefined : Number(/^(\d+)s$/.exec(values.for)?.[1]);
const each = Number(values.each);
const wanted = values.kinds.split(',') as Kind[];
if (!Number.isInteger(seed) || Number.isNaN(limit) || wanted.some((kind) => !kinds.includes(kind)))
  throw new Error(
    `--seed takes a whole number, --for a time such as 50s, --kinds some of ${kinds.join(', ')}`,
  );

const volumeOptions = { size: '64m', options: 'nr_inodes=10000' };
/** Which errors a call may give: no room only where something is made or grows. */
const withoutRoom = new Set([
  'mkdir',
  'write',
  'pwrite64',
  'writev',
  'pwritev',
  'openat',
  'link',
  'symlink',
  'rename',
  'renameat2',
  'ftruncate',
  'copy_file_range',
  'sendfile',
  'fchown',
  'lchown',
  'chown',
  'fchownat',
  'fsync',
]);

/**
 * The program cannot be read: another of its threads' calls was struck than the one that was meant. Node's own loader says
 * so, or the first lines of the program, which read the rest.
 */
const beforeProgram =
  /\n\s+at (?:(?:resolveMainPath|getNearestParentPackageJSONType|loadSource) \(node:internal\/|load \([^)]*\/initbox(?:\.js)?:)/;

/** By what Node's threads wake each other, and its signals its loop; no file, and not the streams of the program. */
const waking = /^\d+ +(?:read|write)\((?:[3-9]|\d{2,})<(?:anon_inode:\[eventfd\]|pipe:\[\d+\])>/;

/** One run that goes wrong in a certain way. */
type Trial =
  | { readonly kind: Exclude<Kind, 'inodes' | 'size'>; readonly point: Point }
  | { readonly kind: 'inodes' | 'size'; readonly more: number };

function spread(trials: readonly Trial[]): Trial[] {
  const step = Math.max(1, trials.length / each);
  return Array.from(
    { length: Math.min(trials.length, each) },
    (_, i) => trials[Math.floor(i * step)] as Trial,
  );
}

class Field {
  readonly #case: FaultCase;
  readonly #volume: string;
  /** The volume as it is before each trial. */
  readonly #pristine: string;
  /** Of the calls of a trial. */
  readonly #log: string;
  #old: Seen = {};
  #new: Seen = {};
  #entries: readonly string[] = [];
  #used = { inodes: 0, bytes: 0 };

  constructor(one: FaultCase, volume: string, pristine: string, log: string) {
    this.#log = log;
    this.#case = one;
    this.#volume = volume;
    this.#pristine = pristine;
  }

  async #run(version: 1 | 2, prefix: readonly string[] = []): Promise<ProgramResult> {
    const { args, program } = this.#case;
    this.#case.serve?.(version);
    const running = await startInitbox(args(this.#volume, version), {
      prefix,
      // Calls in threads are then counted alike in every run.
      env: { UV_THREADPOOL_SIZE: '1' },
      ...(program && { program: program(version) }),
    });
    const result = await running.exit;
    await groupGone(running.pid, 60_000);
    return result;
  }

  async #runWell(version: 1 | 2, prefix: readonly string[] = []): Promise<void> {
    const { status, stderr } = await this.#run(version, prefix);
    if (status !== (this.#case.status ?? 0))
      throw new Error(`${this.#case.name} ended with ${status}: ${stderr}`);
  }

  #remount(options: string): void {
    execFileSync('mount', ['-o', `remount,${options}`, this.#volume]);
  }

  #reset(): void {
    execFileSync('find', [this.#volume, '-mindepth', '1', '-delete']);
    execFileSync('cp', ['-a', `${this.#pristine}/.`, this.#volume]);
  }

  /** Makes what is there before, and looks what an undisturbed run makes of it. */
  async prepare(): Promise<void> {
    execFileSync('find', [this.#volume, '-mindepth', '1', '-delete']);
    execFileSync('find', [this.#pristine, '-mindepth', '1', '-delete']);
    execFileSync('chown', ['0:0', this.#volume]);
    chmodSync(this.#volume, 0o755);
    this.#case.before?.(this.#volume);
    const { name } = this.#case;
    if (this.#case.before === undefined || name.startsWith('run,')) await this.#runWell(1);
    execFileSync('cp', ['-a', `${this.#volume}/.`, this.#pristine]);
    this.#reset();
    const { type: _, bsize, blocks, bfree, files, ffree } = statfsSync(this.#volume);
    this.#used = { inodes: files - ffree, bytes: (blocks - bfree) * bsize };
    this.#old = seenIn(this.#volume);
    await this.#runWell(2);
    this.#new = seenIn(this.#volume);
    this.#entries = entriesIn(this.#volume);
    if (JSON.stringify(this.#old) === JSON.stringify(this.#new)) throw new Error(`${name} changes nothing`);
  }

  /** All trials with calls; those with room go on until one succeeds. */
  async points(): Promise<Trial[]> {
    const trials: Trial[] = [];
    const find = async (calls: readonly string[]): Promise<Point[]> => {
      this.#reset();
      return pointsOf(this.#volume, calls, (prefix) => this.#runWell(2, prefix));
    };
    const changing = await find(changingCalls);
    const looking = wanted.includes('EIO') && limit === undefined ? await find(lookingCalls) : [];
    for (const kind of ['kill', 'EIO', 'ENOSPC', 'EDQUOT'] as const) {
      if (!wanted.includes(kind)) continue;
      for (const point of kind === 'EIO' ? [...changing, ...looking] : changing)
        if (kind === 'EIO' || (point.changes && (kind === 'kill' || withoutRoom.has(point.call))))
          trials.push({ kind, point });
    }
    return kinds.flatMap((kind) => spread(trials.filter((trial) => trial.kind === kind)));
  }

  /** @returns what was wrong, and whether the run ended well in spite of all */
  async try(trial: Trial): Promise<{ wrong: string[]; ended: string; well: boolean }> {
    this.#reset();
    let result: ProgramResult;
    if ('point' in trial) {
      const how = trial.kind === 'kill' ? 'signal=KILL' : `error=${trial.kind}`;
      result = await this.#run(2, striking(trial.point, how, this.#log));
    } else {
      const { inodes, bytes } = this.#used;
      if (trial.kind === 'inodes') this.#remount(`nr_inodes=${inodes + trial.more}`);
      // A size of 0 is none, which no later one can limit.
      else this.#remount(`size=${Math.max(1, bytes / 4096 + trial.more) * 4096}`);
      result = await this.#run(2);
    }
    const wrong: string[] = [];
    const well = result.status === (this.#case.status ?? 0);
    const seen = seenIn(this.#volume);
    wrong.push(...this.#mixed(seen, well));
    if (/unexpected error|\n\s+at .*:\d+:\d+/.test(result.stderr) && !beforeProgram.test(result.stderr))
      wrong.push(`said: ${result.stderr.slice(0, 600)}`);
    // An error that a call gives is to be told: no signal ends the program but the one of the trial.
    if (result.signal !== null && trial.kind !== 'kill' && !('point' in trial && this.#struckWaking()))
      wrong.push(`ended by ${result.signal}: ${result.stderr.slice(0, 1500)}`);
    if (!('point' in trial)) this.#remount(`size=${volumeOptions.size},${volumeOptions.options}`);
    const again = await this.#run(2);
    if (again.status !== (this.#case.status ?? 0))
      wrong.push(`the next run ended with ${again.status}: ${again.stderr.slice(0, 600)}`);
    const left = entriesIn(this.#volume);
    const extra = left.filter((entry) => !this.#entries.includes(entry));
    const lacks = this.#entries.filter((entry) => !left.includes(entry));
    if (extra.length + lacks.length > 0 || left.length !== this.#entries.length)
      wrong.push(
        `after the next run: left over ${JSON.stringify(extra)}, lacking ${JSON.stringify(lacks)}, ${left.length} entries for ${this.#entries.length}`,
      );
    const after = seenIn(this.#volume);
    for (const path of Object.keys({ ...this.#new, ...after }))
      if (this.#new[path] !== after[path])
        wrong.push(`after the next run: ${path} is ${after[path]}, not ${this.#new[path]}`);
    if (wrong.length > 0)
      wrong.push(`the run had ended with ${result.status ?? result.signal}: ${result.stderr.slice(0, 600)}`);
    return { wrong, ended: String(result.status ?? result.signal), well };
  }

  /** Whether Node's threads could not wake each other, by no call on the volume: libuv aborts then. */
  #struckWaking(): boolean {
    return struckOf(this.#log).some((line) => waking.test(line));
  }

  #isAlso(path: string, what: string | undefined): boolean {
    const also = this.#case.also?.(path);
    return also !== undefined && new RegExp(also).test(String(what));
  }

  #mixed(seen: Seen, well: boolean): string[] {
    const differing = (from: Seen) =>
      Object.keys({ ...from, ...seen }).filter(
        (path) => from[path] !== seen[path] && !this.#isAlso(path, seen[path]),
      );
    const [old, now] = [differing(this.#old), differing(this.#new)];
    const wrong: string[] = [];
    if (well && now.length > 0)
      wrong.push(`ended well, but ${now.map((path) => `${path} is ${seen[path]}`).join('; ')}`);
    const mixed =
      this.#case.promise === 'all'
        ? old.length > 0 && now.length > 0
          ? [...old, ...now]
          : []
        : old.filter((path) => now.includes(path));
    if (mixed.length > 0)
      wrong.push(`neither old nor new: ${mixed.map((path) => `${path} is ${seen[path]}`).join('; ')}`);
    const broken = well ? undefined : this.#case.holds?.(seen);
    if (broken !== undefined) wrong.push(broken);
    return wrong;
  }

  get sizes(): boolean {
    return this.#case.sizes !== false;
  }
}

/** Two runtimes as the image has them, with a small file in Node's place: what is copied does not run here. */
function makeRuntimes(folder: string): (version: 1 | 2) => readonly string[] {
  for (const version of [1, 2]) {
    const runtime = join(folder, `runtime${version}`);
    cpSync(join(projectDirectory, 'dist'), runtime, { recursive: true });
    cpSync(join(projectDirectory, 'dist/initbox.js'), join(runtime, 'initbox'));
    mkdirSync(join(runtime, 'bin'));
    writeFileSync(join(runtime, 'bin/node'), Buffer.alloc(300_000 + version, String(version)));
    chmodSync(join(runtime, 'bin/node'), 0o755);
    writeFileSync(join(runtime, `only-${version}`), 'of one version', { mode: 0o644 });
    const below = ['commands'].flatMap((name) =>
      readdirSync(join(runtime, name))
        .slice(0, 4)
        .map((file) => `${name}/${file}`),
    );
    const files = ['initbox', 'bin/node', 'program.js', `only-${version}`, ...below].map((path) => {
      const content = readFileSync(join(runtime, path));
      const mode = (statSync(join(runtime, path)).mode & 0o777).toString(8).padStart(4, '0');
      return { path, size: content.length, mode, sha256: createHash('sha256').update(content).digest('hex') };
    });
    const build = createHash('sha256').update(JSON.stringify(files)).digest('hex');
    writeFileSync(
      join(runtime, 'manifest.json'),
      JSON.stringify({ version: `1.2.${version}`, build, files }),
    );
  }
  return (version) => [nodePath(), join(folder, `runtime${version}`, 'initbox')];
}

/** Where only some are chosen: so many of each way to write. */
const trialsEach = 8;

/** The server's answer now. */
let current: 1 | 2 = 1;

async function all(
  cases: readonly FaultCase[],
  volume: string,
  pristine: string,
  log: string,
): Promise<boolean> {
  const random = seeded(seed);
  const began = performance.now();
  const over = () => limit !== undefined && performance.now() - began > limit * 1000;
  const sum = { trials: 0, wrong: 0 };
  const order = limit === undefined ? cases : cases.toSorted(() => random.next() - 0.5);
  for (const one of order) {
    if (over()) break;
    const started = performance.now();
    const counts: Record<string, number> = {};
    const wrong: string[] = [];
    const field = new Field(one, volume, pristine, log);
    await field.prepare();
    const trials = await field.points();
    const known = trials.length;
    console.log(`${one.name}: ${known} trials with calls`);
    const judge = async (trial: Trial): Promise<boolean> => {
      const { wrong: found, ended, well } = await field.try(trial);
      counts[trial.kind] = (counts[trial.kind] ?? 0) + 1;
      counts[`ended ${ended}`] = (counts[`ended ${ended}`] ?? 0) + 1;
      const where = 'point' in trial ? `at ${trial.point.call} ${trial.point.n}` : `with ${trial.more} more`;
      for (const line of found) wrong.push(`${trial.kind} ${where}: ${line}`);
      sum.trials++;
      return well;
    };
    if (limit === undefined) {
      for (const trial of trials) await judge(trial);
      for (const kind of ['inodes', 'size'] as const) {
        if (!wanted.includes(kind) || (kind === 'size' && !field.sizes)) continue;
        for (let more = 0; !(await judge({ kind, more })); more++)
          if (more > 500) throw new Error(`${one.name}: no number of ${kind} suffices`);
      }
    } else {
      for (let i = 0; i < trialsEach && !over(); i++) {
        const kind = random.pick(wanted.filter((name) => name !== 'size' || field.sizes)) as Kind;
        const drawn =
          kind === 'inodes' || kind === 'size'
            ? { kind, more: Math.floor(random.between(0, 12)) }
            : random.pick(trials.filter((trial) => trial.kind === kind));
        if (drawn) await judge(drawn);
      }
    }
    sum.wrong += wrong.length;
    console.log(
      `${one.name}: ${known} points, ${JSON.stringify(counts)}, ${Math.round((performance.now() - started) / 1000)} s`,
    );
    for (const line of wrong) console.log(`  WRONG: ${line}`);
  }
  console.log(`${sum.trials} trials: ${sum.wrong === 0 ? 'nothing wrong' : `${sum.wrong} lines of WRONG`}`);
  return sum.wrong === 0;
}

if (!requireOrSkip('faults of a volume', canMount() ?? whyMissing('strace', 'strace'))) {
  await buildOnce();
  console.log(`faults of a volume${limit === undefined ? '' : `, for ${limit} s`}; seed ${seed}`);
  await using server = await startFaultServer({
    '/f': (socket, request) => {
      const etag = `"v${current}"`;
      const known = request.toLowerCase().includes(`if-none-match: ${etag}`);
      respond(known ? 304 : 200, known ? '' : `body ${current}`, { ETag: etag })(socket, request);
    },
  });
  const volume = mountTmpfs({ ...volumeOptions, mode: 0o755 });
  const pristine = mountTmpfs({ size: '64m', mode: 0o755 });
  const folder = temporaryDirectory('volume-faults').path;
  makeInputs(folder);
  const cases = faultCases({
    folder,
    url: server.url,
    serve: (version) => (current = version),
    runtime: makeRuntimes(folder),
  }).filter(({ name }) => name.includes(values.only));
  process.exitCode = (await all(cases, volume.path, pristine.path, join(folder, 'struck.log'))) ? 0 : 1;
  volume.remove();
  pristine.remove();
}
