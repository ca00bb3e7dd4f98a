import { quotedValue } from './misplaced-secret.ts';
/** Bytes in a unit, as Kubernetes writes quantities (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/). */
const units: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
};

/**
 * Reads a size as `512`, `64Ki`, `16Mi`, `1G`.
 * @returns bytes
 * @throws Error that says what is accepted
 */
export function parseSize(text: string): number {
  const [, number = '', unit = ''] = /^(\d+)\s*([A-Za-z]*)$/.exec(text.trim()) ?? [];
  const bytes =
    number === '' || !Object.hasOwn(units, unit) ? Number.NaN : Number(number) * (units[unit] ?? 0);
  if (!Number.isSafeInteger(bytes)) {
    throw new Error(
      `${quotedValue(text)} is not a size; write bytes as a number, or with Ki, Mi or Gi: 16Mi`,
    );
  }
  return bytes;
}

/** A size for people: `912 B`, `16 MiB`, `1.5 GiB`. */
export function formatBytes(bytes: number): string {
  for (const [unit, size] of [
    ['GiB', 2 ** 30],
    ['MiB', 2 ** 20],
    ['KiB', 2 ** 10],
  ] as const) {
    if (bytes >= size) return `${(bytes / size).toFixed(1).replace(/\.0$/, '')} ${unit}`;
  }
  return `${bytes} B`;
}

/**
 * What has too many bytes, after "has": `10 GiB, over the limit of 16 MiB`.
 * @param bytes undefined where it is only known to be more
 */
export function overLimit(bytes: number | undefined, limit: number): string {
  const [shown, most] = [bytes === undefined ? undefined : formatBytes(bytes), formatBytes(limit)];
  // Rounded, both can read the same.
  return shown === undefined || shown === most
    ? `more than the limit of ${most}`
    : `${shown}, over the limit of ${most}`;
}

/** What is less than something that stands beside it: `1.4 GiB`, or `less than 1.5 GiB` where both would read the same. */
export function formatLess(bytes: number, other: number): string {
  const [shown, beside] = [formatBytes(bytes), formatBytes(other)];
  return shown === beside && bytes < other ? `less than ${shown}` : shown;
}
