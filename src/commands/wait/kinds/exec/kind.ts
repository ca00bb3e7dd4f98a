import { basename } from 'node:path';

import { within } from '../../../../core/clock.ts';
import type { Context } from '../../../../core/context.ts';
import { DeadlinePassed, Failure } from '../../../../core/outcome.ts';
import { refuseUnexpanded } from '../../../../core/template-variables.ts';
import type { ChildEnd } from '../../../../process/child.ts';
import { runningPhase } from '../../../../wait/attempt-timeout.ts';
import { never, notYet, satisfied, type Answer, type Probe } from '../../../../wait/attempt.ts';
import { defineKind } from '../../kind.ts';
import { commandWords } from './command-words.ts';

/** A command that exits with 0; in plans alone, whose words no shell has seen. */
export const exec = defineKind({
  options: {},
  optionsBehind: '#',
  limit: 30_000,
  read({ address }, { inPlan }) {
    if (!inPlan)
      throw new Error(
        'exec: is for the steps of a plan; on a command line run what waits itself, or write a plan: initbox run',
      );
    const words = commandWords(address.slice('exec:'.length));
    const [program] = words;
    if (program === undefined || program === '')
      throw new Error('there is no command behind exec:; write exec:./check --quick');
    refuseUnexpanded('path', program, 'the command');
    const name = `exec:${basename(program)}`;
    return {
      name,
      serial: { interval: 1000 },
      open: (context) => {
        const tries = new Set<Promise<ChildEnd>>();
        return {
          name,
          stages: ['assertion'],
          attempt: (probe) => attemptCommand(words, tries, context, probe),
          // Whatever comes next finds nothing of them.
          [Symbol.asyncDispose]: () => within(Promise.all(tries), dying, context.clock),
        };
      },
    };
  },
});

/** Milliseconds for what was killed to be gone; a signal must end initbox within 200. */
const dying = 100;

/** By which what a try started is known, whatever group and session that went to. */
const tryVariable = 'INITBOX_EXEC_TRY';

/** One run. All that it started is killed where it is cut, and at its end. */
async function attemptCommand(
  words: readonly string[],
  tries: Set<Promise<ChildEnd>>,
  { environment, clock, host }: Context,
  probe: Probe,
): Promise<Answer> {
  probe.phase(runningPhase);
  const { describeEnd, marked, startChild, statusOf } = await import('../../../../process/child.ts');
  const { signal } = probe;
  if (signal.aborted) return notYet('was cut');
  try {
    const child = await startChild(words, { ...marked(tryVariable, environment), clock, host, grace: 0 });
    tries.add(child.gone);
    void child.gone.then(() => tries.delete(child.gone));
    const end = await new Promise<ChildEnd | undefined>((resolve) => {
      const onAbort = (): void => {
        child.stop('SIGKILL', 0);
        // Where its own time was up, another try follows, and not beside what is left of this one.
        if (!(signal.reason instanceof DeadlinePassed)) resolve(undefined);
      };
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
      void child.gone.then((ended) => {
        signal.removeEventListener('abort', onAbort);
        resolve(ended);
      });
    });
    if (end === undefined || signal.aborted) return notYet('was cut');
    return statusOf(end) === 0
      ? satisfied('exits with 0')
      : notYet(`ended with ${describeEnd(end)}`, { absent: true });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const { status, what, hint } = error.outcome;
    return never(status, what, typeof hint === 'string' ? hint : hint?.[0]);
  }
}
