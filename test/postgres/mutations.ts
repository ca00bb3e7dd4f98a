// What can be wrong with a server's answer: on top of bytes and lengths, values that are no values of their column.
import type { Random } from '../chaos/random.ts';
import { dataRow, message, report } from '../integration/clients/postgres/messages.ts';
import { mutateTurn } from '../integration/clients/postgres/mutate.ts';

/** How an answer is sent. */
export interface Sent {
  readonly messages: Buffer[];
  /** The connection ends after it. */
  ends: boolean;
  /** Milliseconds before it. */
  delay: number;
}

const states = [
  '57P01',
  '57P03',
  '57P05',
  '40001',
  '40P01',
  '53300',
  '53200',
  '42P01',
  '3F000',
  '42501',
  '42704',
  '42601',
  '0A000',
  '25006',
  '25P02',
  '08P01',
  '22P02',
  'XX000',
  '28P01',
  '28000',
  '3D000',
  '00000',
  '55P03',
  '57014',
  '23505',
];

const values = [
  '',
  '0',
  '-1',
  't',
  'f',
  'abc',
  '1.5',
  'NaN',
  '99999999999999999999999',
  '{}',
  '[]',
  '{a,b}',
  '{NULL}',
  '2026-99-99',
  'infinity',
  '-infinity',
  '4714-11-24 00:00:00+00 BC',
  '\u0000',
  'x'.repeat(5000),
  '__proto__',
];

/** The values of a row; undefined where it is none. */
function valuesOf(row: Buffer): (string | null)[] | undefined {
  if (row[0] !== 'D'.charCodeAt(0) || row.length < 7) return undefined;
  const found: (string | null)[] = [];
  let at = 7;
  for (let left = row.readUInt16BE(5); left > 0; left--) {
    if (at + 4 > row.length) return undefined;
    const length = row.readInt32BE(at);
    at += 4;
    found.push(length < 0 ? null : row.toString('utf8', at, at + length));
    at += Math.max(0, length);
  }
  return found;
}

/** Makes one thing of the answer wrong. */
export function mutateAnswer(sent: Sent, random: Random, others: readonly (readonly Buffer[])[]): void {
  const { messages } = sent;
  const kind = random.next();
  const state = (): string => random.pick(states) ?? 'XX000';
  if (kind < 0.3) {
    mutateTurn(messages, random);
  } else if (kind < 0.55) {
    // Another value, or another count of rows: all of it well-formed.
    const rows = [...messages.keys()].filter((index) => valuesOf(messages[index] as Buffer) !== undefined);
    const at = random.pick(rows);
    if (at === undefined) return mutateTurn(messages, random);
    const row = valuesOf(messages[at] as Buffer) as (string | null)[];
    const column = Math.floor(random.between(0, row.length));
    const what = random.next();
    if (what < 0.6) row[column] = random.pick(values) ?? '';
    else if (what < 0.8) row[column] = null;
    else if (what < 0.9) return void messages.splice(at, 1);
    else return void messages.splice(at, 0, messages[at] as Buffer);
    messages[at] = dataRow(row);
  } else if (kind < 0.7) {
    const severity = random.pick(['ERROR', 'FATAL', 'PANIC', 'WARNING']) ?? 'ERROR';
    const said = report('E', `S${severity}\0V${severity}\0C${state()}\0Mrefused by chance\0`);
    const at = Math.floor(random.between(0, messages.length + 1));
    // As a server does it: nothing but ReadyForQuery after an error.
    if (random.next() < 0.6)
      messages.splice(at, messages.length, said, message('Z', random.pick(['I', 'T', 'E']) ?? 'I'));
    else messages.splice(at, 0, said);
    if (severity === 'FATAL' && random.next() < 0.7) sent.ends = true;
  } else if (kind < 0.8) {
    messages.splice(0, messages.length, ...(random.pick(others) ?? []));
  } else if (kind < 0.87) {
    messages.splice(Math.floor(random.between(0, messages.length)), messages.length);
    sent.ends = random.next() < 0.5;
  } else if (kind < 0.92) {
    sent.ends = true;
  } else if (kind < 0.96) {
    sent.delay = random.between(1, 400);
  } else {
    messages.push(message('Z', random.pick(['I', 'T', 'E', 'X']) ?? 'I'));
  }
}
