// Names that are exchanged under a running program.
import { spawn } from 'node:child_process';
import { join } from 'node:path';

/**
 * Does work while names of a directory are exchanged, each `${first}${i}` with `${second}${i}`; with `pairs` 0, the two
 * names themselves.
 * @returns how many exchanges there were
 */
export async function whileExchanged(
  directory: string,
  [first, second, pairs]: readonly [string, string, number],
  work: () => Promise<void>,
): Promise<number> {
  const child = spawn(
    'python3',
    [join(import.meta.dirname, 'exchanger.py'), directory, first, second, String(pairs)],
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
