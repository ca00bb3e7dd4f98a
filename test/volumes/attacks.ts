/**
 * `npm run attacks -- [--seconds=60] [--seed=N] [--only=WORDS]`: the owner of a volume, UID 1000, against each command that
 * works on it as root. He exchanges names, plants links, pipes, set-ID files and files that look right, and exchanges what
 * a run is making. Nothing outside may change, no content of his may get root's owner or set-ID bits, and no secret may be
 * read. The same seed makes the same choices; the machine makes the moments.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, cpSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { respond, startFaultServer } from '../integration/commands/fetch-config/fault-server.ts';
import { setup as buildOnce } from '../support/build-once.ts';
import { canMount, freeze, thaw } from '../support/faults.ts';
import { startPostgres } from '../support/postgres.ts';
import { runInitbox, type ProgramResult } from '../support/program.ts';
import { nodePath, projectDirectory, requireOrSkip, whyMissing } from '../support/tools.ts';
import { attackCases, prepareDisk, type AttackCase } from './attack-cases.ts';
import { type Ground, makeGround, marks, owner, time, wrongIn } from './ground.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000_007) },
    only: { type: 'string', default: '' },
    /** Where to begin, after a run that was cut off. */
    from: { type: 'string', default: '' },
  },
});
const seconds = Number(values.seconds);
const seed = Number(values.seed);
if (!(seconds > 0) || !Number.isInteger(seed))
  throw new Error('--seconds takes a number, --seed a whole number');

/** Names that he puts things under: those of files to come, and those that programs use on the way. */
const names = [
  'su',
  'secret',
  'f0',
  'f1',
  'f2',
  'f5',
  'large',
  'd0',
  'd1',
  'conf',
  'a',
  'b',
  'sub',
  'site',
  'runtime',
  'bin',
  'etag',
  'etag.tmp',
  'f0.tmp',
  '..data',
  '..data_tmp',
  '..initbox.json',
  '.f0',
  'mine',
  'in',
  'closed',
  'sql',
];

interface Attacker {
  /** Does work while he stands still. */
  paused<T>(work: () => T): Promise<T>;
  /** @returns how often he did what */
  end(): Promise<Record<string, number>>;
}

