import { commands } from '../commands/index.ts';
import { exitTable } from '../core/exit-status.ts';
import { allOptions } from '../core/options/all.ts';
import { UsageError } from '../core/outcome.ts';
import { commandNamed } from './command-names.ts';
import { version } from './version.ts';

/**
 * What is printed instead of running a command: the version, or help on everything or on one topic.
 * @throws UsageError for an unknown topic
 */
export async function print(word: string, rest: readonly string[]): Promise<string> {
  if (/version|^-v$/i.test(word)) return `initbox ${version}\n`;
  const topic = rest[0];
  if (rest.length > 1) throw new UsageError('help takes one topic: a command, or exit-codes');
  if (topic === 'exit-codes') return exitCodes();
  const { commandHelp, overview } = await import('./help.ts');
  if (topic === undefined) return overview(await Promise.all(Object.values(commands).map((load) => load())));
  const command = await commandNamed(topic, commands);
  return commandHelp(command, allOptions(command));
}

function exitCodes(): string {
  const width = Math.max(...exitTable.map(({ status }) => status.length));
  const rows = exitTable.map(
    ({ status, meaning, restart }) =>
      `  ${status.padEnd(width)}  ${meaning}${restart ? ` (after a restart: ${restart})` : ''}\n`,
  );
  return `Exit statuses:\n${rows.join('')}`;
}
