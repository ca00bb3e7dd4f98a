import type { Report } from './report.ts';

/** What a file of this folder exports. */
export interface Benchmark {
  readonly name: string;
  readonly description: string;
  readonly run: (flags: readonly string[], report: Report) => Promise<void>;
}

/** A whole number given as `--rounds=20`. */
export function numberFlag(flags: readonly string[], name: string, fallback: number): number {
  const flag = flags.find((word) => word.startsWith(`--${name}=`));
  return flag === undefined ? fallback : Number(flag.slice(flag.indexOf('=') + 1));
}