async function startAttacker(ground: Ground, { pairs = [], quiet = false }: AttackCase): Promise<Attacker> {
  const { volume, outside } = ground;
  const targets = [
    '',
    '/secret',
    '/su',
    '/f0',
    '/d0',
    '/d0/d1',
    '/d0/secret',
    '/closed',
    '/closed/secret',
    '/large',
  ];
  const given = {
    names,
    targets: [
      ...targets.map((name) => outside + name),
      '../outside/secret',
      '../outside',
      ground.taken,
      '/etc/passwd',
    ],
    evil: { 64: marks.evil, 7: marks.evil, [(4 << 20) + 64]: marks.evil },
    time: time.getTime() / 1000,
    pairs,
    quiet,
  };
  const script = join(import.meta.dirname, 'attacker.py');
  const child = spawn('python3', [script, volume, String(owner), String(seed), JSON.stringify(given)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  let over = false;
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve())).then(
    () => (over = true),
  );
  while (!said.includes('ready')) {
    if (over) throw new Error('the attacker did not begin');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const pid = child.pid as number;
  return {
    async paused(work) {
      await freeze(pid);
      try {
        return work();
      } finally {
        thaw(pid);
      }
    },
    async end() {
      child.stdin.end('stop\n');
      await ended;
      return JSON.parse(said.replace('ready\n', '')) as Record<string, number>;
    },
  };
}

/** A runtime as the image has it, with a small file in Node's place: what is copied does not run here. */
function makeRuntime(disk: string): string[] {
  const runtime = join(disk, 'initbox');
  cpSync(join(projectDirectory, 'dist'), runtime, { recursive: true });
  cpSync(join(projectDirectory, 'dist/initbox.js'), join(runtime, 'initbox'));
  mkdirSync(join(runtime, 'bin'));
  writeFileSync(join(runtime, 'bin/node'), Buffer.alloc(300_000, 'n'));
  chmodSync(join(runtime, 'bin/node'), 0o755);
  const below = ['commands', 'parts'].flatMap((folder) =>
    readdirSync(join(runtime, folder)).map((name) => `${folder}/${name}`),
  );
  const files = ['initbox', 'bin/node', 'program.js', ...below].map((path) => {
    const content = readFileSync(join(runtime, path));
    const mode = (statSync(join(runtime, path)).mode & 0o777).toString(8).padStart(4, '0');
    return { path, size: content.length, mode, sha256: createHash('sha256').update(content).digest('hex') };
  });
  const build = createHash('sha256').update(JSON.stringify(files)).digest('hex');
  writeFileSync(join(runtime, 'manifest.json'), JSON.stringify({ version: '1.2.3', build, files }));
  return [nodePath(), join(runtime, 'initbox')];
}

interface Fought {
  readonly runs: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly done: Readonly<Record<string, number>>;
  readonly wrong: readonly string[];
}

async function fight(ground: Ground, one: AttackCase): Promise<Fought> {
  const statuses: Record<string, number> = {};
  const wrong = new Set<string>();
  ground.empty();
  one.prepare(ground);
  const calm = await runInitbox(one.args(ground), {
    env: one.env ?? {},
    prefix: one.prefix ?? [],
    ...(one.program && { program: one.program }),
  });
  if (calm.status === null || calm.status === 2)
    throw new Error(`${one.name}, undisturbed, ended with ${calm.status ?? calm.signal}: ${calm.stderr}`);
  ground.empty();
  one.prepare(ground);
  const before = ground.state();
  const attacker = await startAttacker(ground, one);
  let runs = 0;
  const until = performance.now() + seconds * 1000;
  for (; performance.now() < until || runs < 3; runs++) {
    // Each third one finds what the two before and the attacker have left.
    if (runs % 3 === 0 && runs > 0)
      await attacker.paused(() => {
        ground.empty();
        one.prepare(ground);
      });
    let result: ProgramResult;
    try {
      const { env = {}, prefix = [], program } = one;
      result = await runInitbox(one.args(ground), {
        env,
        prefix,
        timeout: 60_000,
        ...(program && { program }),
      });
    } catch (error) {
      wrong.add(`did not end: ${String(error).slice(0, 500)}`);
      continue;
    }
    const status = String(result.status ?? result.signal);
    statuses[status] = (statuses[status] ?? 0) + 1;
    const said = result.stdout + result.stderr;
    if (said.includes(marks.secret)) wrong.add(`said a secret: ${said.slice(0, 500)}`);
    if (said.includes('unexpected error')) wrong.add(`unexpected: ${said.slice(0, 500)}`);
    if (result.status === null || result.status > 124)
      wrong.add(`ended with ${status}: ${said.slice(0, 500)}`);
    await attacker.paused(() => {
      for (const top of one.judged?.(ground) ?? [ground.volume])
        for (const line of wrongIn(top, one.allowed)) wrong.add(line);
      for (const line of one.judge?.(ground, result.status) ?? []) wrong.add(line);
      const now = ground.state();
      if (now === before) return;
      const [old, found] = [new Set(before.split('\n')), now.split('\n')];
      for (const line of found.filter((text) => !old.has(text))) wrong.add(`outside: ${line}`);
      if (found.length < old.size) wrong.add('outside: something is gone');
    });
    if (wrong.size > 0) break;
  }
  const done = await attacker.end();
  if (done['SECRET READ']) wrong.add(`the attacker read a secret ${done['SECRET READ']} times`);
  return { runs, statuses, done, wrong: [...wrong] };
}

if (!requireOrSkip('attacks on a volume', canMount() ?? whyMissing('strace', 'strace'))) {
  await buildOnce();
  console.log(`attacks, ${seconds} s each; seed ${seed}`);
  await using server = await startFaultServer({ '/f': respond(200, marks.plain, { ETag: '"v1"' }) });
  await using postgres = await startPostgres();
  const ground = makeGround();
  prepareDisk(ground, server.url);
  const cases = attackCases(ground, server.url, makeRuntime(ground.disk), postgres.url());
  const total = { runs: 0, exchanges: 0, others: 0, wrong: 0 };
  const first = Math.max(
    0,
    cases.findIndex(({ name }) => name === values.from),
  );
  for (const one of cases.slice(first).filter(({ name }) => name.includes(values.only))) {
    const { runs, statuses, done, wrong } = await fight(ground, one);
    const { exchange: exchanges = 0, ...others } = done;
    total.runs += runs;
    total.exchanges += exchanges;
    total.others += Object.values(others).reduce((sum, count) => sum + count, 0);
    total.wrong += wrong.length;
    console.log(
      `${one.name}: ${runs} runs (${Object.entries(statuses)
        .map(([status, count]) => `${count} × ${status}`)
        .join(', ')}), ${exchanges} exchanges, ${JSON.stringify(others)}`,
    );
    for (const line of wrong) console.log(`  WRONG: ${line}`);
  }
  console.log(
    `${total.runs} runs, ${total.exchanges} exchanges, ${total.others} other acts: ${total.wrong === 0 ? 'nothing wrong' : `${total.wrong} WRONG`}`,
  );
  ground[Symbol.dispose]();
  process.exitCode = total.wrong === 0 ? 0 : 1;
}
