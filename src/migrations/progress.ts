import type { Session } from '../clients/postgres/session.ts';
import type { Context } from '../core/context.ts';
import { formatDuration } from '../core/duration.ts';
import type { Piece } from './failure.ts';
import { columnText } from './rows.ts';

/** Milliseconds between two lines about a file that runs. */
const every = 10_000;

/** Says now and then where a long file stands, and what it waits for. */
export interface MigrationProgress extends Disposable {
  at(piece: Piece, first: number): void;
}

export function startMigrationProgress(
  file: string,
  total: number,
  lock: Session,
  pid: number,
  context: Context,
): MigrationProgress {
  const started = context.clock.now();
  let place = '';
  let cancel = (): void => {};
  const arm = (): void => {
    cancel = context.clock.after(every, () => {
      void say();
      arm();
    });
  };
  const say = async (): Promise<void> => {
    const blocked = lock.alive ? await blocker(lock, pid) : undefined;
    const since = formatDuration(context.clock.now() - started);
    context.log.info(
      `${file}: ${place}, ${since} so far${blocked === undefined ? '' : `; it waits for ${blocked}`}`,
    );
  };
  arm();
  return {
    at(piece, first) {
      const last = first + piece.statements;
      const which = piece.statements === 1 ? `statement ${last}` : `statements ${first + 1} to ${last}`;
      place = `${which} of ${total} (line ${piece.firstLine}: ${piece.short})`;
    },
    [Symbol.dispose]() {
      cancel();
    },
  };
}

/** Who holds what the backend waits for; undefined where it does not wait or that cannot be told. */
async function blocker(lock: Session, pid: number): Promise<string | undefined> {
  try {
    const { rows } = await lock.query(
      `SELECT a.pid, a.application_name AS name, a.state, pg_catalog.date_trunc('second', pg_catalog.now() OPERATOR(pg_catalog.-) a.xact_start)::pg_catalog.text AS age
        FROM pg_catalog.pg_stat_activity AS a WHERE a.pid OPERATOR(pg_catalog.=) ANY (pg_catalog.pg_blocking_pids($1)) ORDER BY a.xact_start LIMIT 1`,
      [pid],
    );
    const [row] = rows;
    if (row === undefined) return undefined;
    const name = columnText(row, 'name') ? ` of ${JSON.stringify(columnText(row, 'name'))}` : '';
    const state = columnText(row, 'state') ? `, ${columnText(row, 'state')}` : '';
    const age = columnText(row, 'age') ? `, its transaction ${columnText(row, 'age')} old` : '';
    return `a lock that backend ${columnText(row, 'pid')}${name} holds${state}${age}`;
  } catch {
    return undefined;
  }
}
