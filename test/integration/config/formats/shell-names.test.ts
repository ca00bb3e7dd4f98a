import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, expect, it } from 'vitest';

import { FormatError } from '../../../../src/config/formats/entries.ts';
import { formatFile } from '../../../../src/config/formats/format.ts';
import { requireOrSkip, whyMissing } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

const folder = temporaryDirectory('shell-names');
afterAll(() => folder.remove());

/** What bash(1) lists under "Shell Variables", less those that are for its terminal. */
const documented =
  `_ BASH BASHOPTS BASHPID BASH_ALIASES BASH_ARGC BASH_ARGV BASH_ARGV0 BASH_CMDS BASH_COMMAND BASH_LINENO
  BASH_SOURCE BASH_SUBSHELL BASH_VERSINFO BASH_VERSION COLUMNS DIRSTACK ENV EPOCHREALTIME EPOCHSECONDS EUID FUNCNAME
  FUNCNEST GROUPS HISTCMD HOME HOSTNAME HOSTTYPE IFS LINENO LINES MACHTYPE OLDPWD OPTARG OPTERR OPTIND OSTYPE
  PIPESTATUS PPID PS1 PS2 PS4 PWD RANDOM REPLY SECONDS SHELL SHELLOPTS SHLVL SRANDOM TMOUT UID`.split(/\s+/);

function run(shell: string, script: string, ...args: string[]): string {
  return execFileSync(shell, ['-c', script, shell, ...args], {
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

it.skipIf(requireOrSkip('names that bash sets', whyMissing('bash', 'bash') ?? whyMissing('dash', 'dash')))(
  'shell refuses the names whose variables would not be what the file says, and no others',
  () => {
    const names = new Set([...documented, ...run('bash', 'compgen -v').trim().split('\n')]);
    const path = join(folder.path, 'names.sh');
    const wrong: string[] = [];
    for (const name of names) {
      writeFileSync(path, `export BEFORE='1'\nexport ${name}='two words'\nexport AFTER='1'\n`);
      const carried = (shell: string): boolean => {
        try {
          const found = run(shell, '. "$1"; exec "$(command -v env)" -0', path).split('\0');
          return found.includes(`${name}=two words`) && found.includes('AFTER=1');
        } catch {
          return false;
        }
      };
      let taken = true;
      try {
        formatFile('shell', { kind: 'fields', fields: new Map([[name, 'two words']]) });
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        taken = false;
      }
      // Splitting words at spaces and running the path of env are the script's, not the variable's.
      if (name === 'PATH') continue;
      if (taken !== (carried('bash') && carried('dash'))) wrong.push(name);
    }
    expect(wrong).toEqual([]);
  },
);
