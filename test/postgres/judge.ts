// What a command may end with against answers made wrong.

export const limits = {
  /** Milliseconds that a case has. */
  timeout: 4_000,
  /** Milliseconds beyond it: what was done is written down within two seconds (docs/locking.md), and a goodbye is said. */
  after: 4_000,
};

export interface Ended {
  readonly status: number;
  readonly words: string;
  readonly log: string;
}

/** Words of a mistake of ours, not of a server's: a role may be called NaN, which is one of the wrong answers. */
const ours =
  /\bundefined\b|(?<!\brole )\bNaN\b|cannot read|not a function|out of range|not iterable|unexpected (token|error)|received invalid|maximum call|argument must|is not defined|\bSASL:|Received unexpected|not queryable|terminated unexpectedly|Cannot convert|Invalid (time|Date|array)|TypeError|RangeError|SyntaxError|this is an unexpected/i;

/** docs/migrate-with-lock.md, docs/wait-postgres.md: what ends one of these commands. */
const documented = new Set([0, 1, 2, 69, 75, 124, 143]);

/** @returns what is wrong with the end of a case */
export function judge({ status, words, log }: Ended, took: number): string[] {
  const wrongs: string[] = [];
  if (!documented.has(status)) wrongs.push(`the status ${status} is not documented`);
  if (ours.test(words)) wrongs.push(`its words are not of this program: ${ours.exec(words)?.[0]}`);
  const line = log.split('\n').find((said) => ours.test(said.replace(/^\S+Z debug .*/, '')));
  if (line !== undefined) wrongs.push(`its log is not of this program: ${line}`);
  if (took > limits.timeout + limits.after) wrongs.push(`it took ${Math.round(took)} ms`);
  return wrongs;
}
