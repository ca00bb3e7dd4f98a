import { parse, TomlError } from 'smol-toml';

/**
 * Why a text is no TOML 1.0, with line and column and nothing of the text; undefined where it is TOML.
 */
export function tomlProblem(text: string): string | undefined {
  try {
    parse(text);
    return undefined;
  } catch (error) {
    if (error instanceof RangeError) return '1:1: it is nested too deeply';
    if (!(error instanceof TomlError)) throw error;
    // Below the first line the text itself is quoted.
    const [first = ''] = error.message.split('\n', 1);
    return `${error.line}:${error.column}: ${first.replace(/^Invalid TOML document: /, '')}`;
  }
}
