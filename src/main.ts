import process from 'node:process';

import { interpret, type Interpretation } from './cli/interpret.ts';
import { catchUp, reasonOf } from './core/clock.ts';
import { podPaths, type Context } from './core/context.ts';
import { startDeadline } from './core/deadline.ts';
import { endingSignals, exitStatus, type EndingSignal } from './core/exit-status.ts';
import { createLog, oneLine, type Log, type LogFormat } from './core/log.ts';
import { checkExpanded } from './core/options/resolve-options.ts';
import { processOptions } from './core/options/shared-options.ts';
import { SignalReceived, UsageError, type Done, type Failed, type Outcome } from './core/outcome.ts';
import { createRedactor } from './core/redaction/redactor.ts';
import { stepWord } from './core/step.ts';
import { cutLines, cutToLimit, failureLines } from './core/termination-message.ts';
import { outcomeOfError, unforeseen } from './core/unexpected-error.ts';
import { contactVolumes } from './fs/contact.ts';
import { overwriteExisting } from './fs/existing-file.ts';
import { refuseSharedPaths, SharedPath } from './fs/written-paths.ts';
import { leaveMemoryOutOfCoreFiles } from './process/core-file.ts';
import { endAtOnce, systemHost } from './process/host.ts';
import { lossyOutput, standardOutputTaken, writeToStandardOutput } from './process/output.ts';
import type * as replacing from './process/replace-process.ts';
import { replaceStandardStreams } from './process/standard-streams.ts';
import { systemClock } from './process/system-clock.ts';
import type { BlockTerminal } from './process/terminal-block.ts';
import { unreadableArgument, unreadableVariables } from './process/utf8.ts';

type Run = Extract<Interpretation, { kind: 'run' }>;

leaveMemoryOutOfCoreFiles();
const stderr = lossyOutput(2);
const redactor = createRedactor();
const ended = new AbortController();

replaceStandardStreams((descriptor, text) =>
  descriptor === 1 ? writeToStandardOutput(text) : writeError(redactor.redact(text)),
);

/** Where standard error is a terminal on which progress is redrawn: what is written goes above that. */
let terminal: BlockTerminal | undefined;

for (const signal of Object.keys(endingSignals) as EndingSignal[]) {
  process.on(signal, () => ended.abort(new SignalReceived(signal)));
}
const usualLog = '/dev/termination-log';

/** Milliseconds for the volume of the termination message to answer: a run that was told to end must end. */
const patienceForLog = 500;

const { signal: never } = new AbortController();

/** Where a failure is told: what the command line says once it has been read. */
let told: { readonly log: Log; readonly terminationLog: string } = {
  log: openLog('text', 'info'),
  terminationLog: usualLog,
};
process.on('uncaughtException', (error) => void report('', unforeseen(error)).then(end));

void main(process.argv.slice(2)).then(end);

/** The one place where the process ends. */
function end(status: number): never {
  stderr.flush();
  endAtOnce(status);
  process.exit(status);
}

async function main(argv: readonly string[]): Promise<number> {
  if (argv[0] === stepWord) {
    const { carryOutStep } = await import('./cli/step.ts');
    const part = await carryOutStep(process.env, { redactor, ended, write: writeError });
    if (part !== undefined) return part;
  }
  let run: Interpretation;
  if (asksForHelp(argv)) leaveRemovedDirectory();
  try {
    run = await interpret(argv, process.env, redactor);
    const unreadable = run.kind === 'run' ? unreadableArgument(argv) : undefined;
    if (unreadable !== undefined) throw new UsageError(unreadable);
  } catch (error) {
    told = {
      log: openLog(peek(argv, 'log-format', 'INITBOX_LOG_FORMAT') === 'json' ? 'json' : 'text', 'info'),
      terminationLog: peekTerminationLog(argv) ?? told.terminationLog,
    };
    return report(error instanceof UsageError ? (argv[0] ?? '') : '', outcomeOfError(error, told.log));
  }
  return run.kind === 'print' ? print(run.text) : execute(run);
}

function asksForHelp(argv: readonly string[]): boolean {
  const dashes = argv.indexOf('--');
  const own = dashes < 0 ? argv : argv.slice(0, dashes);
  return own[0] === 'help' || own.some((word) => word === '--help' || word === '-h');
}

