import type { Clock } from '../core/clock.ts';
import { oneLine, redacted } from '../core/log.ts';
import type { BlockLine, Terminal } from '../core/terminal.ts';

/** Milliseconds between two drawings, at least. */
const closest = 125;
/** It is drawn again so often, in milliseconds, while nothing changes: the times in it go on. */
const tick = 1000;
/** Milliseconds without a change of size before it is drawn on the new one: a window that is dragged changes all the time. */
const settled = 250;
/** A timer that is so late, in milliseconds, may follow a stop of the process (^Z), which is heard of after it. */
const late = 500;
/** Fewer columns than this have no room for a name and a reason. */
const narrowest = 20;

/** Sequences of ECMA-48, which every terminal but a dumb one has. */
const clearLine = '\u001b[K';
const clearBelow = '\u001b[J';
const up = (lines: number): string => (lines > 0 ? `\r\u001b[${lines}A` : '\r');

/** Told apart without colours, too. */
const signs = { waiting: '…', satisfied: '✔', never: '✘' } as const;
const colours = { waiting: '33', satisfied: '32', never: '31' } as const;

export interface ScreenSize {
  readonly columns: number;
  readonly rows: number;
}

/** What a block is drawn on. */
export interface Screen {
  readonly write: (text: string) => void;
  /** False where the terminal has not taken all that was written, as when it is stopped (^S). */
  readonly taken: () => boolean;
  /** Undefined where it does not tell. */
  readonly size: () => ScreenSize | undefined;
  /** Whether this process may move the cursor: a shell has taken the terminal back from a job in the background. */
  readonly isOurs: () => boolean;
  /** Calls back when the size has changed; returns what stops that. */
  readonly onResize: (listener: () => void) => () => void;
  /** As of onResize, when the process goes on after it was stopped (^Z): the cursor may be anywhere since. */
  readonly onContinue: (listener: () => void) => () => void;
}

export interface BlockTerminal extends Terminal {
  /** Writes lines of the log, above the block where there is one. */
  write(text: string): void;
}

/**
 * The cursor always stands at the start of the line below the block, so that nothing needs to be put right at the end,
 * however the process ends.
 */
export function createBlockTerminal(
  screen: Screen,
  settings: {
    readonly clock: Clock;
    readonly redact: (text: string) => string;
    readonly coloured: boolean;
  },
): BlockTerminal {
  const { clock, redact, coloured } = settings;
  let size = screen.size();
  /** The lines above the cursor that are the block's. */
  let drawn: readonly DrawnLine[] = [];

  /** A narrower terminal may have wrapped them or cut them off: it cannot be known where they begin. */
  const isInPlace = (): boolean => {
    const { columns = 0, rows = 0 } = size ?? {};
    return drawn.length < rows && drawn.every(({ width }) => width < columns);
  };

  const fits = (lines: number): boolean =>
    size !== undefined && size.columns >= narrowest && lines < size.rows && screen.isOurs();

  return {
    write(text) {
      if (drawn.length === 0) return screen.write(text);
      const whole = text.endsWith('\n') ? text : `${text}\n`;
      // Of what a stopped terminal is sent, some may be dropped. A block that stands elsewhere stays as it is.
      if (screen.taken() && isInPlace() && screen.isOurs())
        return screen.write(
          `${up(drawn.length)}${clearBelow}${whole}${drawn.map(({ shown }) => shown).join('')}`,
        );
      drawn = [];
      screen.write(whole);
    },

    begin(lines, giveUp) {
      size = screen.size();
      if (!fits(lines().length)) return undefined;
      let over = false;
      let lastAt = Number.NEGATIVE_INFINITY;
      let quietUntil = clock.now() + closest;
      let plannedFor = Number.POSITIVE_INFINITY;
      let cancel = (): void => {};

      const plan = (at: number): void => {
        if (over || at >= plannedFor) return;
        cancel();
        plannedFor = at;
        const next = (): void => {
          plannedFor = Number.POSITIVE_INFINITY;
          draw();
          plan(clock.now() + tick);
        };
        cancel = clock.after(at - clock.now(), () => {
          if (clock.now() - at < late) next();
          else cancel = clock.after(1, next);
        });
      };

      const draw = (): void => {
        const wanted = lines();
        if (!fits(wanted.length) || size === undefined) {
          end();
          giveUp();
          return;
        }
        if (!screen.taken()) return;
        const room = size.columns - 1;
        const next = wanted.map((line) => drawnLine(line, room, redact, coloured));
        const inPlace = isInPlace();
        if (inPlace && drawn.length > 0 && next.every(({ shown }, index) => shown === drawn[index]?.shown))
          return;
        lastAt = clock.now();
        screen.write(
          `${up(inPlace ? drawn.length : 0)}${next.map(({ shown }) => shown).join('')}${clearBelow}`,
        );
        drawn = next;
      };

      const end = (): void => {
        over = true;
        cancel();
        for (const stop of listening) stop();
        drawn = [];
      };

      const listening = [
        screen.onResize(() => {
          size = screen.size();
          quietUntil = clock.now() + settled;
          cancel();
          plannedFor = Number.POSITIVE_INFINITY;
          plan(quietUntil);
        }),
        screen.onContinue(() => {
          drawn = [];
        }),
      ];
      plan(quietUntil);

      return {
        changed: () => plan(Math.max(quietUntil, lastAt + closest)),
        stop() {
          if (over) return;
          // What was over before anything was drawn is told by the last line of the log, unless that is about several things.
          if ((drawn.length > 0 || lines().length > 1) && fits(lines().length)) draw();
          if (!over) end();
        },
      };
    },
  };
}

interface DrawnLine {
  readonly shown: string;
  readonly width: number;
}

/** @param room columns that it may take; the last one stays free, where terminals differ about what follows */
function drawnLine(
  { state, name, words }: BlockLine,
  room: number,
  redact: (text: string) => string,
  coloured: boolean,
): DrawnLine {
  const clean = (text: string): string => oneLine(redacted(text, redact));
  const sign = signs[state];
  const left = room - widthOf(sign) - 1;
  // Redacted as a whole, for a secret may reach from the name into the words; cut only afterwards.
  const whole = clean(`${name} ${words}`);
  const own = clean(name);
  const text = whole.startsWith(`${own} `)
    ? cut(`${cut(own, Math.floor(left / 2))}${whole.slice(own.length)}`, left)
    : cut(whole, left);
  const painted = coloured ? `\u001b[${colours[state]}m${sign}\u001b[m` : sign;
  return { shown: `${painted} ${text}${clearLine}\n`, width: widthOf(sign) + 1 + widthOf(text) };
}

const ellipsis = '…';

function cut(text: string, room: number): string {
  if (text.length <= room && widthOf(text) <= room) return text;
  let width = widthOf(ellipsis);
  let end = 0;
  for (const character of text) {
    width += widthOfCharacter(character);
    if (width > room) break;
    end += character.length;
  }
  return `${text.slice(0, end)}${ellipsis}`;
}

function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += widthOfCharacter(character);
  return width;
}

/**
 * Columns that a character takes at most. Which take two depends on the terminal, its font and its language: below Hangul
 * Jamo (U+1100) none does, and a line that is cut too early does no harm.
 */
function widthOfCharacter(character: string): number {
  return (character.codePointAt(0) ?? 0) < 0x1100 ? 1 : 2;
}
