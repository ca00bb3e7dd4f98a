import type { CommandWords, Expected } from './completion-words.ts';

/**
 * A script for bash 3.2 and newer, without the bash-completion package: what it completes comes from `compgen`
 * (https://www.gnu.org/software/bash/manual/html_node/Programmable-Completion.html).
 */
export function bashScript(commands: readonly CommandWords[]): string {
  return `# bash completion of initbox: source <(initbox completion bash)
_initbox() {
  local word=\${COMP_WORDS[COMP_CWORD]} flag=\${COMP_WORDS[COMP_CWORD-1]} command=\${COMP_WORDS[1]} index
  # Readline splits --flag=value at the equals sign.
  if [ "$word" = = ]; then word=
  elif [ "$flag" = = ]; then flag=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${commands.map(({ name }) => name).join(' ')} --help --version' -- "$word"))
    return
  fi
  # What takes over is another program, with files as its arguments.
  for ((index = 2; index < COMP_CWORD; index++)); do
    if [ "\${COMP_WORDS[index]}" = -- ]; then
      if [ "$index" -eq $((COMP_CWORD - 1)) ]; then COMPREPLY=($(compgen -c -- "$word"))
      else _initbox_files "$word"
      fi
      return
    fi
  done
  case $command in
${commands.map(commandCase).join('')}  esac
}
_initbox_files() {
  local IFS=$'\\n'
  compopt -o filenames 2>/dev/null
  COMPREPLY=($(compgen -f -- "$1"))
}
complete -F _initbox initbox
`;
}

function commandCase({ name, flags, positionals }: CommandWords): string {
  // Flags that take the same kind of value share a line.
  const byReply = Map.groupBy(
    flags.filter(({ value }) => value !== undefined),
    ({ value }) => reply(value),
  );
  const values = [...byReply].map(
    ([does, same]) => `        ${same.map(({ flag }) => flag).join('|')}) ${does} return ;;\n`,
  );
  const inner = values.length > 0 ? `      case $flag in\n${values.join('')}      esac\n` : '';
  const words = ['--help', ...flags.map(({ flag }) => flag)].join(' ');
  return `    ${name})
${inner}      case $word in
        -*) COMPREPLY=($(compgen -W '${words}' -- "$word")) ;;
        *) ${reply(positionals)} ;;
      esac ;;
`;
}

function reply(expected: Expected | undefined): string {
  if (expected?.kind === 'words')
    return `COMPREPLY=($(compgen -W '${expected.words.join(' ')}' -- "$word"));`;
  return expected?.kind === 'file' ? '_initbox_files "$word";' : '';
}
