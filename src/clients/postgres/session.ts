import type { Socket } from 'node:net';

import type { Client, QueryConfig, QueryResult as PgResult } from 'pg';

import { reasonOf, type Clock } from '../../core/clock.ts';
import { BrokenConnection } from './wire.ts';

/** Rows by column name. int8 and numeric come as strings, timestamps as Dates. */
export interface QueryResult {
  readonly rows: readonly Record<string, unknown>[];
  readonly rowCount: number | null;
}

export interface QueryOptions {
  /** Ends the connection when aborted: Postgres knows no other way to be sure that a statement is over for us. */
  readonly signal?: AbortSignal;
  /** Milliseconds after which the connection is ended and QueryTimeout thrown. */
  readonly timeout?: number;
  /**
   * The server refuses a text of several statements (extended protocol): none can end the transaction for the next. The
   * rows are arrays, since somebody else's columns may share a name.
   */
  readonly single?: boolean;
  /** The rows are thrown away as they come, however many and large they are. */
  readonly discard?: boolean;
}

/** What the server says of a session by itself, without being asked. */
export interface SessionReport {
  /** Of the last ReadyForQuery: no transaction is open, one is, or one that has failed. */
  readonly transaction: 'I' | 'T' | 'E' | undefined;
  /** standard_conforming_strings, whose changes a server reports at once; undefined where it never did. */
  readonly standardStrings: boolean | undefined;
}

/** One connection to a server, already logged in. */
export interface Session extends AsyncDisposable {
  /** The process id that the server announced at login: behind a pooler not the backend's. */
  readonly announcedPid: number;
  /** The descriptor of the TCP or Unix socket, below TLS: for a child that must keep the connection open. */
  readonly descriptor: number | undefined;
  /** This end of the TCP connection, as this machine sees it; undefined for a Unix socket. */
  readonly local: { readonly address: string; readonly port: number } | undefined;
  /** `db:5432 (10.0.0.4)`, for people. */
  readonly peer: string;
  /** False once the connection is over or is being ended. */
  readonly alive: boolean;
  /** Resolves when the connection is over, with why; `ended here` where end() or destroy() was called. */
  readonly ended: Promise<Error>;
  readonly told: SessionReport;
  /**
   * Runs a statement. Without values several may stand in one text (simple protocol, one transaction unless it
   * says otherwise) and the last one's result is returned.
   * @throws DatabaseError (`code` is the SQLSTATE), the connection's error, the signal's reason, or QueryTimeout
   */
  query(text: string, values?: readonly unknown[], options?: QueryOptions): Promise<QueryResult>;
  /** Calls back for each NOTIFY on a channel that was LISTENed to; returns what stops it. */
  onNotification(listener: (channel: string, payload: string) => void): () => void;
  /** Calls back for each notice or warning of the server; returns what stops it. */
  onNotice(listener: (severity: string, message: string) => void): () => void;
  /** Says goodbye; after two seconds without an answer the socket is closed all the same. Never throws. */
  end(): Promise<void>;
  /** Closes the socket at once. */
  destroy(): void;
}

/** A statement got no answer in time, and the connection was ended for it. */
export class QueryTimeout extends Error {
  override readonly name = 'QueryTimeout';
}

/** The connection was closed, and nobody said why. */
class ConnectionEnded extends Error {
  override readonly name = 'ConnectionEnded';
}

/** Whether a statement failed for the connection's sake, and not for what the server said of it. */
export function isConnectionError(error: unknown): boolean {
  if (error instanceof BrokenConnection || error instanceof QueryTimeout || error instanceof ConnectionEnded)
    return true;
  const { code, message } = (error ?? {}) as NodeJS.ErrnoException;
  // The driver's own words for the end of a connection, which it sometimes is the first to see.
  return (
    ['ECONNRESET', 'EPIPE', 'ETIMEDOUT'].includes(code ?? '') ||
    (message ?? '').startsWith('Connection terminated')
  );
}

/** How long a polite goodbye may take, in milliseconds: on a half-open socket it never ends by itself. */
const goodbye = 2000;

