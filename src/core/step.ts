import type { AnyCommand } from './command.ts';
import type { Context } from './context.ts';
import type { Fields, LogFormat, LogLevel } from './log.ts';
import { resolveOptions, type Given, type ReadSecret } from './options/resolve-options.ts';
import type { Outcome } from './outcome.ts';
import { outcomeOfError } from './unexpected-error.ts';

/** What a step of a plan hands to one of the program's own commands; each value knows its line. */
export interface StepInput {
  readonly options: readonly (readonly [string, readonly Given[]])[];
  readonly positionals: readonly Given[];
  /** What would stand after `--`. */
  readonly words: readonly string[] | undefined;
  /** Whether the plan says how long it may take. */
  readonly limited: boolean;
}

/** A user to become; without `gid` the group stays. */
export interface StepUser {
  readonly uid: number;
  readonly gid: number | undefined;
}

/** What a process that carries out one step of a plan is told by the one that started it. */
export interface StepRequest {
  readonly user: StepUser;
  readonly work:
    | { readonly kind: 'own'; readonly command: string; readonly input: StepInput }
    | { readonly kind: 'any'; readonly command: readonly string[] };
  /** Milliseconds, 0 for none, and where that was said. */
  readonly limit: number;
  readonly limitOrigin: string;
  readonly log: { readonly format: LogFormat; readonly level: LogLevel; readonly fields: Fields };
}

/** The first word of the command line of such a process; it does nothing unless its parent speaks to it. */
export const stepWord = 'plan-step';

/**
 * Runs a command as a step: no variable stands in for an option that the plan leaves out.
 * What it throws comes back as an outcome.
 */
export async function performStep(
  command: AnyCommand,
  input: StepInput,
  context: Context,
  readSecret: ReadSecret,
): Promise<Outcome> {
  try {
    const options = resolveOptions(command.options, new Map(input.options), {}, context.redactor, readSecret);
    const positionals: unknown = command.positionals?.parse(input.positionals, (value: string) => {
      context.redactor.secret(value);
    });
    const { words, limited } = input;
    return await command.run({ options, positionals, command: words, limited, inPlan: true }, context);
  } catch (error) {
    return outcomeOfError(error, context.log);
  }
}
