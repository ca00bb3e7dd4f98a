import type { Resolver } from 'node:dns';

import { connectWords } from '../../core/socket-errors.ts';

export const recordTypes = ['A', 'AAAA', 'SRV', 'CNAME', 'TXT', 'MX', 'NS'] as const;
export type RecordType = (typeof recordTypes)[number];

/** What name servers said to one question. */
export type Reply =
  | { readonly kind: 'records'; readonly records: readonly string[] }
  /** RFC 8020: neither the name nor anything below it exists. */
  | { readonly kind: 'nxdomain' }
  /** The name exists, without records of this type. */
  | { readonly kind: 'nodata' }
  | { readonly kind: 'failed'; readonly code: string; readonly server: string }
  | { readonly kind: 'silent'; readonly servers: readonly string[] };

/** A server that has not answered for so long, in milliseconds, is joined by the next one. */
const patience = 1000;

/**
 * Asks the servers one question: the next one joins when the one before fails or keeps silent. Nothing is remembered
 * between calls: a Resolver of Node caches positive answers inside the object, so that each question gets a new one.
 * Truncated answers are asked for again over TCP by c-ares.
 * @param timeout milliseconds for each server
 */
export async function ask(
  servers: readonly string[],
  name: string,
  type: RecordType,
  timeout: number,
  signal: AbortSignal,
): Promise<Reply> {
  // Loaded here: a literal address or the hosts file needs no c-ares, and start-up is paid by every pod.
  const dns = await import('node:dns');
  return new Promise((resolve) => {
    const asked: Resolver[] = [];
    let failure: Reply | undefined;
    let open = 0;
    let join: NodeJS.Timeout | undefined;

    const finish = (reply: Reply): void => {
      clearTimeout(join);
      signal.removeEventListener('abort', onAbort);
      for (const resolver of asked) resolver.cancel();
      resolve(reply);
    };
    const silent = (): Reply => ({ kind: 'silent', servers: servers.slice(0, asked.length) });
    const onAbort = (): void => finish(failure ?? silent());

    const next = (): void => {
      clearTimeout(join);
      const server = servers[asked.length];
      if (server === undefined) {
        if (open === 0) finish(failure ?? silent());
        return;
      }
      open++;
      const resolver = new dns.Resolver({ timeout, tries: 1 });
      asked.push(resolver);
      resolver.setServers([server]);
      resolver.resolve(name, type, (error, records) => {
        open--;
        const reply = error ? replyOf(error.code ?? 'unknown', server) : recordsReply(records as unknown[]);
        if (reply !== undefined && reply.kind !== 'failed') return finish(reply);
        failure ??= reply;
        next();
      });
      join = setTimeout(next, patience);
    };

    if (signal.aborted) return finish(silent());
    signal.addEventListener('abort', onAbort, { once: true });
    next();
  });
}

/** c-ares' codes; undefined where the server said nothing. */
function replyOf(code: string, server: string): Reply | undefined {
  if (code === 'ENOTFOUND') return { kind: 'nxdomain' };
  if (code === 'ENODATA') return { kind: 'nodata' };
  if (code === 'ETIMEOUT' || code === 'ECANCELLED') return undefined;
  return { kind: 'failed', code: words[code] ?? code, server };
}

const words: Readonly<Record<string, string>> = {
  ESERVFAIL: 'SERVFAIL',
  EREFUSED: 'REFUSED',
  ENOTIMP: 'NOTIMP',
  EFORMERR: 'FORMERR',
  EBADRESP: 'a malformed answer',
  EBADNAME: 'no valid name',
  ECONNREFUSED: connectWords('ECONNREFUSED'),
};

function recordsReply(records: readonly unknown[]): Reply {
  if (records.length === 0) return { kind: 'nodata' };
  return { kind: 'records', records: records.map(recordText) };
}

/** The root as a target says that there is none: no such service (SRV, RFC 2782), no mail (MX, RFC 7505). */
const noTarget = '.';

/** Whether a record says that there is nothing to go to. */
export function namesNoTarget(record: string): boolean {
  return record === noTarget || /^\.:\d+$/.test(record);
}

function recordText(record: unknown): string {
  if (Array.isArray(record)) return record.join(''); // TXT comes in chunks of 255 bytes
  if (typeof record === 'object' && record !== null && 'port' in record && 'name' in record) {
    return `${String(record.name) || noTarget}:${String(record.port)}`;
  }
  if (typeof record === 'object' && record !== null && 'exchange' in record)
    return String(record.exchange) || noTarget;
  return String(record);
}
