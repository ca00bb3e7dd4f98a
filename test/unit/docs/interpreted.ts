import { interpret } from '../../../src/cli/interpret.ts';
import { createRedactor } from '../../../src/core/redaction/redactor.ts';

/**
 * Interprets arguments as the program does before it does anything.
 * @returns its warnings; a page's own command lines have none
 * @throws Error where they are wrong
 */
export async function warningsAbout(
  argv: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<readonly string[]> {
  const read = await interpret(argv, environment, createRedactor());
  return read.kind === 'run' ? read.warnings : [];
}
