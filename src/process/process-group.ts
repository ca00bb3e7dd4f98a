import { readdirSync, readFileSync } from 'node:fs';

import type { Host } from '../core/host.ts';

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
  let processes: string[];
  try {
    processes = readdirSync('/proc');
  } catch {
    return true; // no /proc: what kill(2) said is all there is
  }
  return processes.some((name) => /^\d/.test(name) && isLiveMember(name, group));
}

/** proc(5): after the command's last parenthesis come state, parent and process group. */
function isLiveMember(pid: string, group: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [state = '', , itsGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return Number(itsGroup) === group && state !== 'Z' && state !== 'X';
  } catch {
    return false; // it ended meanwhile
  }
}
