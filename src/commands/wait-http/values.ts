import { mostValues } from '../../config/bounds.ts';

/**
 * Bytes of --max-size for each value of a JSON body. A parsed value takes up to 700 bytes of memory, so a body of `{},`
 * would take two hundred times its length.
 */
const bytesPerValue = 8;

/** How many values a JSON body may have, where its length is limited to so many bytes. */
export function valuesWithin(maxSize: number): number {
  return Math.min(mostValues, Math.ceil(maxSize / bytesPerValue));
}

/** In words what a body has that has more of them. */
export function moreValues(most: number): string {
  const why = most < mostValues ? ', one for every 8 bytes of --max-size' : '';
  return `more than ${most} values${why}`;
}
