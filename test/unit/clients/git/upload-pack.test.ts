import { describe, expect, test } from 'vitest';

import { packetOf, packetsIn } from '../../../../src/clients/git/packet-line.ts';
import {
  givesByHash,
  lacking,
  pickRef,
  readAdvertisement,
  readRefs,
} from '../../../../src/clients/git/upload-pack.ts';

const one = '1'.repeat(40);
const two = '2'.repeat(40);
const of = (...lines: readonly string[]) =>
  packetsIn(Buffer.from([...lines.map((line) => packetOf(`${line}\n`)), '0000'].join('')));

describe('an advertisement', () => {
  test('of version 2', () => {
    const read = readAdvertisement(
      of('version 2', 'ls-refs=unborn', 'fetch=shallow filter', 'object-format=sha256'),
    );
    expect(read).toMatchObject({ version: 2, hash: 'sha256', refs: undefined });
    expect(lacking(read)).toBeUndefined();
    expect(givesByHash(read, one)).toBe(true);
    expect(lacking(readAdvertisement(of('version 2', 'fetch=filter')))).toBe('shallow');
    expect(lacking(readAdvertisement(of('version 2', 'ls-refs')))).toBe('fetch');
  });

  test('of the version before, with tags and what they are for', () => {
    const read = readAdvertisement(
      of(
        '# service=git-upload-pack',
        `${one} HEAD\0shallow side-band-64k`,
        `${one} refs/heads/main`,
        `${two} refs/tags/v1`,
        `${one} refs/tags/v1^{}`,
      ),
    );
    expect(read.version).toBe(0);
    expect(read.refs).toEqual([
      { name: 'HEAD', hash: one },
      { name: 'refs/heads/main', hash: one },
      { name: 'refs/tags/v1', hash: two, peeled: one },
    ]);
    expect(givesByHash(read, one)).toBe(true);
    expect(givesByHash(read, '3'.repeat(40))).toBe(false);
    expect(lacking(read)).toBeUndefined();
  });

  test('of an empty repository', () =>
    expect(readAdvertisement(of(`${'0'.repeat(40)} capabilities^{}\0shallow`)).refs).toEqual([]));

  test.each([
    [of('ERR access denied'), 'access denied'],
    [of('hello'), 'cannot be read'],
    [of('version 2', 'object-format=md5'), 'other than SHA-1 or SHA-256'],
    [[], 'empty answer'],
  ])('refuses %#', (packets, why) => expect(() => readAdvertisement(packets)).toThrow(why));
});

describe('refs', () => {
  const refs = readRefs(
    of(
      `${one} refs/heads/v1`,
      `${two} refs/tags/v1 peeled:${one}`,
      `${two} refs/tags/v2 peeled:${one}`,
      `unborn HEAD symref-target:refs/heads/main`,
    ),
  );

  test.each([
    ['v1', one],
    ['refs/tags/v1', one],
    ['v2', one],
    ['v', undefined],
    [undefined, undefined],
  ])('%s', (ref, hash) => expect(pickRef(refs, ref)).toBe(hash));

  test('that cannot be read', () => expect(() => readRefs(of('what'))).toThrow(/cannot be read/));
});
