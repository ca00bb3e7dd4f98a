import { UsageError } from '../core/outcome.ts';
import { anything, effectsOf, type Effects } from './effects.ts';
import { split, type Statement } from './split.ts';

/** What the statements of a part tell of the comments in it. */
export interface Evidence {
  /**
   * True between statements, or in one, of which the later takes away or sets anew what the earlier makes; or makes what
   * the earlier takes away.
   * @param restores false where that last one does not count
   */
  takenBack(at: number, restores: boolean): boolean;
  /** True in a body of statements that BEGIN ATOMIC begins, as in a `$$` body. */
  inBody(at: number): boolean;
  /** True between the first and the last word of a statement. */
  inStatement(at: number): boolean;
  /** False where the part cannot be cut into statements to its end. */
  readonly whole: boolean;
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Names that the server makes from a table's: users_pkey, t_x_idx, users_id_seq. */
const madeByServer = /_(?:pkey|key|fkey|idx|seq|check|excl|not_null)\d*$/;

/**
 * Reads the statements of a part. What cannot be cut into statements is refused before it runs, so that the reading ends
 * there.
 * @param text as Latin-1
 */
export function evidenceIn(text: string, where: string, from: number, to: number): Evidence {
  const made = new Map<string, number>();
  const bases = new Map<string, number>();
  const lost = new Map<string, number>();
  const routines = new Map<string, Effects>();
  const taken: Span[] = [];
  const restored: Span[] = [];
  const bodies: Span[] = [];
  const statements: Span[] = [];
  let whole = true;
  const cut = (): void => void (whole = false);
  for (const { start, end, words } of statementsIn(text, where, from, to, undefined, cut)) {
    statements.push({ from: start, to: end });
    if (words.includes('ATOMIC')) {
      const body = text.slice(start, end).search(/\bbegin\s+atomic\b/i);
      if (body >= 0) bodies.push({ from: start + body, to: end });
    }
    const effects = effectsOf(text.slice(start, end), routines);
    const [firstMade] = made.values();
    for (const name of effects.takes) {
      const ends = [made.get(name), name.includes(' ') ? undefined : made.get(anything)];
      if (name === anything) ends.push(firstMade);
      if (madeByServer.test(name)) ends.push(...beginningsOf(name).map((base) => bases.get(base)));
      for (const at of ends) if (at !== undefined) taken.push({ from: at, to: end });
    }
    for (const name of effects.makes) {
      const at = lost.get(name);
      if (at !== undefined) restored.push({ from: at, to: end });
    }
    for (const [names, known] of [
      [effects.makes, made],
      [effects.bases, bases],
      [effects.lost, lost],
    ] as const)
      for (const name of names) if (!known.has(name)) known.set(name, end);
  }
  const holds = (spans: readonly Span[], at: number): boolean =>
    spans.some((span) => at >= span.from && at < span.to);
  const [away, again] = [merged(taken), merged(restored)];
  return {
    takenBack: (at, restores) => holds(away, at) || (restores && holds(again, at)),
    inBody: (at) => holds(bodies, at),
    inStatement: (at) => holdsSorted(statements, at),
    whole,
  };
}

function beginningsOf(name: string): string[] {
  return [...name.matchAll(/_/g)].map(({ index }) => name.slice(0, index));
}

/** The statements up to what cannot be cut. */
export function* statementsIn(
  text: string,
  where: string,
  from: number,
  to: number,
  comment?: (at: number) => void,
  failed?: () => void,
): Generator<Statement> {
  const part = to === text.length ? text : text.slice(0, to);
  try {
    yield* split(part, where, true, from, comment);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    failed?.();
  }
}

function holdsSorted(spans: readonly Span[], at: number): boolean {
  let [low, high] = [0, spans.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((spans[middle] as Span).to <= at) low = middle + 1;
    else high = middle;
  }
  return at >= (spans[low]?.from ?? Infinity);
}

/** Overlapping spans as one, so that a file of a thousand drops is not gone over for each comment. */
function merged(spans: readonly Span[]): Span[] {
  const result: Span[] = [];
  for (const span of spans.toSorted((a, b) => a.from - b.from)) {
    const last = result.at(-1);
    if (last !== undefined && span.from <= last.to)
      result[result.length - 1] = { from: last.from, to: Math.max(last.to, span.to) };
    else result.push(span);
  }
  return result;
}
