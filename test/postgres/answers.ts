/**
 * `npm run answers -- --count 50000 --programs 300 --seed 1`: sessions with a real PostgreSQL are recorded, one or three of
 * their answers are made wrong at any stage, and the commands meet them: in a few processes for most, as the built program
 * for some. No freeze, no error of the driver, no end that is not documented.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { setup as buildOnce } from '../support/build-once.ts';
import { runInitbox } from '../support/program.ts';
import { nodePath } from '../support/tools.ts';
import { temporaryDirectory } from '../support/undo.ts';
import { judge } from './judge.ts';
import { planOf, startReplay, type Session } from './replay.ts';
import { migrations, recordSessions, surroundings } from './sessions.ts';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '1000' },
    programs: { type: 'string', default: '20' },
    seed: { type: 'string', default: '1' },
    /** Cases of one process. */
    each: { type: 'string', default: '2500' },
  },
});
const count = Number(values.count);
const programs = Number(values.programs);
const seed = Number(values.seed);
if (![count, programs, seed].every((number) => Number.isInteger(number) && number >= 0))
  throw new Error('--count, --programs and --seed take whole numbers');

await buildOnce();
const ground = temporaryDirectory('answers');
const folder = join(ground.path, 'migrations');
const sessions = await recordSessions(folder);
for (const { name, status, connections } of sessions)
  console.log(
    `recorded ${name}: ended with ${status}, ${connections.length} connections, ${connections.flat().length} answers`,
  );
const file = join(ground.path, 'sessions.json');
writeFileSync(file, JSON.stringify(sessions));

// What nobody makes wrong ends as the real one did; else a recording is not what it should be.
for (const session of sessions) {
  const { status, stderr } = await runProgram(session, undefined, 30_000);
  if (status !== session.status)
    throw new Error(`${session.name} ended with ${status} in place of ${session.status}:\n${stderr}`);
}

const wrongs: string[] = [];
const ended = new Map<string, number>();
let answers = 0;
for (let at = 0; at < count; at += Number(values.each)) {
  const part = Math.min(Number(values.each), count - at);
  const said = await runWorker(seed * 1_000_000 + at, part);
  for (const [, number, key = ''] of said.matchAll(/^ENDED (\d+) (.*)$/gm))
    ended.set(key, (ended.get(key) ?? 0) + Number(number));
  answers += Number(/^DONE \d+ cases, (\d+)/m.exec(said)?.[1] ?? 0);
  for (const [wrong] of said.matchAll(/^WRONG [^]*?(?=^at |^WRONG|^DONE|^ENDED|$(?![^]))/gm))
    wrongs.push(wrong);
  if (!/^DONE/m.test(said) && !/^WRONG/m.test(said)) wrongs.push(`froze, or ended:\n${said.slice(-2000)}`);
  console.log(`${at + part} cases, ${answers} wrong answers`);
}

let slowest = 0;
let number = 0;
await Promise.all(
  Array.from({ length: 4 }, async () => {
    while (number < programs) {
      const one = seed * 1_000_000 + 500_000 + number++;
      const session = sessions[one % sessions.length] as Session;
      const plan = planOf(session, one);
      try {
        const { status, signal, stderr, milliseconds, sent } = await runProgram(session, plan, 500);
        answers += sent;
        slowest = Math.max(slowest, milliseconds);
        const key = `the program, ${session.name}: ${status ?? signal}`;
        ended.set(key, (ended.get(key) ?? 0) + 1);
        for (const wrong of judge({ status: status ?? -1, words: stderr, log: '' }, 0))
          wrongs.push(
            `program, case ${one} (${session.name}; turns ${[...plan.turns].join(', ')}): ${wrong}\n${stderr}`,
          );
      } catch (error) {
        wrongs.push(`program, case ${one} (${session.name}): ${(error as Error).message}`);
      }
    }
  }),
);

console.log(`\nseed ${seed}: ${count} cases in processes of many, ${programs} runs of the program`);
for (const [key, times] of [...ended].toSorted(([a], [b]) => a.localeCompare(b)))
  console.log(`  ${times} × ${key}`);
console.log(
  `${answers} wrong answers were met; the slowest run of the program took ${Math.round(slowest)} ms`,
);
console.log(
  wrongs.length === 0
    ? 'no freeze, no unexpected error'
    : `WRONG, ${wrongs.length}:\n${wrongs.slice(0, 20).join('\n')}`,
);
ground.remove();
process.exitCode = wrongs.length === 0 ? 0 : 1;

async function runProgram(session: Session, plan: ReturnType<typeof planOf> | undefined, timeout: number) {
  await using replay = await startReplay(session, plan);
  const [command = '', ...rest] = session.arguments.map((word) => (word === migrations ? folder : word));
  const env = { ...surroundings, DATABASE_URL: session.url.replace('PORT', String(replay.port)) };
  const args = ['--timeout', `${timeout}ms`, ...rest];
  // A guard that a busy machine does not reach: a freeze does not end at all.
  const result = await runInitbox([command, ...args], { env, timeout: 60_000 });
  return { ...result, sent: replay.wrong };
}

async function runWorker(first: number, many: number): Promise<string> {
  const child = spawn(
    nodePath(),
    [join(import.meta.dirname, 'answers-worker.ts'), file, folder, String(first), String(many)],
    { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NODE_OPTIONS: '--max-old-space-size=512' } },
  );
  let said = '';
  let heard = performance.now();
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      heard = performance.now();
    });
  }
  // A frozen process says nothing, and cannot end itself.
  const watch = setInterval(() => {
    if (performance.now() - heard > 60_000) child.kill('SIGKILL');
  }, 500);
  await new Promise((resolve) => child.on('close', resolve));
  clearInterval(watch);
  return said;
}