/** Help is about no path, and yargs asks for the working directory while it is loaded. */
function leaveRemovedDirectory(): void {
  try {
    process.cwd();
  } catch {
    process.chdir('/');
  }
}

async function print(text: string): Promise<number> {
  try {
    writeToStandardOutput(text);
    await standardOutputTaken({ clock: systemClock, signal: ended.signal });
    return exitStatus.done;
  } catch (error) {
    return report('', outcomeOfError(error, told.log));
  }
}

async function execute(run: Run): Promise<number> {
  const { command, process: settings } = run;
  const plain = openLog(settings['log-format'], settings['log-level']);
  const log = plain.with({ command: command.name });
  told = { log: plain, terminationLog: settings['termination-log'] };
  for (const warning of run.warnings) log.warn(warning);
  const rehearsed = run.input.options['dry-run'] === true || run.input.options['validate'] === true;
  const successor = command.afterDashes === 'successor' && !rehearsed ? run.input.command : undefined;
  // Before the work: after it, what the program lies on may be full, or gone.
  const replace = successor && (await import('./process/replace-process.ts'));
  if (successor && replace) warnIfMissing(successor, replace, log);
  const outcome = await perform(run, log);
  if (outcome.kind === 'failed') return report(command.name, outcome);
  log[outcome.printed ? 'debug' : 'info'](outcome.summary);
  if (rehearsed && run.input.command)
    log.info('nothing was done, and so the command after -- is not started');
  if (successor === undefined || replace === undefined) {
    await writeLastWords(
      log,
      settings['termination-log'],
      cutToLimit(oneLine(redactor.redact(`initbox ${command.name}: ${outcome.summary}`))),
    );
    return exitStatus.done;
  }
  return handOver(run, successor, replace, outcome, log);
}

async function perform(run: Run, log: Log): Promise<Outcome> {
  using deadline = startDeadline(systemClock, ended, run.limit, run.limitOrigin);
  terminal = await progressTerminal(log);
  const context: Context = {
    signal: deadline.signal,
    deadline: deadline.at,
    clock: systemClock,
    random: Math.random,
    log,
    redactor,
    environment: process.env,
    paths: podPaths,
    stdout: writeToStandardOutput,
    host: systemHost,
    commands: run.commands,
    terminal,
  };
  try {
    if (ended.signal.aborted) throw reasonOf(ended.signal);
    await refuseSharedPaths(run.paths, context);
    const outcome = await run.command
      .run(run.input, context)
      .catch((error) => outcomeOfError(error, log))
      .then((own) => withOutput(own, context));
    // A signal that the command has not heard of counts, whatever came of the work that held it up.
    if (!ended.signal.aborted) await catchUp(ended.signal);
    return outcome;
  } catch (error) {
    if (error instanceof SharedPath && error.ofLastWords) told = { ...told, terminationLog: usualLog };
    return outcomeOfError(error, log);
  }
}

/** Loaded where it may be used alone: nobody looks at most pods' terminals. */
async function progressTerminal(log: Log): Promise<BlockTerminal | undefined> {
  if (!stderr.maybeTerminal || log.format !== 'text' || log.level !== 'info') return undefined;
  const { openTerminal } = await import('./process/terminal.ts');
  return openTerminal(stderr, {
    clock: systemClock,
    redact: redactor.redact,
    environment: process.env,
  });
}

/** The outcome, once standard output has taken what the command printed; what was not taken is a failure. */
async function withOutput(outcome: Outcome, context: Context): Promise<Outcome> {
  try {
    await standardOutputTaken(context);
    return outcome;
  } catch (error) {
    const unread = outcomeOfError(error, context.log);
    if (outcome.kind === 'done') return unread;
    return { ...outcome, details: [...(outcome.details ?? []), unread.what] };
  }
}

