import { FormatError, plainText } from '../../../config/formats/entries.ts';
import { envDelimiters } from '../delimiters.ts';
import type { Data, Made, Problems } from '../language.ts';
import { lineAndColumn } from '../line-and-column.ts';
import type { RenderOptions } from '../options.ts';
import { expandTemplate, type VariableLookup, type Missing } from './expand.ts';
import { parseTemplate } from './parse.ts';
import { SyntaxProblem, type Node, type Syntax } from './syntax.ts';

/** The language `env`. */
export function envCompiler({
  delimiters,
  only,
  'max-size': largest,
}: Pick<RenderOptions, 'delimiters' | 'only' | 'max-size'>): (
  text: string,
) => ((data: Data) => Made) | Problems {
  const syntax: Syntax = {
    ...(delimiters === undefined ? { open: '${', close: '}' } : envDelimiters(delimiters)),
    shell: delimiters === undefined,
    only: only.length === 0 ? undefined : new Set(only),
  };
  return (text) => {
    let nodes: readonly Node[];
    try {
      nodes = parseTemplate(text, syntax);
    } catch (error) {
      if (error instanceof SyntaxProblem)
        return { problems: [`${lineAndColumn(text, error.offset)}: ${error.message}`] };
      throw error;
    }
    return (data) => {
      const missing: Missing[] = [];
      const made = expandTemplate(nodes, lookupIn(data), missing);
      if (missing.length > 0) return { problems: problemsOf(missing, text) };
      if (made.length > largest)
        return { problems: [`1:1: what it makes has more than ${largest} characters (--max-size)`] };
      return { text: made };
    };
  };
}

/** One line for each name and reason, at the first place. */
function problemsOf(missing: readonly Missing[], text: string): string[] {
  const groups = Map.groupBy(missing, ({ name, why }) => `${name} is ${why}`);
  return [...groups].map(([words, places]) => {
    const more =
      places.length > 1
        ? `, as at ${lineAndColumn(text, places[1]?.offset ?? 0)}${places.length > 2 ? ` and ${places.length - 2} more` : ''}`
        : '';
    return `${lineAndColumn(text, places[0]?.offset ?? 0)}: ${words}${more}`;
  });
}

function lookupIn({ entries, environment, unreadable }: Data): VariableLookup {
  return (name) => {
    const entry = entries.get(name);
    if (entry === undefined) {
      if (unreadable.has(name)) return { problem: 'not UTF-8 text' };
      return Object.hasOwn(environment, name) ? environment[name] : undefined;
    }
    const { value, from } = entry;
    if (value === null) return { problem: `null (${from})` };
    try {
      return plainText(name, value, 'env');
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      if (Array.isArray(value))
        return {
          problem: `a list (${from}); ?join=, behind a dns: or interface: source makes one text of it, and --language liquid has loops`,
        };
      return { problem: `no text (${from}); name one field of it, or use --language liquid` };
    }
  };
}
