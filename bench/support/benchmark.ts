import type { Report } from './report.ts';

/** What a file of this folder exports. */
export interface Benchmark {
  readonly name: string;
  readonly description: string;
  readonly run: (flags: readonly string[], report: Report) => Promise<void>;
}

/** What is given as `--part=speed`. */
export function textFlag(flags: readonly string[], name: string): string | undefined {
  const flag = flags.find((word) => word.startsWith(`--${name}=`));
  return flag?.slice(flag.indexOf('=') + 1);
}

/** A whole number given as `--rounds=20`. */
export function numberFlag(flags: readonly string[], name: string, fallback: number): number {
  const text = textFlag(flags, name);
  return text === undefined ? fallback : Number(text);
}
