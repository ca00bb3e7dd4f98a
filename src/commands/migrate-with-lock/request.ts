import { createHash } from 'node:crypto';

import type { OnceWork } from '../../clients/postgres/lock/once.ts';
import { UsageError } from '../../core/outcome.ts';
import type { Acceptance } from '../../migrations/accept.ts';

/** What is done under the lock. */
export type LockedWork =
  | { readonly kind: 'command'; readonly command: readonly string[] }
  | {
      readonly kind: 'sql';
      readonly directory: string;
      readonly baseline: string | undefined;
      readonly dryRun: boolean;
      readonly accept: readonly Acceptance[];
    };

/** What a command line of migrate-with-lock asks for. */
export type Request =
  | { readonly kind: 'work'; readonly work: LockedWork; readonly once: OnceWork | undefined }
  | { readonly kind: 'status' }
  | { readonly kind: 'forget'; readonly key: string };

interface Given {
  readonly sql: string | undefined;
  readonly baseline: string | undefined;
  readonly 'dry-run': boolean;
  readonly accept: readonly Acceptance[];
  readonly once: string | undefined;
  readonly status: boolean;
  readonly forget: string | undefined;
}

/**
 * @throws UsageError where nothing, or more than one thing, is asked for
 */
export function readRequest(given: Given, command: readonly string[] | undefined): Request {
  const asked = [
    command && 'a command after --',
    given.sql !== undefined && '--sql',
    given.status && '--status',
    given.forget !== undefined && '--forget',
  ].filter((what) => typeof what === 'string');
  if (asked.length > 1) throw new UsageError(`${asked.join(' and ')} were given; use one of them`);
  if (given.sql === undefined) {
    if (given.baseline !== undefined) throw new UsageError('--baseline needs --sql');
    if (given['dry-run']) throw new UsageError('--dry-run needs --sql');
    if (given.accept.length > 0) throw new UsageError('--accept needs --sql');
  }
  if (asked.length === 0) {
    throw new UsageError(
      'no command given; write for example: initbox migrate-with-lock -- ./migrate --target=latest',
    );
  }
  if ((given.status || given.forget !== undefined) && given.once !== undefined)
    throw new UsageError(`--once needs a command or --sql and cannot be combined with ${asked[0]}`);
  if (given.status) return { kind: 'status' };
  if (given.forget !== undefined) return { kind: 'forget', key: given.forget };
  if (given.once !== undefined && (given['dry-run'] || given.baseline !== undefined))
    throw new UsageError(`--once cannot be combined with --dry-run or --baseline`);
  const work: LockedWork = command
    ? { kind: 'command', command }
    : {
        kind: 'sql',
        directory: given.sql ?? '',
        baseline: given.baseline,
        dryRun: given['dry-run'],
        accept: given.accept,
      };
  return { kind: 'work', work, once: given.once === undefined ? undefined : onceWork(given.once, work) };
}

function onceWork(key: string, work: LockedWork): OnceWork {
  const words = work.kind === 'command' ? work.command : ['--sql', work.directory];
  return { key, commandHash: createHash('sha256').update(JSON.stringify(words)).digest('hex') };
}
