import type { AnyCommand } from '../kernel/command.ts';
import { flagName, type Options } from '../kernel/options/option.ts';

/** One command as a shell completes it. */
export interface Completed {
  readonly command: AnyCommand;
  readonly options: Options;
}

/**
 * A script for bash that completes commands, flags, and the values of flags that take a choice; files elsewhere. It
 * holds all it needs: nothing is started when somebody presses Tab.
 */
export function completionScript(all: readonly Completed[], topics: readonly string[]): string {
  const names = all.map(({ command }) => command.name);
  return `# bash: source <(initbox completion)
_initbox() {
  local word=\${COMP_WORDS[COMP_CWORD]} before=\${COMP_WORDS[COMP_CWORD-1]} words= i
  for ((i = 1; i < COMP_CWORD; i++)); do
    # The command after -- is another program.
    if [[ \${COMP_WORDS[i]} == -- ]]; then return; fi
  done
  if ((COMP_CWORD == 1)); then
    words='${[...names, 'help', 'version', 'completion'].join(' ')}'
  else
    case \${COMP_WORDS[1]}:$before in
      help:*) ((COMP_CWORD == 2)) && words='${[...names, ...topics].join(' ')}' ;;
${all.flatMap(choicesOf).join('\n')}
    esac
    if [[ -z $words && $word == -* ]]; then
      case \${COMP_WORDS[1]} in
${all.map(({ command, options }) => `        ${command.name}) words='${flagsOf(options).join(' ')}' ;;`).join('\n')}
      esac
    fi
  fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
}
complete -o default -F _initbox initbox
`;
}

function choicesOf({ command, options }: Completed): string[] {
  return Object.entries(options).flatMap(([name, option]) =>
    option.choices === undefined
      ? []
      : [`      ${command.name}:--${flagName(name, option)}) words='${option.choices.join(' ')}' ;;`],
  );
}

function flagsOf(options: Options): string[] {
  const flags = Object.entries(options).map(([name, option]) => {
    const negated = option.kind === 'switch' && option.fallback === true;
    return `--${negated ? 'no-' : ''}${flagName(name, option)}`;
  });
  return [...flags, '--help'];
}
