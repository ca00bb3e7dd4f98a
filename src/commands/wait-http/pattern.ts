/** Milliseconds that the patterns of one answer may take together: nothing else runs meanwhile, no deadline, no signal. */
export const patternTime = 100;

/** @throws Error that says what is wrong with it */
export function parsePattern(text: string): RegExp {
  try {
    return new RegExp(text, 'u');
  } catch (error) {
    // `Invalid regular expression: /PATTERN/u: WHY`; the pattern may hold a secret, in pieces.
    const why = /\/u: ([\\A-Za-z][A-Za-z{} -]+)$/.exec((error as Error).message)?.[1] ?? 'it cannot be read';
    throw new Error(`${why}; it is a regular expression as JavaScript has them, with the flag u`, {
      cause: error,
    });
  }
}

/**
 * Finds a pattern in a text from outside. Node's engine backtracks, and a pattern such as (a+)+$ may take it years: V8
 * is stopped after the time given.
 * @returns undefined where it took too long
 */
export async function matchesWithin(
  pattern: RegExp,
  text: string,
  milliseconds: number,
): Promise<boolean | undefined> {
  const { Script } = await import('node:vm');
  try {
    return new Script('pattern.test(text)').runInNewContext(
      { pattern, text },
      { timeout: Math.max(1, Math.round(milliseconds)) },
    ) as boolean;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return undefined;
    throw error;
  }
}
