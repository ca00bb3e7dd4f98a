import { Context, Liquid, LiquidError, type Template } from 'liquidjs';

import { reasonOf } from '../core/clock.ts';

/** Liquid by liquidjs: it interprets an expression language of its own and makes no code of a template. */

export interface LiquidDelimiters {
  readonly output: readonly [open: string, close: string];
  readonly tag: readonly [open: string, close: string];
}

export interface LiquidSettings {
  /** Undefined for `{{ }}` and `{% %}`. */
  readonly delimiters: LiquidDelimiters | undefined;
  /** By name; what they throw is the problem's text. */
  readonly filters: Readonly<Record<string, (value: unknown) => string>>;
  /** Looks at every value that is put out; throws where it is none that a text can hold. */
  readonly output: (value: unknown) => string;
  /** UTF-16 units that one template's output may have. */
  readonly largest: number;
  /** Milliseconds that one template may take. */
  readonly longest: number;
  /** Ends the rendering with its reason. */
  readonly signal: AbortSignal;
}

/** One thing that is wrong with a template. */
export interface LiquidIssue {
  readonly line: number;
  readonly column: number;
  readonly message: string;
}

/** Why a template cannot be read or rendered. */
export class LiquidProblem extends Error {
  override readonly name = 'LiquidProblem';
  readonly issues: readonly LiquidIssue[];

  constructor(issues: readonly LiquidIssue[], cause: unknown) {
    super(issues[0]?.message, { cause });
    this.issues = issues;
  }
}

/** A template that was read. */
export interface LiquidTemplate {
  /** @throws LiquidProblem with all that is not there, or the first other thing that is wrong; the signal's reason */
  render(data: Readonly<Record<string, unknown>>): Promise<string>;
}

/** What our filters and guards say: it may be shown as it is, while the engine's messages may hold values. */
class OwnWords extends Error {
  override readonly name = 'OwnWords';
}

const engineErrors = [RangeError, TypeError, SyntaxError, URIError, ReferenceError];

function inOwnWords(action: (value: unknown) => string): (value: unknown) => string {
  return (value) => {
    try {
      return action(value);
    } catch (error) {
      // The engine's own (a TypeError, a RangeError) are no words for people.
      if (!(error instanceof Error) || engineErrors.some((kind) => error instanceof kind)) throw error;
      throw new OwnWords(error.message, { cause: error });
    }
  };
}

/** Elements and characters that one template's ranges, lists and filters may make together. */
const memory = 1 << 22;

/** These read other templates by name. A template stands alone: what it is made of is named on the command line. */
const withoutFiles = ['include', 'render', 'layout', 'block'];

/** Makes a reader of templates. */
export function createLiquid(settings: LiquidSettings): (text: string) => LiquidTemplate {
  const { delimiters } = settings;
  const engine = new Liquid({
    strictFilters: true,
    strictVariables: true,
    // `{% if name %}` and `default` are for what may not be there.
    lenientIf: true,
    // No property that the data itself does not have: no constructor, no prototype.
    ownPropertyOnly: true,
    catchAllErrors: true,
    memoryLimit: memory,
    parseLimit: settings.largest,
    renderLimit: settings.longest,
    // Lookups end here and not in the file system.
    templates: {},
    outputEscape: inOwnWords(settings.output),
    ...(delimiters && {
      outputDelimiterLeft: delimiters.output[0],
      outputDelimiterRight: delimiters.output[1],
      tagDelimiterLeft: delimiters.tag[0],
      tagDelimiterRight: delimiters.tag[1],
    }),
  });
  for (const name of withoutFiles) delete engine.tags[name];
  for (const [name, filter] of Object.entries(settings.filters))
    engine.registerFilter(name, inOwnWords(filter));
  return (text) => {
    let templates: Template[];
    try {
      templates = engine.parse(text);
    } catch (error) {
      throw problemOf(error, text);
    }
    return {
      async render(data) {
        try {
          return await render(engine, templates, data, settings);
        } catch (error) {
          throw problemOf(error, text);
        }
      },
    };
  };
}

async function render(
  engine: Liquid,
  templates: Template[],
  data: object,
  { largest, signal }: LiquidSettings,
): Promise<string> {
  const context = new Context(data, engine.options, { sync: true }, { liquid: engine });
  // The engine's own emitters know no limit.
  const emitter = {
    buffer: '',
    // Texts of the template, and what the output's guard has made a text.
    write(text: string) {
      if (this.buffer.length + text.length > largest)
        throw new OwnWords(`the output has more than ${largest} characters (--max-size)`);
      this.buffer += text;
    },
  };
  await driven(engine.renderer.renderTemplates(templates, context, emitter), signal);
  return emitter.buffer;
}

/** Milliseconds of rendering between two looks at the signal. */
const slice = 10;

/**
 * Runs the engine's generators, which yield each other, to their end. The engine's own way does so in one go, and
 * nothing is heard meanwhile.
 */
async function driven(first: unknown, signal: AbortSignal): Promise<void> {
  const stack: Iterator<unknown>[] = isIterator(first) ? [first] : [];
  let value: unknown;
  let thrown = false;
  let until = performance.now() + slice;
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    if (performance.now() >= until) {
      await new Promise((resolve) => setImmediate(resolve));
      if (signal.aborted) throw reasonOf(signal);
      until = performance.now() + slice;
    }
    try {
      const state: IteratorResult<unknown> | undefined = thrown ? top.throw?.(value) : top.next(value);
      thrown = false;
      value = state?.value;
      if (state?.done !== false) stack.pop();
    } catch (error) {
      stack.pop();
      if (stack.length === 0) throw error;
      thrown = true;
      value = error;
      continue;
    }
    if (isIterator(value)) {
      stack.push(value);
      value = undefined;
    }
  }
}

