import type { Clock } from './clock.ts';
import type { Redactor } from './redaction/redactor.ts';

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];
export const logFormats = ['text', 'json'] as const;
export type LogFormat = (typeof logFormats)[number];

/** Facts beside a message, for readers of the JSON format; the text format shows the message alone. */
export type Fields = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

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
        : `${time} ${level.padEnd(5)} ${prefix(common)}${oneLine(settings.redactor.redact(message))}`;
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

/** Redacted value by value, before JSON's escapes can hide a secret's characters. */
function jsonLine(redactor: Redactor, record: Fields): string {
  return JSON.stringify(record, (_key, value: unknown) =>
    typeof value === 'string' ? redactor.redact(value) : value,
  );
}

function prefix(common: Fields): string {
  const names = [common['command'], common['step']].filter((name) => name !== undefined);
  return names.length > 0 ? `${names.join(' ')}: ` : '';
}

/** Control characters shown as escapes: a server's message cannot forge a line or drive a terminal. */
export function oneLine(text: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what it is about
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, (run) =>
    /^[\r\n\t]+$/.test(run) ? ' ' : JSON.stringify(run).slice(1, -1),
  );
}
