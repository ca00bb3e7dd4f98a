import type { Clock } from './clock.ts';
import { withheld } from './excerpt.ts';
import type { Redactor } from './redaction/redactor.ts';

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];
export const logFormats = ['text', 'json'] as const;
export type LogFormat = (typeof logFormats)[number];

/** Facts beside a message, for readers of the JSON format; the text format shows the message alone. */
export interface Fields {
  readonly [name: string]: string | number | boolean | readonly string[] | readonly Fields[] | undefined;
}

export interface Log {
  debug(message: string, fields?: Fields): void;
  info(message: string, fields?: Fields): void;
  warn(message: string, fields?: Fields): void;
  error(message: string, fields?: Fields): void;
  /** True where debug lines are wanted: for lines that are costly to make. */
  readonly verbose: boolean;
  /** How it was set up: another process of this program logs the same way. */
  readonly format: LogFormat;
  readonly level: LogLevel;
  /** The same log with fields added to each line, such as the step's name. */
  with(fields: Fields): Log;
}

export interface LogSettings {
  readonly write: (line: string) => void;
  readonly redactor: Redactor;
  readonly clock: Clock;
  readonly format: LogFormat;
  readonly level: LogLevel;
}

/** One line per event; every line passes the redactor, so that no call can show a secret. */
export function createLog(settings: LogSettings, common: Fields = {}): Log {
  const threshold = logLevels.indexOf(settings.level);
  const emit = (level: LogLevel, message: string, fields: Fields = {}): void => {
    if (logLevels.indexOf(level) < threshold) return;
    const time = settings.clock.date().toISOString();
    const line =
      settings.format === 'json'
        ? jsonLine(settings.redactor, { time, level, ...common, msg: message, ...fields })
        : `${time} ${level.padEnd(5)} ${oneLine(redacted(`${prefix(common)}${message}`, settings.redactor.redact))}`;
    settings.write(`${line}\n`);
  };
  return {
    debug: (message, fields) => emit('debug', message, fields),
    info: (message, fields) => emit('info', message, fields),
    warn: (message, fields) => emit('warn', message, fields),
    error: (message, fields) => emit('error', message, fields),
    verbose: threshold === 0,
    format: settings.format,
    level: settings.level,
    with: (fields) => createLog(settings, { ...common, ...fields }),
  };
}

/**
 * Characters of a line. What embeds a server's text cuts it shorter; this is the last bound for the time in which no signal is
 * heard.
 */
const longestLine = 1 << 15;

/** A text of the log, or of the termination message, without secrets; one that is too long is not shown at all. */
export function redacted(text: string, redact: (text: string) => string): string {
  return withheld(text.length, longestLine) ?? redact(text);
}

/** Redacted value by value, before JSON's escapes can hide a secret's characters. */
function jsonLine(redactor: Redactor, record: Fields): string {
  return escaped(record, (_key, value) =>
    typeof value === 'string' ? redacted(value, redactor.redact) : value,
  );
}

function prefix(common: Fields): string {
  const names = [common['command'], common['step']].filter((name) => typeof name === 'string');
  return names.length > 0 ? `${names.join(' ')}: ` : '';
}

/**
 * Characters that are not seen, and change what is: controls, line and paragraph separators, and those of format (zero-width
 * ones, and those that turn the direction of text around), by their Unicode categories (https://www.unicode.org/reports/tr44/#General_Category_Values).
 */
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const unseenRuns = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+/gu;

/**
 * A text on one line, its unseen characters shown as escapes: what a server says, or a file is called, cannot forge a line,
 * drive a terminal or look like another text.
 */
export function oneLine(text: string): string {
  return text.replace(unseenRuns, (run) =>
    /^[\r\n\t\u0085\u2028\u2029]+$/.test(run) ? ' ' : escaped(run).slice(1, -1),
  );
}

/** JSON without the unseen characters above ASCII, which JSON allows as they are. */
function escaped(value: unknown, replacer?: (key: string, value: unknown) => unknown): string {
  return JSON.stringify(value, replacer).replace(unseen, (character) =>
    Array.from(
      { length: character.length },
      (_, at) => `\\u${character.charCodeAt(at).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
}
