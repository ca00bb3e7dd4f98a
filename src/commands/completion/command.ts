import { defineCommand, each } from '../../core/command.ts';
import { choiceParser } from '../../core/options/option.ts';
import { printed } from '../../core/outcome.ts';
import { bashScript } from './bash.ts';
import { completionWords } from './completion-words.ts';
import { fishScript } from './fish.ts';
import { shells } from './shells.ts';
import { zshScript } from './zsh.ts';

const parse = each('shell', choiceParser(shells), { min: 1, max: 1, example: 'initbox completion bash' });

const scripts = { bash: bashScript, zsh: zshScript, fish: fishScript };

export const completion = defineCommand({
  name: 'completion',
  summary: 'print the completion script of a shell',
  description: `Prints a script that completes initbox's commands, flags and their values in bash, zsh or fish. It is made from the definitions of the commands and holds all that there is to know: no key press starts a process, nor evaluates what was typed.`,
  examples: [
    'initbox completion bash > /etc/bash_completion.d/initbox',
    'initbox completion zsh > "${fpath[1]}/_initbox"',
    'initbox completion fish > ~/.config/fish/completions/initbox.fish',
  ],
  positionals: {
    usage: 'SHELL',
    name: 'shell',
    description: `${shells.join(', ')}; for one session: source <(initbox completion bash)`,
    parse,
  },
  options: {},
  afterDashes: 'nothing',
  timeout: '5m',
  step: false,
  async run({ positionals: [shell = 'bash'] }, { commands, stdout }) {
    const all = await Promise.all(Object.values(commands).map((load) => load()));
    stdout(scripts[shell](completionWords(all)));
    return printed(`printed the completion script of ${shell}`);
  },
});
