// Names that are exchanged under a running program.
import { spawn } from 'node:child_process';
import { join } from 'node:path';

/**
 * Does work while names of a directory are exchanged, each `${first}${i}` with `${second}${i}`; with `pairs` 0, the two
 * names themselves.
 * @param anew every how many milliseconds each entry is made anew; 0: never. A copy takes an exchange of entries that are
 *   older than itself for a source that changes, and begins again
 * @returns how many exchanges there were
 */
export async function whileExchanged(
  directory: string,
  [first, second, pairs]: readonly [string, string, number],
  work: () => Promise<void>,
  anew = 0,
): Promise<number> {
  const child = spawn(
    'python3',
    [join(import.meta.dirname, 'exchanger.py'), directory, first, second, String(pairs), String(anew)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
  const ended = new Promise((resolve) => child.once('close', resolve));
  while (!said.includes('ready')) await new Promise((resolve) => setTimeout(resolve, 10));
  try {
    await work();
  } finally {
    child.stdin.end('stop\n');
    await ended;
  }
  return Number(said.trim().split('\n').at(-1));
}
