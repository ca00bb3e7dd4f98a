import type { Fetched, Provenance, SourceAddress } from '../../config/source.ts';
import type { Context } from '../../core/context.ts';
import type { Failed } from '../../core/outcome.ts';
import { satisfied, type Target } from '../../wait/attempt.ts';
import { waitFor, type WaitPlan } from '../../wait/loop.ts';
import { waitOutcome } from '../../wait/outcome.ts';
import { fixed, proportional } from '../../wait/schedule.ts';
import { once } from '../../wait/target-state.ts';
import type { Sources } from './open.ts';

/** What was read, by the address as it is printed; or why not all of it was. */
export type FetchResult =
  | { readonly kind: 'fetched'; readonly found: ReadonlyMap<SourceAddress, Fetched> }
  | Failed;

/**
 * Logs in, then reads everything at once, each source until it answers for good.
 * @param interval milliseconds between attempts; undefined for the usual pauses
 * @throws the signal's reason where it is not the deadline
 */
export async function fetchAll(
  addresses: readonly SourceAddress[],
  sources: Sources,
  interval: number | undefined,
  context: Context,
): Promise<FetchResult> {
  const plan = (targets: number): WaitPlan => ({
    schedule: interval === undefined ? proportional(targets) : fixed(interval),
    policy: once,
    // A login may serve once only, a lease is made by each read, a download takes its time.
    overlap: 1,
    patient: true,
  });
  if (sources.logins.length > 0) {
    const report = await waitFor(sources.logins, plan(sources.logins.length), context);
    const outcome = waitOutcome(report);
    if (outcome.kind === 'failed') return outcome;
    context.log.info(outcome.summary);
  }
  const found = new Map<SourceAddress, Fetched>();
  const targets = addresses.map((address): Target => {
    const read = sources.reader(address);
    return {
      name: address.text,
      async attempt(probe) {
        const answer = await read(probe);
        if (answer.state !== 'fetched') {
          if (!answer.missing || !address.optional) return answer;
          found.set(address, absent(address, answer.reason, sources.isSecret(address)));
          return satisfied(`absent: ${answer.reason}`);
        }
        found.set(address, answer.fetched);
        return satisfied(`read${versionWords(answer.fetched.provenance)}`);
      },
    };
  });
  const outcome = waitOutcome(await waitFor(targets, plan(targets.length), context));
  return outcome.kind === 'failed' ? outcome : { kind: 'fetched', found };
}

/** No fields, and a secret where it would be one if it were there: a file's mode does not tell which. */
function absent({ text }: SourceAddress, reason: string, secret: boolean): Fetched {
  const content = { kind: 'fields', fields: new Map() } as const;
  return { content, secret, absent: reason, provenance: { source: text } };
}

/** ` version 3 of 2026-11-22T18:00:00Z`, as far as the source tells. */
export function versionWords({ version, time, etag }: Provenance): string {
  const parts = [
    ...(version === undefined ? [] : [` version ${version}`]),
    ...(time === undefined ? [] : [` of ${time}`]),
    ...(version === undefined && etag !== undefined ? [` with ETag ${etag}`] : []),
  ];
  return parts.join('');
}
