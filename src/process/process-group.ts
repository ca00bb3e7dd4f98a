import type { Host } from '../core/host.ts';
import { listProcesses } from './process-table.ts';

/**
 * True while a member of the group lives. A zombie is dead: where nobody reaps, as under a PID 1 that does not,
 * kill(2) would find it forever.
 */
export function groupLives(group: number, host: Pick<Host, 'kill'>): boolean {
  try {
    if (!host.kill(-group, 0)) return false;
  } catch {
    // EPERM: a member belongs to another user, and so lives.
  }
  const processes = listProcesses();
  // Without /proc, what kill(2) said is all there is.
  if (processes === undefined) return true;
  return processes.some((entry) => entry.group === group && entry.lives);
}
