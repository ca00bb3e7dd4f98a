import type { Context } from '../../core/context.ts';
import { flagName, type Options } from '../../core/options/option.ts';
import { UsageError } from '../../core/outcome.ts';
import type { AnyKind, OpenTarget } from './kind.ts';

/**
 * Names a kind's options as somebody wrote them, who gave parameters of a target: what is shared with the commands says
 * `--ca-file`. Left alone is what is a flag here, too, and whole command lines that a text proposes.
 */
export interface Spelling {
  text(text: string): string;
  /** Whatever opens a target, with its mistakes and warnings. @throws what it throws, in these words */
  opened(context: Context, open: (context: Context) => OpenTarget | Promise<OpenTarget>): Promise<OpenTarget>;
}

export function spellingOf({ options }: AnyKind): Spelling {
  const names = new Set(Object.entries(options as Options).map(([name, option]) => flagName(name, option)));
  const spelled = (text: string): string =>
    text.replaceAll(
      // A value behind it is one as `--redirects 1` has it, and `--for condition=Ready`.
      /(?<!initbox wait-.*)(?<![\w-])--([a-z][a-z0-9-]*)( (?=\d|[^\s,;:]*=|exists\b|delete\b|ended\b))?/g,
      (written, name: string, blank?: string) =>
        names.has(name) ? `${name}${blank === undefined ? '' : '='}` : written,
    );
  return {
    text: spelled,
    async opened(context, open) {
      const { log } = context;
      const warn: typeof log.warn = (message, fields) => log.warn(spelled(message), fields);
      try {
        const target = await open({ ...context, log: { ...log, warn } });
        return { ...target, attempt: hinting(target.attempt, spelled) };
      } catch (error) {
        if (error instanceof UsageError) throw new UsageError(error.lines.map(spelled));
        throw error;
      }
    },
  };
}

/** Hints alone are our own words throughout; a reason may quote the server. */
function hinting(attempt: OpenTarget['attempt'], spelled: (text: string) => string): OpenTarget['attempt'] {
  return async (probe) => {
    const answer = await attempt(probe);
    if (answer.state === 'satisfied' || answer.hint === undefined) return answer;
    return { ...answer, hint: spelled(answer.hint) };
  };
}
