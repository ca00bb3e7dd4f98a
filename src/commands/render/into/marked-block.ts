import { UsageError } from '../../../core/outcome.ts';
import { closed, lineContent, endedBy, lineEndOf, linesOf, type Line } from './text-lines.ts';

/** Where a block goes, and how its lines begin and end. */
export interface BlockSettings {
  readonly name: string;
  /** What makes a comment of a marker: `#`, or what opens and what closes one. */
  readonly comment: readonly [open: string, close?: string];
  /** The line that it goes after or before where it is not there yet; unset, the end of the file. */
  readonly beside?: { readonly side: 'after' | 'before'; readonly line: string } | undefined;
}

/** A marker of any block, by any comment signs. */
const marker = /^\S+[ \t]+(BEGIN|END) initbox ([A-Za-z0-9._-]+)(?:[ \t]+\S+)?$/;

/** No marker is longer, in characters: comment signs and names are bounded, and lines of a file are not. */
const longestMarker = 512;

interface Marker extends Line {
  readonly kind: 'BEGIN' | 'END';
  readonly name: string;
}

/**
 * Puts a text between two markers, in the place of what stood between them. Every other character stays.
 * @param file as Latin-1, one character for each byte
 * @param text as Latin-1 of its UTF-8
 * @throws UsageError with line numbers, without what is in the lines
 */
export function withBlock(file: string, text: string, settings: BlockSettings, shown: string): string {
  const { name, comment, beside } = settings;
  const end = lineEndOf(file);
  const [own] = markersIn(text);
  if (own !== undefined)
    throw new UsageError(
      `the block ${name}: line ${own.number} of what was rendered is a marker itself, which the next run would take for its own`,
    );
  const [open, close = ''] = comment;
  const mark = (kind: Marker['kind']): string =>
    latin1(`${open} ${kind} initbox ${name}${close === '' ? '' : ` ${close}`}`) + end;
  const block = mark('BEGIN') + endedBy(end, text) + mark('END');
  const there = placeOf(markersIn(file), name, shown);
  if (there !== undefined) return file.slice(0, there.begin.start) + block + file.slice(there.end.next);
  if (beside === undefined) return closed(file, end) + block;
  const line = lineToStandBy(file, beside, shown);
  const at = beside.side === 'after' ? line.next : line.start;
  return closed(file.slice(0, at), end) + block + file.slice(at);
}

function markersIn(text: string): readonly Marker[] {
  const found: Marker[] = [];
  for (const line of linesOf(text)) {
    if (line.next - line.start > longestMarker) continue;
    const [, kind, name = ''] = marker.exec(text.slice(line.start, line.next).trim()) ?? [];
    if (kind !== undefined) found.push({ ...line, kind: kind as Marker['kind'], name });
  }
  return found;
}

/** The lines of the two markers; undefined where there are none. @throws UsageError where they are no pair */
function placeOf(
  all: readonly Marker[],
  name: string,
  shown: string,
): { readonly begin: Marker; readonly end: Marker } | undefined {
  const own = all.filter((one) => one.name === name);
  if (own.length === 0) return undefined;
  const at = (markers: readonly Marker[]): string =>
    `${markers.length === 1 ? 'line' : 'lines'} ${markers.map(({ number }) => number).join(', ')}`;
  const say = (what: string): UsageError =>
    new UsageError(`${shown}: ${what}; nothing was written: mend the file, or use another name`);
  const begins = own.filter(({ kind }) => kind === 'BEGIN');
  const ends = own.filter(({ kind }) => kind === 'END');
  if (begins.length > 1 || ends.length > 1)
    throw say(
      `the block ${name} is there more than once: it begins at ${at(begins)} and ends at ${at(ends)}`,
    );
  const [begin] = begins;
  const [end] = ends;
  if (begin === undefined) throw say(`the block ${name} ends at ${at(ends)}, and begins nowhere`);
  if (end === undefined) throw say(`the block ${name} begins at ${at(begins)}, and ends nowhere`);
  if (end.number < begin.number)
    throw say(`the block ${name} ends at ${at(ends)}, before it begins at ${at(begins)}`);
  const inside = all.filter(({ number }) => number > begin.number && number < end.number);
  if (inside.length > 0)
    throw say(`the block ${name} has a marker of the block ${inside[0]!.name} in it, at ${at(inside)}`);
  return { begin, end };
}

function lineToStandBy(
  file: string,
  { side, line }: NonNullable<BlockSettings['beside']>,
  shown: string,
): Line {
  const wanted = latin1(line.trim());
  const found: Line[] = [];
  for (const one of linesOf(file)) if (lineContent(file, one).trim() === wanted) found.push(one);
  const [first] = found;
  if (first === undefined)
    throw new UsageError(
      `${shown}: no line is the one that --${side} names; it is compared whole, without blanks around it`,
    );
  if (found.length === 1) return first;
  const numbers = found.slice(0, 10).map(({ number }) => number);
  throw new UsageError(
    `${shown}: lines ${numbers.join(', ')}${found.length > 10 ? ', …' : ''} are all the one that --${side} names; name one that is there once`,
  );
}

function latin1(text: string): string {
  return Buffer.from(text).toString('latin1');
}
