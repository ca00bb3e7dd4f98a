import { commands } from '../src/commands/index.ts';
import { exitTable } from '../src/core/exit-status.ts';
import { allOptions } from '../src/core/options/all.ts';
import { flagName, twinName, type Options } from '../src/core/options/option.ts';
import { processOptions } from '../src/core/options/shared-options.ts';

const block = /(<!-- generated: ([^\n]*) -->\n)[\s\S]*?(<!-- end -->)/g;

/** A page with every generated part made anew. */
export async function fillPage(page: string): Promise<string> {
  const parts = new Map<string, string>();
  for (const [, , subject = ''] of page.matchAll(block)) parts.set(subject, await generate(subject));
  return page.replace(
    block,
    (_all, start: string, subject: string, end: string) => `${start}${parts.get(subject)}${end}`,
  );
}

async function generate(subject: string): Promise<string> {
  const [kind, name = ''] = subject.split(' ');
  if (kind === 'exit-statuses') {
    return table(
      ['status', 'meaning', 'what a restart would do'],
      exitTable.map(({ status, meaning, restart }) => [status, meaning, restart]),
    );
  }
  if (kind === 'commands') {
    const all = await Promise.all(Object.values(commands).map((load) => load()));
    return table(
      ['command', 'what it does'],
      all.map((command) => [`\`${command.name}\``, command.summary]),
    );
  }
  if (kind === 'common-options') return optionsTable(processOptions);
  const load = commands[name];
  if (kind !== 'options' || load === undefined) throw new Error(`nothing is generated for "${subject}"`);
  const common = new Set(Object.keys(processOptions));
  const own = Object.entries(allOptions(await load())).filter(([option]) => !common.has(option));
  return optionsTable(Object.fromEntries(own));
}

function optionsTable(options: Options): string {
  return table(
    ['flag', 'variable', 'default', 'meaning'],
    Object.entries(options).map(([name, option]) => [
      `\`--${flagName(name, option)}${option.placeholder ? ` ${option.placeholder}` : ''}\``.replaceAll(
        '|',
        '\\|',
      ),
      `\`${twinName(name, option)}\``,
      option.fallbackText === '' ? '' : `\`${option.fallbackText}\``,
      `${option.description}${option.kind === 'list' ? '; can be repeated' : ''}`.replaceAll('|', '\\|'),
    ]),
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}
