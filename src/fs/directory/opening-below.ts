import { closeSync } from 'node:fs';

import { type Calls, given, type Work } from '../calls.ts';
import { below, type RawName } from './file-name.ts';
import { asDirectory } from './open-directory.ts';

/** Opens a directory below another, one component at a time and through no link; the caller closes it. */
export function* openingBelow(by: Calls, top: number, path: RawName): Work<number> {
  let at = yield* given(by.open(below(top, '.'), asDirectory));
  for (const component of path === '' ? [] : path.split('/')) {
    try {
      const next = yield* given(by.open(below(at, component), asDirectory));
      closeSync(at);
      at = next;
    } catch (error) {
      closeSync(at);
      throw error;
    }
  }
  return at;
}
