import type { CommandWords, Expected, FlagWords } from './completion-words.ts';

/** A script for fish: one `complete` for each word (https://fishshell.com/docs/current/cmds/complete.html). */
export function fishScript(commands: readonly CommandWords[]): string {
  const first = `complete -c initbox -n __initbox_first -f`;
  return `# fish completion of initbox: initbox completion fish | source
function __initbox_first
  test (count (commandline -opc)) -eq 1
end
# Once what takes over is being written, the words are another program's.
function __initbox_is
  set -l words (commandline -opc)
  test "$words[2]" = $argv[1]; and not contains -- -- $words
end
${first}
${commands.map(({ name, summary }) => `${first} -a ${name} -d ${quote(summary)}\n`).join('')}${commands.map(commandLines).join('')}`;
}

function commandLines({ name, flags, positionals }: CommandWords): string {
  const start = `complete -c initbox -n '__initbox_is ${name}'`;
  return [
    ...(positionals.kind === 'file' ? [] : [`${start} -f${argumentsOf(positionals)}`]),
    `${start} -l help -d 'explain the command'`,
    ...flags.map((flag) => `${start}${flagPart(flag)}`),
  ]
    .map((line) => `${line}\n`)
    .join('');
}

function flagPart({ flag, description, value }: FlagWords): string {
  const kind = value === undefined ? '' : value.kind === 'file' ? ' -r -F' : ` -x${argumentsOf(value)}`;
  return ` -l ${flag.replace(/^--/, '')}${kind} -d ${quote(description)}`;
}

function argumentsOf(expected: Expected): string {
  return expected.kind === 'words' && expected.words.length > 0
    ? ` -a ${quote(expected.words.join(' '))}`
    : '';
}

function quote(text: string): string {
  return `'${text.replaceAll(/['\\]/g, '\\$&')}'`;
}
