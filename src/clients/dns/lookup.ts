import { ask, type RecordType, type Reply } from './query.ts';
import { expandName, type ResolverConfig } from './resolv-conf.ts';

/** What was said of one expanded name. */
export interface Asked {
  readonly name: string;
  readonly replies: ReadonlyMap<RecordType, Reply>;
}

/** Records of the first expanded name that has any, or what each of the names got. */
export interface NameRecords {
  readonly found:
    | { readonly name: string; readonly records: ReadonlyMap<RecordType, readonly string[]> }
    | undefined;
  readonly asked: readonly Asked[];
}

/** RFC 8305, 3: how long to wait for the other address family once one has answered, in milliseconds. */
const resolutionDelay = 50;

/** How long other types of records are waited for where each of them may count, in milliseconds. */
const otherTypesDelay = 1000;

export interface LookupOptions {
  readonly types: readonly RecordType[];
  /** One family of addresses is enough, and the other is hardly waited for. */
  readonly hasty?: boolean;
  readonly signal: AbortSignal;
}

/**
 * Walks the search list as glibc's res_search does: on to the next name after NXDOMAIN, no data or SERVFAIL; a
 * silent server ends the walk, since a later name might then be mistaken for the intended one.
 */
export async function lookUp(
  name: string,
  config: ResolverConfig,
  options: LookupOptions,
): Promise<NameRecords> {
  const asked: Asked[] = [];
  for (const candidate of expandName(name, config)) {
    const replies = await askTypes(candidate, config, options);
    asked.push({ name: candidate, replies });
    const records = new Map<RecordType, readonly string[]>();
    for (const [type, reply] of replies) if (reply.kind === 'records') records.set(type, reply.records);
    if (records.size > 0) return { found: { name: candidate, records }, asked };
    if (options.signal.aborted || [...replies.values()].some(({ kind }) => kind === 'silent')) break;
  }
  return { found: undefined, asked };
}

async function askTypes(
  name: string,
  config: ResolverConfig,
  options: LookupOptions,
): Promise<Map<RecordType, Reply>> {
  const replies = new Map<RecordType, Reply>();
  const cut = new AbortController();
  const signal = AbortSignal.any([options.signal, cut.signal]);
  let timer: NodeJS.Timeout | undefined;
  await Promise.all(
    options.types.map(async (type) => {
      const reply = await ask(config.servers, name, type, config.timeout, signal);
      replies.set(type, reply);
      if (reply.kind !== 'records') return;
      timer ??= setTimeout(() => cut.abort(), options.hasty ? resolutionDelay : otherTypesDelay);
    }),
  );
  clearTimeout(timer);
  return replies;
}
