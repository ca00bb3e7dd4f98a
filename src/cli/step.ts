import { commands } from '../commands/index.ts';
import { podPaths, type Environment } from '../core/context.ts';
import { startDeadline } from '../core/deadline.ts';
import { exitStatus } from '../core/exit-status.ts';
import { createLog } from '../core/log.ts';
import { hideMisplacedInDocument, hideMisplacedInVariables } from '../core/misplaced-secret.ts';
import { Failure, failed, SignalReceived, type Outcome } from '../core/outcome.ts';
import type { Redactor } from '../core/redaction/redactor.ts';
import { performStep, type StepRequest } from '../core/step.ts';
import { outcomeOfError } from '../core/unexpected-error.ts';
import { contactVolumes } from '../fs/contact.ts';
import { readSecretFile } from '../fs/input-file.ts';
import { pathsOfStep } from '../fs/written-paths.ts';
import { becomeUser, systemHost } from '../process/host.ts';
import { reachStandardOutput, standardOutputTaken, writeToStandardOutput } from '../process/output.ts';
import { openParentChannel } from '../process/parent.ts';
import { replaceProcess } from '../process/replace-process.ts';
import { systemClock } from '../process/system-clock.ts';
import { commandNamed } from './command-names.ts';

interface Process {
  readonly redactor: Redactor;
  readonly ended: AbortController;
  readonly write: (line: string) => void;
}

/**
 * Carries out one step of a plan as another user and tells the parent how it ended. What it is asked comes over a
 * channel that only a parent can open, and it can do no more than that parent: it gives up rights, never gains any.
 * @returns the exit status; undefined where no parent speaks to it
 */
export async function carryOutStep(
  environment: Environment,
  { redactor, ended, write }: Process,
): Promise<number | undefined> {
  const channel = openParentChannel(() => ended.abort(new SignalReceived('SIGTERM')));
  if (channel === undefined) return undefined;
  const request = (await channel.request) as StepRequest;
  hideMisplacedInVariables(environment, redactor);
  hideMisplacedInDocument(request.work, redactor);
  const log = createLog({ write, redactor, clock: systemClock, ...request.log }, request.log.fields);
  using deadline = startDeadline(systemClock, ended, request.limit, request.limitOrigin);
  const context = {
    signal: deadline.signal,
    deadline: deadline.at,
    clock: systemClock,
    random: Math.random,
    log,
    redactor,
    environment,
    paths: podPaths,
    stdout: writeToStandardOutput,
    commands,
  };
  let outcome: Outcome;
  try {
    reachStandardOutput();
    drop(request);
    if (request.work.kind === 'any')
      return await replaceProcess(request.work.command, definedIn(environment), ended.signal);
    const { user, work } = request;
    const host = { ...systemHost, uid: user.uid, gid: user.gid ?? systemHost.gid };
    const command = await commandNamed(work.command, commands);
    await contactVolumes(pathsOfStep(command, work.input), context);
    outcome = await performStep(command, work.input, { ...context, host }, readSecretFile);
    await standardOutputTaken(context);
  } catch (error) {
    outcome = outcomeOfError(error, log);
  }
  await channel.send(outcome);
  return outcome.kind === 'done' ? exitStatus.done : outcome.status;
}

function drop({ user }: StepRequest): void {
  try {
    becomeUser(user);
  } catch (error) {
    throw new Failure(
      failed(
        exitStatus.failed,
        `cannot switch to user ${user.uid} (${(error as NodeJS.ErrnoException).code ?? String(error)})`,
        { hint: 'the container needs root (runAsUser: 0) and the capabilities SETUID and SETGID for that' },
      ),
    );
  }
}

function definedIn(environment: Environment): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
