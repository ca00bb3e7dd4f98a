import { sleep, unlessAborted, type Clock } from '../../core/clock.ts';
import type { Session } from './session.ts';

/** Milliseconds for which the server is asked what became of a statement, whatever the deadline or a signal say. */
const lookTime = 2000;

/** Milliseconds between two looks. */
const pause = 50;

/**
 * What became of a statement whose answer never came, asked by a connection that is made after that.
 * @param connect makes it; undefined where it cannot be made
 * @param pid of the backend that had the statement: once it is gone, nothing more comes of it
 * @param look undefined where nothing is to be seen of what the statement does
 * @returns `nothing` where it came to nothing; undefined where that is not known in time
 */
export async function lookAfter<T extends string>(
  connect: (signal: AbortSignal) => Promise<Session | undefined>,
  pid: number,
  look: (session: Session) => Promise<T | undefined>,
  clock: Clock,
): Promise<T | 'nothing' | undefined> {
  const limit = new AbortController();
  const cancel = clock.after(lookTime, () => limit.abort(new Error('no answer in time')));
  let session: Session | undefined;
  const once = async (): Promise<T | 'nothing' | undefined> => {
    if (session?.alive !== true) session = await connect(limit.signal).catch(() => undefined);
    if (limit.signal.aborted) session?.destroy();
    if (session?.alive !== true) return undefined;
    // First whether it is gone: what it did is to be seen then.
    const { rows } = await session.query(
      `SELECT FROM pg_catalog.pg_stat_activity AS a WHERE a.pid OPERATOR(pg_catalog.=) ${pid}`,
    );
    return (await look(session)) ?? (rows.length === 0 ? 'nothing' : undefined);
  };
  try {
    for (;;) {
      const found = await unlessAborted(once(), limit.signal);
      if (found !== undefined) return found;
      await sleep(clock, pause, limit.signal);
    }
  } catch {
    return undefined;
  } finally {
    cancel();
    if (limit.signal.aborted) session?.destroy();
    else await session?.end();
    limit.abort(new Error('the look is over'));
  }
}
