// The commands themselves in one process, against answers made wrong: `node answers-worker.ts SESSIONS FOLDER FIRST COUNT`.
/* oxlint-disable unicorn/no-process-exit -- it is a program, which connections that hang would keep alive */
// Says how far it got on each line, so that who started it sees a freeze; ends with 1 at the first wrong end of a case.
import { readFileSync } from 'node:fs';

import { interpret } from '../../src/cli/interpret.ts';
import { podPaths } from '../../src/core/context.ts';
import { startDeadline } from '../../src/core/deadline.ts';
import { createLog } from '../../src/core/log.ts';
import { SignalReceived } from '../../src/core/outcome.ts';
import { createRedactor } from '../../src/core/redaction/redactor.ts';
import { outcomeOfError } from '../../src/core/unexpected-error.ts';
import { systemHost } from '../../src/process/host.ts';
import { systemClock } from '../../src/process/system-clock.ts';
import { judge, limits, type Ended } from './judge.ts';
import { planOf, startReplay, type Session } from './replay.ts';
import { migrations, surroundings } from './sessions.ts';

const [, , file = '', folder = '', firstText = '1', countText = '100'] = process.argv;
const first = Number(firstText);
const last = first + Number(countText);
const all = JSON.parse(readFileSync(file, 'utf8')) as Session[];
// What starts a process is for the program itself: of these a process has one at a time.
const sessions = all.filter((session) => !session.arguments.includes('--'));

const problems: string[] = [];
process.on('uncaughtException', (error) => problems.push(`uncaught: ${error.stack}`));
process.on('unhandledRejection', (error) => problems.push(`unhandled: ${(error as Error).stack}`));

/** Milliseconds that this process had: what a busy machine takes away does not count as time that a case took. */
let lived = 0;
let before = performance.now();
setInterval(() => {
  const now = performance.now();
  lived += Math.min(50, now - before);
  before = now;
}, 20);

async function run(
  session: Session,
  args: readonly string[],
  url: string,
  ended: AbortController,
): Promise<Ended> {
  const redactor = createRedactor();
  let said = '';
  const log = createLog({
    write: (line) => void (said += line),
    redactor,
    clock: systemClock,
    format: 'text',
    level: 'debug',
  });
  const environment = { ...surroundings, DATABASE_URL: url };
  try {
    const read = await interpret(args, environment, redactor);
    if (read.kind !== 'run') throw new Error('nothing to run');
    using deadline = startDeadline(systemClock, ended, read.limit, read.limitOrigin);
    const outcome = await read.command
      .run(read.input, {
        signal: deadline.signal,
        deadline: deadline.at,
        clock: systemClock,
        random: Math.random,
        log,
        redactor,
        environment,
        paths: podPaths,
        stdout: () => {},
        host: systemHost,
        commands: read.commands,
      })
      .catch((error: unknown) => outcomeOfError(error, log));
    if (outcome.kind === 'done') return { status: 0, words: outcome.summary, log: said };
    const words = [outcome.what, ...(outcome.details ?? []), ...[outcome.hint ?? []].flat()].join('\n');
    return { status: outcome.status, words, log: said };
  } catch (error) {
    return { status: -1, words: `thrown by ${session.name}: ${(error as Error).stack}`, log: said };
  }
}

let wrong = 0;
const seen = new Map<string, number>();

async function one(number: number): Promise<void> {
  const session = sessions[number % sessions.length] as Session;
  const args = session.arguments.map((word) => (word === migrations ? folder : word));
  const plan = planOf(session, number);
  const ended = new AbortController();
  // Most cases end by a signal soon after the second wrong answer, some at their limit: a third one tells little more.
  let met = 0;
  await using replay = await startReplay(session, plan, () => {
    met++;
    if (met === 2 && number % 8 !== 0)
      setTimeout(() => ended.abort(new SignalReceived('SIGTERM')), 120).unref();
  });
  const url = session.url.replace('PORT', String(replay.port));
  const [command = '', ...rest] = args;
  const began = lived;
  const result = await run(session, [command, '--timeout', `${limits.timeout}ms`, ...rest], url, ended);
  const took = lived - began;
  wrong += replay.wrong;
  const mistakes = judge(result, took);
  const key = `${session.name}: ${result.status}`;
  seen.set(key, (seen.get(key) ?? 0) + 1);
  for (const mistake of mistakes) problems.push(mistake);
  if (problems.length > 0) {
    console.log(
      `WRONG case ${number} (${session.name}; turns ${[...plan.turns].join(', ')}): ${problems.join('\n')}\nended with ${result.status}: ${result.words}\n${result.log.slice(-1500)}`,
    );
    if (!process.env['INITBOX_FUZZ_GO_ON']) process.exit(1);
    problems.length = 0;
  }
}

let next = first;
await Promise.all(
  Array.from({ length: 24 }, async () => {
    for (let number = next++; number < last; number = next++) {
      if (number % 100 === 0) console.log(`at ${number}`);
      await one(number);
    }
  }),
);
// Whatever comes late has its chance.
await new Promise((resolve) => setTimeout(resolve, 200));
if (problems.length > 0) {
  console.log(`WRONG afterwards: ${problems.join('\n')}`);
  process.exit(1);
}
for (const [key, count] of seen) console.log(`ENDED ${count} ${key}`);
console.log(`DONE ${last - first} cases, ${wrong} wrong answers`);
process.exit(0);
