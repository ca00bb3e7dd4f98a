import { table } from './statistics.ts';

/** One figure that was measured, and what it is held against. */
export interface Figure {
  readonly what: string;
  readonly measured: number;
  readonly unit: '×' | 'ms' | 'MiB' | '';
  /** The most that it may be; unset where nothing was promised. */
  readonly bound?: number;
  /** The other tool that a ratio is to; unset where it is the price of a start, a machine's or the like. */
  readonly peer?: string;
}

export interface Plot {
  readonly title: string;
  /** `points` shows every value of a series in a line of its own, `bars` one value for each of `groups`. */
  readonly kind: 'points' | 'bars';
  readonly unit: string;
  readonly groups?: readonly string[];
  readonly series: readonly { readonly name: string; readonly values: readonly (number | null)[] }[];
}

/** What a benchmark found, in the order in which it found it. */
export type Part =
  | { readonly kind: 'words'; readonly text: string }
  | { readonly kind: 'table'; readonly head: readonly string[]; readonly rows: readonly Row[] }
  | ({ readonly kind: 'figure' } & { readonly figure: Figure })
  | { readonly kind: 'plot'; readonly plot: Plot }
  | { readonly kind: 'skipped'; readonly why: string };

export type Row = readonly (string | number)[];

/** Prints what a benchmark finds as it finds it, and keeps it for the page. */
export interface Report {
  readonly parts: readonly Part[];
  /** A paragraph in Markdown. */
  say(text: string): void;
  table(head: readonly string[], rows: readonly Row[]): void;
  figure(figure: Figure): void;
  plot(plot: Plot): void;
  skip(why: string): void;
}

export function openReport(print: (text: string) => void): Report {
  const parts: Part[] = [];
  const add = (part: Part): void => {
    parts.push(part);
    const text = partText(part);
    if (text !== '') print(`${text}\n`);
  };
  return {
    parts,
    say: (text) => add({ kind: 'words', text }),
    table: (head, rows) => add({ kind: 'table', head, rows }),
    figure: (figure) => add({ kind: 'figure', figure }),
    plot: (plot) => add({ kind: 'plot', plot }),
    skip: (why) => add({ kind: 'skipped', why }),
  };
}

/** A part in Markdown; a plot has no text. */
export function partText(part: Part): string {
  if (part.kind === 'words') return part.text;
  if (part.kind === 'table') return table(part.head, part.rows);
  if (part.kind === 'figure') return `- ${subject(part.figure)}: ${figureText(part.figure)}`;
  return part.kind === 'skipped' ? `Skipped: ${part.why}.` : '';
}

/** What was measured, and against what. */
export function subject({ what, peer }: Figure): string {
  return peer === undefined ? what : `${what}, against ${peer}`;
}

/** `0.84× (bound 0.85×, reached)` */
export function figureText(figure: Figure): string {
  const { measured, unit, bound } = figure;
  const value = withUnit(measured, unit);
  return bound === undefined
    ? value
    : `${value} (bound ${withUnit(bound, unit)}, ${reached(figure) ? 'reached' : 'missed'})`;
}

/** Whether a figure is within its bound. */
export function reached({ measured, bound }: Figure): boolean {
  return bound === undefined || measured <= bound;
}

/** A value as it is written: ratios with two digits after the point, small ones with three. */
export function withUnit(value: number, unit: Figure['unit']): string {
  if (unit === '×') return `${value.toFixed(value < 0.1 ? 3 : 2)}×`;
  return `${value.toFixed(value < 10 && !Number.isInteger(value) ? 1 : 0)} ${unit}`.trim();
}
