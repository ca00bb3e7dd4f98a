import { quotedValue, describedText } from '../../core/misplaced-secret.ts';
import type { KernelSetting } from './setting.ts';

/** What a setting's file says. */
export interface Present {
  /** As one line; several values with one space between them. */
  readonly value: string;
  /** Of the files that show a choice: `always [madvise] never`. */
  readonly choices?: readonly string[];
}

/**
 * @param text what the file holds
 * @param path the file's own: those below /sys may show a choice, with the present one in brackets
 */
export function presentIn(text: string, path: string): Present {
  const words = text.trim().split(/\s+/);
  const chosen = path.startsWith('/sys/') ? words.filter((word) => /^\[.+\]$/.test(word)) : [];
  if (chosen.length !== 1 || words.length === 1) return { value: words.join(' ') };
  return {
    value: (chosen[0] as string).slice(1, -1),
    choices: words.map((word) => word.replace(/^\[(.+)\]$/, '$1')),
  };
}

/** Why a setting cannot be what is asked for, as far as its present value tells; the text follows its name. */
export function misfit(
  { name, value, atLeast }: KernelSetting,
  { value: is, choices }: Present,
): string | undefined {
  if (choices !== undefined && !choices.includes(value))
    return `cannot be ${quotedValue(value)} on this kernel; it takes ${choices.join(', ')}`;
  const words = is.split(' ');
  if (atLeast && !/^\d+$/.test(is))
    return words.length > 1
      ? `has ${words.length} values (${shortened(is)}), of which none can be compared; write all of them: '${name}=${shortened(is)}'`
      : `is "${shortened(is)}", which is not a whole number that could be compared; write ${name}=${value}`;
  const odd = words.every((word) => /^-?\d+$/.test(word)) ? value.split(' ').find(isNoNumber) : undefined;
  if (odd !== undefined)
    return odd.includes('=')
      ? `is a number, and ${shortened(odd)} is another setting; write each as a word of its own`
      : `is ${words.length === 1 ? 'a number' : 'numbers'} without a unit (${shortened(is)}), and ${shortened(odd)} is none`;
  // Of too few, the kernel sets the first ones, and of too many it takes the first ones.
  const given = value.split(' ');
  if (words.length !== given.length && [...words, ...given].every((word) => /^-?\d+$/.test(word)))
    return `has ${words.length} ${words.length === 1 ? 'value' : 'values'} (${is}), and ${given.length} ${given.length === 1 ? 'was' : 'were'} given`;
  return undefined;
}

/** A number with a unit, or with another setting behind it: of such a word the kernel may take the beginning. */
function isNoNumber(word: string): boolean {
  return /^-?\d+[kmgt]i?b?$/i.test(word) || /[a-z_]=/i.test(word);
}

/** Whether a value is what is asked for. */
export function meets({ value, atLeast }: KernelSetting, { value: is }: Present): boolean {
  if (!atLeast) return means(is) === means(value);
  return /^\d+$/.test(is) && BigInt(is) >= BigInt(value);
}

/** A value in the one spelling that all others of it have in common, as the kernel reads it. */
function means(value: string): string {
  return value.split(' ').map(wordMeans).join(' ');
}

function wordMeans(word: string): string {
  if (/^(-?\d+|0x[\da-f]+)$/i.test(word)) return BigInt(word).toString();
  return /^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(word) ? rangesMean(word) : word;
}

/** Lists of numbers (ports, processors), which the kernel shows as ranges: `8080,8081` as `8080-8081`. */
function rangesMean(list: string): string {
  const ranges = list
    .split(',')
    .map((range) => range.split('-').map(BigInt))
    .map(([from = 0n, to = from]) => ({ from, to }))
    .toSorted((a, b) => (a.from < b.from ? -1 : 1));
  const merged: { from: bigint; to: bigint }[] = [];
  for (const { from, to } of ranges) {
    const last = merged.at(-1);
    if (last === undefined || from > last.to + 1n) merged.push({ from, to });
    else if (to > last.to) last.to = to;
  }
  return merged.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(',');
}

/** Of a value, what fits into a sentence. */
export function shortened(value: string): string {
  return value.length > 200 ? describedText(value) : value;
}
