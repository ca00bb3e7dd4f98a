import type { ClusterRights } from '../../core/cluster-rights.ts';
import type { Context } from '../../core/context.ts';
import type { Failed } from '../../core/outcome.ts';
import type { TargetWithOptions } from './read-target.ts';

/** What each target needs of a cluster's API server that needs anything. @throws UsageError */
export async function rightsOfTargets(
  targets: readonly TargetWithOptions[],
  context: Context,
): Promise<readonly ClusterRights[] | Failed> {
  const found: ClusterRights[] = [];
  for (const { target } of targets) {
    const needed = await target.rights?.(context);
    if (needed === undefined) continue;
    if ('kind' in needed) return needed;
    found.push(needed);
  }
  return found;
}
