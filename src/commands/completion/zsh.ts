import type { CommandWords, Expected, FlagWords } from './completion-words.ts';

/** A script for zsh: one call of _arguments for each command (zshcompsys(1)). */
export function zshScript(commands: readonly CommandWords[]): string {
  return `#compdef initbox
# zsh completion of initbox: source <(initbox completion zsh), or as _initbox in a folder of $fpath
_initbox() {
  local curcontext=$curcontext state line
  if (( CURRENT == 2 )); then
    local -a words_of_initbox=(
${commands.map(({ name, summary }) => `      ${quote(`${name}:${summary}`)}\n`).join('')}    )
    _describe command words_of_initbox
    return
  fi
  # What takes over is another program, with a completion of its own.
  local end=\${words[(i)--]}
  if (( end < CURRENT )); then
    shift end words
    (( CURRENT -= end ))
    _normal
    return
  fi
  local name=$words[2]
  shift words
  (( CURRENT -= 1 ))
  case $name in
${commands.map(commandCase).join('')}  esac
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then _initbox "$@"; else compdef _initbox initbox; fi
`;
}

function commandCase({ name, flags, positionals }: CommandWords): string {
  const specs = [
    `'(- *)--help[explain the command]'`,
    ...flags.map(flagSpec),
    quote(`*:${action('word', positionals)}`),
  ];
  return `    ${name}) _arguments -S ${specs.join(' ')} ;;\n`;
}

function flagSpec({ flag, description, value, repeats }: FlagWords): string {
  const about = `[${description.replaceAll(/[[\]\\]/g, '\\$&')}]`;
  return quote(
    `${repeats ? '*' : ''}${flag}${value ? '=' : ''}${about}${value ? `:${action('value', value)}` : ''}`,
  );
}

function action(what: string, expected: Expected): string {
  if (expected.kind === 'words') return `${what}:(${expected.words.join(' ')})`;
  return expected.kind === 'file' ? 'file:_files' : `${what}: `;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
