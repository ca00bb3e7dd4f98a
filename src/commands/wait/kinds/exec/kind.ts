import { basename } from 'node:path';

import type { Context } from '../../../../core/context.ts';
import { Failure } from '../../../../core/outcome.ts';
import { refuseUnexpanded } from '../../../../core/template-variables.ts';
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
      open: (context) => ({
        name,
        stages: ['assertion'],
        attempt: (probe) => attemptCommand(words, context, probe),
      }),
    };
  },
});

/** One run, whose process group is killed where it is cut. */
async function attemptCommand(
  words: readonly string[],
  { environment, clock, host }: Context,
  probe: Probe,
): Promise<Answer> {
  probe.phase('running');
  const { describeEnd, startChild, statusOf } = await import('../../../../process/child.ts');
  if (probe.signal.aborted) return notYet('was cut');
  try {
    const child = await startChild(words, { environment, clock, host, grace: 0 });
    const stop = (): void => child.stop('SIGKILL', 0);
    if (probe.signal.aborted) stop();
    probe.signal.addEventListener('abort', stop, { once: true });
    const end = await child.gone;
    probe.signal.removeEventListener('abort', stop);
    if (probe.signal.aborted) return notYet('was cut');
    return statusOf(end) === 0
      ? satisfied('exits with 0')
      : notYet(`ended with ${describeEnd(end)}`, { absent: true });
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const { status, what, hint } = error.outcome;
    return never(status, what, typeof hint === 'string' ? hint : hint?.[0]);
  }
}
