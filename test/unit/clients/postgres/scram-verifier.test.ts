import { describe, expect, test } from 'vitest';

import { isVerifierOf, scramVerifier } from '../../../../src/clients/postgres/scram-verifier.ts';

describe('a SCRAM verifier', () => {
  test('is what PostgreSQL makes of the same salt', async () => {
    // RFC 7677, 3: the salt, and the keys that follow of "pencil" with 4096 iterations.
    expect(await scramVerifier('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'))).toBe(
      'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=',
    );
  });

  test('is known again, with any salt; another password’s is not', async () => {
    const stored = await scramVerifier('pässword');
    expect(stored).not.toBe(await scramVerifier('pässword'));
    expect(await isVerifierOf(stored, 'app', 'pässword')).toBe(true);
    expect(await isVerifierOf(stored, 'app', 'passwort')).toBe(false);
  });

  test.each([
    ['I\u00adX', 'IX'],
    ['a\u00a0b', 'a b'],
    ['\u2168', 'IX'],
    ['pa\u0308ss', 'päss'],
  ])('%j and %j are one password (RFC 4013)', async (one, other) => {
    expect(await isVerifierOf(await scramVerifier(one), 'app', other)).toBe(true);
  });

  test('a password with a control character is taken as it is', async () => {
    expect(await isVerifierOf(await scramVerifier('a\u0007\u2168'), 'app', 'a\u0007IX')).toBe(false);
  });

  test('of md5, and of what cannot be read', async () => {
    // printf secretapp | md5sum
    const stored = 'md56a422f785c9e20873908ce25d1736ae2';
    expect(await isVerifierOf(stored, 'app', 'secret')).toBe(true);
    expect(await isVerifierOf(stored, 'app', 'other')).toBe(false);
    expect(await isVerifierOf('SCRAM-SHA-256$999999999:AA==$AA==:AA==', 'app', 'x')).toBe(false);
    expect(await isVerifierOf('', 'app', 'x')).toBe(false);
  });
});