/** Wraps a client that has logged in. */
export function openSession(
  client: Client,
  socket: Socket,
  announcedPid: number,
  peer: string,
  clock: Clock,
  wire: { discardRows(yes: boolean): void },
  told: SessionReport,
): Session {
  let running = 0;
  let over: Error | undefined;
  let tellEnd!: (why: Error) => void;
  const ended = new Promise<Error>((resolve) => {
    tellEnd = resolve;
  });
  const finish = (why: Error): void => {
    over ??= why;
    tellEnd(over);
  };
  // Twice on a termination: first the server's reason (57P01), then that the connection is gone. The first counts.
  client.on('error', finish);
  client.on('end', () => finish(new ConnectionEnded('the connection ended')));

  const destroy = (why: Error): void => {
    finish(why);
    socket.destroy();
  };

  const { localAddress, localPort } = socket;
  const local =
    localAddress === undefined || localPort === undefined
      ? undefined
      : { address: localAddress, port: localPort };

  return {
    announcedPid,
    local,
    peer,
    ended,
    told,
    get descriptor() {
      // Node has no public name for it; handing a child the socket itself would stop this process from reading it.
      return (socket as unknown as { readonly _handle: { readonly fd: number } | null })._handle?.fd;
    },
    get alive() {
      return over === undefined;
    },
    async query(text, values, options = {}) {
      const { signal, timeout, single = false, discard = false } = options;
      if (over !== undefined) throw over;
      if (signal?.aborted) {
        destroy(reasonOf(signal));
        throw reasonOf(signal);
      }
      let cut!: (why: Error) => void;
      const cutOff = new Promise<never>((_, reject) => {
        cut = (why) => {
          destroy(why);
          reject(why);
        };
      });
      const onAbort = (): void => cut(reasonOf(signal as AbortSignal));
      signal?.addEventListener('abort', onAbort, { once: true });
      let answered = false;
      const cancel =
        timeout === undefined
          ? undefined
          : clock.after(timeout, () =>
              // Whoever stood still meanwhile (a throttled container, a frozen machine) finds the timer due before
              // it has read what came: the answer may lie there.
              setImmediate(() => {
                if (!answered) cut(new QueryTimeout(`no answer to a statement within ${timeout} ms`));
              }),
            );
      // One query at a time is answered: those of another caller must not lose their rows.
      wire.discardRows(discard && running === 0);
      running++;
      const answer: Promise<PgResult | PgResult[]> = single
        ? client.query({ text, queryMode: 'extended', rowMode: 'array' } as QueryConfig)
        : client.query(text, values as unknown[] | undefined);
      // Where the cut comes first, the client rejects later on, unheard.
      answer.catch(() => {});
      try {
        const result = await Promise.race([answer, cutOff]);
        const last = Array.isArray(result) ? result.at(-1) : result;
        return { rows: last?.rows ?? [], rowCount: last?.rowCount ?? null };
      } catch (error) {
        // The driver reads a value by the type that the server says it has, and throws what JavaScript says of it.
        if (!(error instanceof SyntaxError || error instanceof TypeError || error instanceof RangeError))
          throw error;
        const why = new BrokenConnection(
          'the connection broke: what the server sent is not valid: a value is not one of its column’s type',
        );
        destroy(why);
        throw why;
      } finally {
        answered = true;
        running--;
        wire.discardRows(false);
        cancel?.();
        signal?.removeEventListener('abort', onAbort);
      }
    },
    onNotification(listener) {
      const heard = (message: { channel: string; payload?: string | undefined }): void =>
        listener(message.channel, message.payload ?? '');
      client.on('notification', heard);
      return () => void client.off('notification', heard);
    },
    onNotice(listener) {
      const heard = (notice: { severity?: string | undefined; message?: string | undefined }): void =>
        listener(notice.severity ?? 'NOTICE', notice.message ?? '');
      client.on('notice', heard);
      return () => void client.off('notice', heard);
    },
    async end() {
      if (over !== undefined && socket.destroyed) return;
      finish(new Error('ended here'));
      let cancel = (): void => {};
      const late = new Promise<void>((resolve) => {
        cancel = clock.after(goodbye, resolve);
      });
      await Promise.race([client.end().catch(() => {}), late]);
      cancel();
      socket.destroy();
    },
    destroy: () => destroy(new Error('ended here')),
    async [Symbol.asyncDispose]() {
      await this.end();
    },
  };
}
