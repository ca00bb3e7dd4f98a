import { quotedValue } from './misplaced-secret.ts';
/** Milliseconds in one unit of Go's duration syntax (https://pkg.go.dev/time#ParseDuration). */
const unitMilliseconds: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3, // U+00B5, the micro sign
  μs: 1e-3, // U+03BC, the Greek letter mu
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** Go's largest duration, 2^63 - 1 nanoseconds: about 292 years. */
const largest = 2 ** 63 / 1e6;

export const durationSyntax = 'write a duration such as 500ms, 30s, 5m or 1h30m; a bare number is seconds';

/**
 * Reads Go's duration syntax, or a bare number of seconds.
 * @returns milliseconds
 * @throws Error whose message says what is accepted
 */
export function parseDuration(text: string): number {
  const trimmed = text.trim().replace(/^\+/, '');
  if (trimmed.startsWith('-')) throw new Error(`${quotedValue(text)} is negative; ${durationSyntax}`);
  const milliseconds = /^\d+(\.\d*)?$|^\.\d+$/.test(trimmed) ? Number(trimmed) * 1000 : sumOfUnits(trimmed);
  if (milliseconds === undefined)
    throw new Error(`${quotedValue(text)} is not a duration; ${durationSyntax}`);
  if (milliseconds > largest)
    throw new Error(`${quotedValue(text)} is more than 292 years; 0 means no limit`);
  return milliseconds;
}

function sumOfUnits(text: string): number | undefined {
  const part = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/gy;
  let total = 0;
  let end = 0;
  for (let match = part.exec(text); match; match = part.exec(text)) {
    total += Number(match[1]) * (unitMilliseconds[match[2] ?? ''] ?? Number.NaN);
    end = part.lastIndex;
  }
  return end > 0 && end === text.length ? total : undefined;
}

/** Milliseconds in words for people, at most two units: `450ms`, `42s`, `1m30s`, `2h5m`. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)}ms`;
  if (milliseconds < 10_000) return `${trimZero((milliseconds / 1000).toFixed(1))}s`;
  const seconds = Math.round(milliseconds / 1000);
  if (seconds < 60) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}m${seconds % 60 ? `${seconds % 60}s` : ''}`;
  return `${Math.floor(minutes / 60)}h${minutes % 60 ? `${minutes % 60}m` : ''}`;
}

function trimZero(text: string): string {
  return text.endsWith('.0') ? text.slice(0, -2) : text;
}
