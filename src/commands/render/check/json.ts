import { JsonFault, parseJson } from '../../../config/json.ts';

/** Why a text is not JSON that is accepted, with line and column and nothing of it; undefined where it is. */
export function jsonProblem(text: string): string | undefined {
  try {
    parseJson(text);
    return undefined;
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    const words = error.kind === 'cut' ? 'it ends here, in the middle of the JSON' : error.words;
    return `${error.line}:${error.column}: ${words}`;
  }
}
