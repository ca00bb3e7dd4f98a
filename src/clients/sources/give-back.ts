import type { Context } from '../../core/context.ts';
import { startDeadline } from '../../core/deadline.ts';
import { formatDuration } from '../../core/duration.ts';
import { Failure, SignalReceived } from '../../core/outcome.ts';
import type { Sources } from './open.ts';

/** Milliseconds that revoking the token may take: it is a courtesy, and the app is waiting. */
const revokeTime = 2000;
/**
 * The same where time is up already, or a signal came, which is obeyed within 200 ms: a run that is tried again and again must
 * not leave a token behind each time.
 */
const lateTime = 150;
const signalTime = 120;

/**
 * Whatever happened, a token that was made for this run is not left behind.
 * @param inUse false where nobody got what was read: leases need not be kept then
 */
export async function giveBack(
  { vault }: Pick<Sources, 'vault'>,
  inUse: boolean,
  context: Context,
): Promise<void> {
  if (vault === undefined) return;
  const late = context.signal.aborted;
  const time = !late ? revokeTime : context.signal.reason instanceof SignalReceived ? signalTime : lateTime;
  const bounds = late ? { signal: new AbortController().signal } : context;
  using limit = startDeadline(context.clock, bounds, time, 'revoking the token');
  try {
    for (const { revoked, words } of await vault.finish(inUse, { signal: limit.signal, phase: () => {} }))
      if (revoked) context.log.debug(words);
      else context.log.warn(words);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    context.log.warn(`revoking the token took longer than ${formatDuration(time)}`);
  }
}

/** For an outcome's `takeBack`: what was in use reached nobody. */
export function giveBackLater(sources: Sources, context: Context): (signal: AbortSignal) => Promise<void> {
  return (signal) => giveBack(sources, false, { ...context, signal });
}

/** Tells how long what was read will hold, where it does not hold forever. */
export async function tellLeases({ vault }: Sources, context: Context): Promise<void> {
  if (vault === undefined) return;
  for (const note of await vault.notes({ signal: context.signal, phase: () => {} })) context.log.warn(note);
}
