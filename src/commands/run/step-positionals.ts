import type { AnyCommand } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import type { Given } from '../../core/options/resolve-options.ts';
import { UsageError } from '../../core/outcome.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { secretWords } from './secrets.ts';
import type { StepShape } from './shape.ts';

/**
 * Reads what belongs to no option. Where some of it is missing or of the wrong kind, only what is wrong with the rest
 * counts, and not how many there are.
 */
export function readPositionals(
  command: AnyCommand,
  positionals: readonly Given[],
  {
    literal,
    shape: { lost, values },
    context: { redactor },
    guarded,
  }: {
    readonly literal: ReadonlySet<string>;
    readonly shape: StepShape;
    readonly context: Pick<Context, 'redactor'>;
    readonly guarded: <T>(action: () => T) => T | undefined;
  },
): readonly [unknown] | undefined {
  const read = (): readonly [unknown] => [parsePositionals(command, positionals, literal, redactor)];
  if (!lost.includes('positional')) return guarded(read);
  // Without the first of several keys, what follows it would be read in its place.
  const several = command.positionals?.keys !== undefined;
  if (
    several &&
    !values.some(({ key, texts }) => key.kind === 'positional' && key.index === 0 && texts.length > 0)
  )
    return undefined;
  return guarded(() => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      const own = error.lines.filter((line) => positionals.some(({ origin }) => line.startsWith(origin)));
      if (own.length > 0) throw new UsageError(own);
      return undefined;
    }
  });
}

/** The command's own reader knows a password that it finds; in the text of a plan none may stand. */
function parsePositionals(
  command: AnyCommand,
  positionals: readonly Given[],
  written: ReadonlySet<string>,
  redactor: Redactor,
): unknown {
  const secrets = new Set<string>();
  const parsed: unknown = command.positionals?.parse(positionals, (secret: string, origin: string) => {
    redactor.secret(secret);
    if (written.has(origin)) secrets.add(origin);
  });
  if (secrets.size > 0)
    throw new UsageError([...secrets].map((origin) => `${origin}: ${secretWords('a password')}`));
  return parsed;
}