/** As the engine tells its generators from other values. */
function isIterator(value: unknown): value is Iterator<unknown> {
  const { next, throw: raise, return: end } = (value ?? {}) as Partial<Iterator<unknown>>;
  return [next, raise, end].every((method) => typeof method === 'function');
}

function problemOf(error: unknown, text: string): unknown {
  const issues = issuesOf(error, text);
  return issues === undefined ? error : new LiquidProblem(issues, error);
}

/** What the engine's RangeErrors mean, of the stack or of a string. */
const tooLarge = 'it is nested too deeply, or its output is too long';

/** LiquidErrors, which catchAllErrors throws, holds the others; blocks nest them. */
function issuesOf(error: unknown, text: string, outer?: Place): LiquidIssue[] | undefined {
  if (error instanceof RangeError) return [{ line: 1, column: 1, message: tooLarge }];
  // A limit that is passed between two tags has no place.
  if (error instanceof Error && error.name === 'AssertionError')
    return [{ line: 1, column: 1, message: wordsOf(error.message, undefined) }];
  if (!LiquidError.is(error)) return undefined;
  const inner = (error as { errors?: readonly unknown[] }).errors;
  if (inner !== undefined) return inner.flatMap((one) => issuesOf(one, text, outer) ?? []);
  const { token, originalError } = error as unknown as { token: Place; originalError?: unknown };
  // Filters such as where and where_exp read a value as an expression: its places and words are those of the value.
  const own = token.input === text ? token : undefined;
  if (LiquidError.is(originalError)) {
    const deeper = issuesOf(originalError, text, own ?? outer);
    if (deeper !== undefined && deeper.length > 0) return deeper;
  }
  const [line, column] = (own ?? outer)?.getPosition() ?? [1, 1];
  const message =
    originalError instanceof OwnWords
      ? originalError.message
      : originalError instanceof RangeError
        ? tooLarge
        : wordsOf(originalError instanceof Error ? originalError.message : error.message, own?.getText());
  return [{ line, column, message }];
}

interface Place {
  /** The whole text that was read: a template's, or a value that a filter takes for an expression. */
  readonly input: string;
  getPosition(): [line: number, column: number];
  /** The tag or output itself, as the template has it. */
  getText(): string;
}

/** By what the engine's sentence is about: its own words quote the template and its data. */
const sentences: readonly (readonly [about: RegExp, words: string])[] = [
  [/^memory alloc limit/, `its ranges, lists and filters make more than ${memory} elements or characters`],
  [/^template render limit/, 'it takes too long to render'],
  [/^parse length limit/, 'it is too long'],
  [
    /tag name expected|illegal liquid tag syntax|^illegal tag/,
    'a tag begins here without a valid name or argument',
  ],
  [/^output .* not closed$/s, 'the output that begins here is not closed'],
  [/ not closed$/s, 'a bracket, quote or tag that begins here is not closed'],
  [/filter/, 'a filter is written | NAME, or | NAME: ARGUMENT'],
  [/range|parenthes/, 'a range is written (FIRST..LAST)'],
  [/variable name|expected "="/, 'an assignment is written NAME = VALUE'],
  [/else/, 'there is a second else, or something after it that must come before'],
  [/inline comment/, 'every line of a comment in {% # %} begins with #'],
  [
    /expression|unexpected token|unexpected character|candidates/,
    'a value is missing here, or something unexpected follows it',
  ],
  [/base64/, 'the value to decode is not valid base64'],
];

/**
 * Names that the template itself has at that place are shown; a name that was made of data (`db[key]`) may be a value.
 * @param template the text at that place; undefined where it is not the template's
 */
function wordsOf(message: string, template: string | undefined): string {
  const plain = message.replace(/, (file:.*|line:\d+, col:\d+)$/s, '');
  const tag = /^tag "(\w+)" not found$/.exec(plain)?.[1];
  if (tag !== undefined)
    return withoutFiles.includes(tag)
      ? `the tag "${tag}" is not supported: a template cannot read other files`
      : `there is no tag "${tag}"`;
  const open = /^tag \W*(\w+).* not closed$/s.exec(plain)?.[1];
  if (open !== undefined && template?.includes(open)) return `the tag "${open}" is not closed`;
  const filter = /^undefined filter: (\w+)$/.exec(plain)?.[1];
  if (filter !== undefined)
    return template !== undefined && new RegExp(String.raw`\|\s*${filter}(?!\w)`).test(template)
      ? `there is no filter "${filter}"`
      : 'unknown filter: its name comes from a value';
  const variable = /^undefined variable: (.*)$/s.exec(plain)?.[1];
  if (variable !== undefined)
    return template !== undefined && isWritten(variable, template)
      ? `undefined variable: ${variable}`
      : 'undefined variable: its name comes from a value';
  return (
    sentences.find(([about]) => about.test(plain))?.[1] ??
    'this is not valid Liquid, or fails with these values'
  );
}

/** True where a template has `a.b` as it is, or as `a["b"]`. */
function isWritten(variable: string, template: string): boolean {
  const [first = '', ...more] = variable.split('.').map((part) => RegExp.escape(part));
  const keys = more.map(
    (key) => String.raw`\s*(?:\.\s*${key}(?![\w-])|\[\s*(?:"${key}"|'${key}'|${key})\s*\])`,
  );
  return new RegExp(String.raw`(?<![\w.-])${first}(?![\w-])${keys.join('')}`).test(template);
}