/** Becomes the command after `--`. The termination log is emptied first, or it would be the successor's crash message. */
async function handOver(
  run: Run,
  successor: readonly string[],
  { replaceProcess }: typeof replacing,
  outcome: Done,
  log: Log,
): Promise<number> {
  try {
    if (ended.signal.aborted) throw reasonOf(ended.signal);
    for (const name of unreadableVariables())
      log.warn(`the variable ${name} is not UTF-8; the command gets it with U+FFFD in place of such bytes`);
    await writeLastWords(log, run.process['termination-log'], '');
    log.debug(`handing over to ${successor[0]}`);
    stderr.flush();
    const environment = Object.fromEntries(
      Object.entries(process.env).filter((entry) => entry[1] !== undefined),
    ) as Record<string, string>;
    return await replaceProcess(successor, { ...environment, ...outcome.environment }, ended.signal);
  } catch (error) {
    // Of one that was found in the pipe nobody has heard yet: whoever takes something back must be quick then.
    if (error instanceof SignalReceived && !ended.signal.aborted) ended.abort(error);
    await outcome.takeBack?.(ended.signal);
    return report(run.command.name, outcomeOfError(error, log));
  }
}

function warnIfMissing(successor: readonly string[], { startableCommand }: typeof replacing, log: Log): void {
  try {
    startableCommand(successor, process.env['PATH']);
  } catch (error) {
    log.warn(`the command after -- could not be run as things stand: ${(error as Error).message}`);
  }
}

/** Says why it failed on standard error and in the termination log; returns the exit status. */
async function report(command: string, failed: Failed): Promise<number> {
  const { log, terminationLog } = told;
  const failure = withWorkingDirectory(failed);
  const lines = failureLines(command, failure, redactor.redact);
  if (log.format === 'json') {
    // One event is one line: what people read below each other are fields here.
    const { status, what, details, hint } = failure;
    log.with(command === '' ? {} : { command }).error(what, {
      status,
      details,
      hint: typeof hint === 'object' ? hint.join('\n') : hint,
    });
  } else {
    for (const line of lines) log.error(line);
  }
  await writeLastWords(log, terminationLog, cutLines(lines, failure));
  return failure.status;
}

/** Where the working directory was removed, a relative path is not there, whoever says so. */
function withWorkingDirectory(failure: Failed): Failed {
  try {
    process.cwd();
    return failure;
  } catch (error) {
    const { what } = outcomeOfError(error, told.log);
    if (failure.what === what) return failure;
    return { ...failure, details: [...(failure.details ?? []), what] };
  }
}

/** Without them, `kubectl describe` shows the end of the log, or nothing. */
async function writeLastWords(log: Log, path: string, text: string): Promise<void> {
  using patience = startDeadline(systemClock, { signal: never }, patienceForLog, 'the termination message');
  try {
    await contactVolumes([path], patience);
  } catch {
    log.warn(`the termination message cannot be written to ${path}: its volume does not answer`);
    return;
  }
  const why = overwriteExisting(path, text);
  if (why !== undefined) log.warn(`the termination message cannot be written to ${path}: ${why}`);
}

function writeError(text: string): void {
  (terminal ?? stderr).write(text);
}

function openLog(format: LogFormat, level: Parameters<typeof createLog>[0]['level']): Log {
  return createLog({ write: writeError, redactor, clock: systemClock, format, level });
}

/** A setting of a command line that could not be read as a whole. What stands after `--` is another program's. */
function peek(argv: readonly string[], name: string, twin: string): string | undefined {
  const dashes = argv.indexOf('--');
  const own = dashes < 0 ? argv : argv.slice(0, dashes);
  const [at, another] = own.flatMap((word, index) =>
    word === `--${name}` || word.startsWith(`--${name}=`) ? [index] : [],
  );
  if (at === undefined) return process.env[twin];
  const word = own[at] ?? '';
  const value = word.includes('=') ? word.slice(word.indexOf('=') + 1) : own[at + 1];
  // Of two values neither is taken, and another flag is not a value.
  return another !== undefined || (!word.includes('=') && /^--?[a-z]/i.test(value ?? '')) ? undefined : value;
}

/** Nothing is written to a path that is itself refused. */
function peekTerminationLog(argv: readonly string[]): string | undefined {
  const text = peek(argv, 'termination-log', 'INITBOX_TERMINATION_LOG');
  if (text === undefined || text === '') return undefined;
  try {
    checkExpanded(processOptions['termination-log'], [{ text, origin: '' }]);
    return text;
  } catch {
    return undefined;
  }
}
