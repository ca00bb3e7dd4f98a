import type { HttpResponse } from '../../clients/http/transport.ts';
import { asObject, JsonFault, parseJson } from '../../config/json.ts';
import { JsonNumber, type FieldValue } from '../../config/source.ts';
import { withoutByteOrderMark } from '../../core/byte-order-mark.ts';
import type { Clock } from '../../core/clock.ts';
import { excerpt } from '../../core/excerpt.ts';
import { patternSearch, patternTime } from '../../core/pattern.ts';
import { headerHolds, type HeaderExpectation } from './header.ts';
import { equals, resolvePointer, type JsonExpectation } from './pointer.ts';
import { includes, statusWords, type StatusRange } from './status.ts';
import { moreValues } from './values.ts';

/** What must all hold of one and the same response. */
export interface Expectations {
  readonly statuses: readonly StatusRange[];
  readonly headers: readonly HeaderExpectation[];
  readonly texts: readonly string[];
  readonly patterns: readonly RegExp[];
  readonly json: readonly JsonExpectation[];
  /** Values that the JSON may have. */
  readonly mostValues: number;
}

/** Characters of a text that are shown in a reason. */
const shown = 60;

export function looksAtBody({ texts, patterns, json }: Expectations): boolean {
  return texts.length + patterns.length + json.length > 0;
}

/** How faults are looked for and told. */
interface Manner {
  /** Values of the body are not shown. */
  readonly discreet: boolean;
  readonly clock: Clock;
  readonly redact: (text: string) => string;
}

/**
 * What does not hold, in words after "answered 200": empty where all of it does.
 * `discreet` is for bodies whose values may be secret.
 */
export async function faultsOf(
  response: HttpResponse,
  expectations: Expectations,
  { discreet, clock, redact }: Manner,
): Promise<readonly string[]> {
  const faults: string[] = [];
  const cut: Cut = (part) => excerpt(part, shown, redact);
  // What else is wrong with it comes from that.
  if (!includes(expectations.statuses, response.status)) return [`not ${statusWords(expectations.statuses)}`];
  for (const expected of expectations.headers) {
    if (headerHolds(response.headers, expected)) continue;
    const value = expected.value === undefined ? '' : `: ${expected.value}`;
    faults.push(`without the header ${cut(`${expected.name}${value}`)}`);
  }
  if (!looksAtBody(expectations)) return faults;
  const encoding = response.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity')
    return [...faults, `a body in ${cut(encoding)}, which was not asked for`];
  const text = withoutByteOrderMark(response.body.toString('utf8'));
  for (const part of expectations.texts)
    if (!text.includes(part)) faults.push(`a body without ${JSON.stringify(cut(part))}`);
  faults.push(...(await patternFaults(text, expectations.patterns, clock, cut)));
  faults.push(...jsonFaults(text, expectations, discreet, cut));
  return faults;
}

type Cut = (text: string) => string;

async function patternFaults(
  text: string,
  patterns: readonly RegExp[],
  clock: Clock,
  cut: Cut,
): Promise<string[]> {
  const faults: string[] = [];
  const search = patternSearch(clock);
  for (const pattern of patterns) {
    const found = await search(pattern, text);
    if (found === undefined)
      return [...faults, `${cut(String(pattern))} took longer than ${patternTime}ms on its body`];
    if (!found) faults.push(`a body that does not match ${cut(String(pattern))}`);
  }
  return faults;
}

function jsonFaults(
  text: string,
  { json: expected, mostValues }: Expectations,
  discreet: boolean,
  cut: Cut,
): string[] {
  if (expected.length === 0) return [];
  let document: FieldValue;
  try {
    document = parseJson(text, { repeatedKeys: true, most: mostValues });
  } catch (error) {
    if (error instanceof JsonFault && error.kind === 'values')
      return [`JSON of ${moreValues(mostValues)} in its body`];
    return [
      text.trim() === ''
        ? 'an empty body instead of JSON'
        : `no JSON in its body (${(error as Error).message})`,
    ];
  }
  return expected.flatMap(({ pointer, tokens, wanted }) => {
    const value = resolvePointer(document, tokens);
    const where = pointer === '' ? 'its JSON' : cut(pointer);
    if (value === undefined) return [`nothing at ${where} of its JSON`];
    if (wanted === undefined || equals(value, wanted)) return [];
    return [
      `${where} ${discreet ? 'something else than' : `${kindOf(value, cut)}, not`} ${JSON.stringify(cut(wanted))}`,
    ];
  });
}

function kindOf(value: FieldValue, cut: Cut): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (asObject(value) !== undefined) return 'an object';
  // A text is redacted as it is, and not with JSON's escapes in it.
  if (typeof value === 'string') return JSON.stringify(cut(value));
  return cut(JSON.stringify(value instanceof JsonNumber ? Number(value.text) : value));
}
