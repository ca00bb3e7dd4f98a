/** A migration's place in the order: one or more whole numbers, compared part by part, however long they are. */
export interface Version {
  /** As the file's name writes it: `001`, `20240101120000`, `1.10`. */
  readonly text: string;
  /** One spelling per version, for the record: `1`, `1.10`; `001` and `1.0` are `1`. */
  readonly key: string;
  readonly parts: readonly bigint[];
}

/** Digits with dots (or Flyway's single underscores) between them; undefined for anything else. */
export function parseVersion(text: string): Version | undefined {
  if (!/^\d+(?:[._]\d+)*$/.test(text)) return undefined;
  const parts = text.split(/[._]/).map((part) => BigInt(part));
  // Trailing zeros say nothing: 1, 1.0 and 1.0.0 are one version, as Flyway has it.
  while (parts.length > 1 && parts.at(-1) === 0n) parts.pop();
  return { text, key: parts.join('.'), parts };
}

/** Negative, zero or positive, for sort(). A missing part is 0. */
export function compareVersions(a: Version, b: Version): number {
  const length = Math.max(a.parts.length, b.parts.length);
  for (let index = 0; index < length; index++) {
    const left = a.parts[index] ?? 0n;
    const right = b.parts[index] ?? 0n;
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}
