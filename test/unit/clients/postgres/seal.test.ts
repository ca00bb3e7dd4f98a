import { expect, test } from 'vitest';

import { newSeal, opens } from '../../../../src/clients/postgres/lock/seal.ts';

test('a seal is opened by its own word alone', () => {
  const [one, other] = [newSeal(), newSeal()];
  expect(one.word).toMatch(/^[\da-f]{32}$/);
  expect(opens(one.word, one.seal)).toBe(true);
  for (const word of ['', other.word, one.seal, `${one.word} `, one.word.toUpperCase()])
    expect(opens(word, one.seal)).toBe(false);
});

test('no word is no word, whatever the seal', () => {
  // SHA-256 of nothing, as somebody may write it into the record.
  const ofNothing = 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
  expect(opens('', ofNothing)).toBe(false);
});
