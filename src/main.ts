import process from 'node:process';
import { interpret, type Interpretation } from './cli/interpret.ts';
import { reasonOf, systemClock } from './kernel/clock.ts';
import { podPaths, type Context } from './kernel/context.ts';
import { startDeadline } from './kernel/deadline.ts';
import { exitStatus } from './kernel/exit-status.ts';
import { findExecutable, replaceProcess, replaceStandardStreams, systemHost } from './kernel/host.ts';
import { cutToLimit, failureText } from './kernel/last-words.ts';
import { createLog, type Log, type LogFormat } from './kernel/log.ts';
import { SignalReceived, UsageError, type Done, type Failed, type Outcome } from './kernel/outcome.ts';
import { lossyOutput, overwriteExisting, writeAll } from './kernel/output.ts';
import { createRedactor } from './kernel/secrets.ts';
import { stepWord } from './kernel/step.ts';
import { outcomeOfError, unforeseen } from './kernel/unforeseen.ts';
import { unreadableArgument, unreadableVariables } from './kernel/utf8.ts';

type Run = Extract<Interpretation, { kind: 'run' }>;

const stderr = lossyOutput(2);
const redactor = createRedactor();
const ended = new AbortController();

replaceStandardStreams((descriptor, text) =>
  descriptor === 1 ? writeAll(1, text) : stderr.write(redactor.redact(text)),
);

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT'] as const) {
  process.on(signal, () => ended.abort(new SignalReceived(signal)));
}
process.on('uncaughtException', (error) =>
  end(report(openLog('text', 'info'), '', unforeseen(error), '/dev/termination-log')),
);

void main(process.argv.slice(2)).then(end);

/** The one place where the process ends. */
function end(status: number): never {
  stderr.flush();
  process.exit(status);
}

async function main(argv: readonly string[]): Promise<number> {
  if (argv[0] === stepWord) {
    const { carryOutStep } = await import('./cli/step.ts');
    const part = await carryOutStep(process.env, { redactor, ended, write: stderr.write });
    if (part !== undefined) return part;
  }
  let run: Interpretation;
  try {
    run = await interpret(argv, process.env, redactor);
    const unreadable = run.kind === 'run' ? unreadableArgument(argv) : undefined;
    if (unreadable !== undefined) throw new UsageError(unreadable);
  } catch (error) {
    const log = openLog(peek(argv, 'log-format', 'INITBOX_LOG_FORMAT') === 'json' ? 'json' : 'text', 'info');
    const path = peek(argv, 'termination-log', 'INITBOX_TERMINATION_LOG') ?? '/dev/termination-log';
    return report(log, error instanceof UsageError ? (argv[0] ?? '') : '', outcomeOfError(error, log), path);
  }
  if (run.kind === 'print') {
    writeAll(1, run.text);
    return exitStatus.done;
  }
  return execute(run);
}

async function execute(run: Run): Promise<number> {
  const { command, process: settings } = run;
  const plain = openLog(settings['log-format'], settings['log-level']);
  const log = plain.with({ command: command.name });
  for (const warning of run.warnings) log.warn(warning);
  const successor = command.afterDashes === 'successor' ? run.input.command : undefined;
  if (successor) warnIfMissing(successor, log);
  const outcome = await perform(run, log);
  if (outcome.kind === 'failed') return report(plain, command.name, outcome, settings['termination-log']);
  log[outcome.printed ? 'debug' : 'info'](outcome.summary);
  if (successor === undefined) {
    overwriteExisting(
      settings['termination-log'],
      cutToLimit(redactor.redact(`initbox ${command.name}: ${outcome.summary}`)),
    );
    return exitStatus.done;
  }
  return handOver(run, successor, outcome, plain, log);
}

async function perform(run: Run, log: Log): Promise<Outcome> {
  using deadline = startDeadline(systemClock, ended, run.limit, run.limitOrigin);
  const context: Context = {
    signal: deadline.signal,
    deadline: deadline.at,
    clock: systemClock,
    random: Math.random,
    log,
    redactor,
    environment: process.env,
    paths: podPaths,
    stdout: (text) => writeAll(1, text),
    host: systemHost,
    commands: run.commands,
  };
  try {
    if (ended.signal.aborted) throw reasonOf(ended.signal);
    return await run.command.run(run.input, context);
  } catch (error) {
    return outcomeOfError(error, log);
  }
}

/** Becomes the command after `--`. The termination log is emptied first, or it would be the successor's crash message. */
function handOver(run: Run, successor: readonly string[], outcome: Done, plain: Log, log: Log): number {
  try {
    if (ended.signal.aborted) throw reasonOf(ended.signal);
    for (const name of unreadableVariables())
      log.warn(`the variable ${name} is not UTF-8; the command gets it with U+FFFD in place of such bytes`);
    overwriteExisting(run.process['termination-log'], '');
    log.debug(`handing over to ${successor[0]}`);
    stderr.flush();
    const environment = Object.fromEntries(
      Object.entries(process.env).filter((entry) => entry[1] !== undefined),
    ) as Record<string, string>;
    return replaceProcess(successor, { ...environment, ...outcome.environment });
  } catch (error) {
    return report(plain, run.command.name, outcomeOfError(error, log), run.process['termination-log']);
  }
}

function warnIfMissing(successor: readonly string[], log: Log): void {
  try {
    findExecutable(successor[0] ?? '', process.env['PATH']);
  } catch (error) {
    log.warn(`the command after -- could not be run as things stand: ${(error as Error).message}`);
  }
}

/** Says why it failed on standard error and in the termination log; returns the exit status. */
function report(log: Log, command: string, failure: Failed, terminationLog: string): number {
  const text = redactor.redact(failureText(command, failure));
  for (const line of text.split('\n')) log.error(line);
  overwriteExisting(terminationLog, cutToLimit(text));
  return failure.status;
}

function openLog(format: LogFormat, level: Parameters<typeof createLog>[0]['level']): Log {
  return createLog({ write: stderr.write, redactor, clock: systemClock, format, level });
}

/** A setting of a command line that could not be read as a whole. */
function peek(argv: readonly string[], name: string, twin: string): string | undefined {
  const at = argv.findIndex((word) => word === `--${name}` || word.startsWith(`--${name}=`));
  const word = argv[at];
  if (word === undefined) return process.env[twin];
  return word.includes('=') ? word.slice(word.indexOf('=') + 1) : argv[at + 1];
}
