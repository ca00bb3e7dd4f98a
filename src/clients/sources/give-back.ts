import type { Context } from '../../kernel/context.ts';
import { startDeadline } from '../../kernel/deadline.ts';
import { formatDuration } from '../../kernel/duration.ts';
import { Failure } from '../../kernel/outcome.ts';
import type { Sources } from './open.ts';

/** Milliseconds that revoking the token may take: it is a courtesy, and the app is waiting. */
const revokeTime = 2000;

/** Whatever happened, a token that was made for this run is not left behind. */
export async function giveBack({ vault }: Sources, context: Context): Promise<void> {
  if (vault === undefined) return;
  using limit = startDeadline(context.clock, context, revokeTime, 'revoking the token');
  try {
    const end = await vault.finish({ signal: limit.signal, phase: () => {} });
    if (end === undefined) return;
    if (end.revoked) context.log.debug(end.words);
    else context.log.warn(end.words);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    context.log.warn(`revoking the token took longer than ${formatDuration(revokeTime)}`);
  }
}
