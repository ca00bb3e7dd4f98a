import { nearest } from '../../../clients/nearest.ts';
import { consulTemplateDelimiters } from '../delimiters.ts';
import type { Compiled, Data, Made, Problems, ReadWhileRendering } from '../language.ts';
import { lineAndColumn } from '../line-and-column.ts';
import type { RenderOptions } from '../options.ts';
import { callChecker, lookThrough } from './calls.ts';
import { evaluate } from './evaluate.ts';
import type { TemplateScene } from './function.ts';
import { TemplateFault, type ParsedTemplate } from './nodes.ts';
import { parseGoTemplate } from './parse.ts';
import { Absence, valueOf, type Value } from './values.ts';

/** To consul-template the dot is nothing at the beginning. */
const noData = new Absence('no data is given; write --data NAME=… or --var NAME=…');

/** The language `consul-template`, which is Vault Agent's as well. */
export function consulTemplateCompiler(
  { delimiters }: Pick<RenderOptions, 'delimiters'>,
  scene: TemplateScene,
  signal: AbortSignal,
): (text: string) => Compiled | Problems {
  const checkCall = callChecker(scene.environment, nearest);
  return (text) => {
    const told = (faults: readonly TemplateFault[]): Problems => {
      const sorted = faults.toSorted((one, other) => one.offset - other.offset);
      return {
        problems: [
          ...new Set(sorted.map(({ offset, message }) => `${lineAndColumn(text, offset)}: ${message}`)),
        ],
      };
    };
    try {
      const faults: TemplateFault[] = [];
      const parsed = parseGoTemplate(text, consulTemplateDelimiters(delimiters), checkCall, faults);
      const reads = lookThrough(parsed, scene, faults);
      if (faults.length > 0) return told(faults);
      return {
        reads,
        async render(data, read) {
          try {
            return await render(parsed, text, data, read, told);
          } catch (error) {
            if (error instanceof TemplateFault) return told([error]);
            throw error;
          }
        },
      };
    } catch (error) {
      if (error instanceof TemplateFault) return told([error]);
      throw error;
    }
  };

  async function render(
    parsed: ParsedTemplate,
    text: string,
    data: Data,
    read: ReadWhileRendering,
    told: (faults: readonly TemplateFault[]) => Problems,
  ): Promise<Made | Problems> {
    const given = new Map<string, Value>();
    for (const [name, { value }] of data.entries) given.set(name, valueOf(value, false));
    const ordinary = [text, ...Object.values(scene.environment)].join('\n');
    const concealed = new Set<string>();
    const conceal = (address: string): void => {
      if (!concealed.has(address)) concealPieces(address, ordinary, scene.secret);
      concealed.add(address);
    };
    const evaluation = evaluate(parsed, given.size > 0 ? given : noData, scene, conceal);
    let next = evaluation.next();
    while (next.done !== true) {
      const ask = next.value;
      if (ask === undefined) await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
      let answer: Value;
      try {
        answer = ask === undefined ? null : await ask.answer({ signal, read });
      } catch (error) {
        next = evaluation.throw(error);
        continue;
      }
      next = evaluation.next(answer);
    }
    const { pieces, faults } = next.value;
    if (faults.length > 0) return told(faults);
    if (pieces.every((piece) => typeof piece === 'string')) return { text: pieces.join('') };
    const bytes = Buffer.concat(
      pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece)),
    );
    return { text: bytes.toString(), bytes };
  }
}

/** Shorter pieces of an address tell nothing. */
const shortestPiece = 3;

/**
 * Registers the pieces of an address that a template makes of values: they may come out of a secret, of which the redactor knows the
 * whole, and messages and hints show an address in pieces.
 * @param ordinary what a piece stands in that is not hidden
 */
function concealPieces(address: string, ordinary: string, secret: (value: string) => void): void {
  const pieces = address.split(/[/?#&=@,:\s]+/).filter((piece) => piece.length >= shortestPiece);
  for (const piece of new Set([address, ...pieces])) if (!ordinary.includes(piece)) secret(piece);
}
