// Servers that refuse to run as root run as `nobody`.
import { execFileSync } from 'node:child_process';

import { needTool } from './tools.ts';

export interface Account {
  uid: number;
  gid: number;
}

/** The account that servers drop to under root; undefined when the tests are not root and need not drop. */
export function serverAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** Command prefix that drops to the account and then execs, so that the process id stays. */
export function dropTo(account: Account | undefined): string[] {
  if (account === undefined) return [];
  return [
    needTool('setpriv', 'util-linux'),
    `--reuid=${account.uid}`,
    `--regid=${account.gid}`,
    '--clear-groups',
    '--',
  ];
}
