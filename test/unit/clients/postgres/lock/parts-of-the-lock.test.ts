import { describe, expect, test } from 'vitest';

import { settleTime } from '../../../../../src/clients/lock.ts';
import {
  keyOfId,
  keyOfName,
  parseLockId,
  parseLockName,
} from '../../../../../src/clients/postgres/lock-key.ts';
import type { HolderSeen } from '../../../../../src/clients/postgres/lock/advisory.ts';
import { unrecordedHolder } from '../../../../../src/clients/postgres/lock/evidence.ts';
import { difference } from '../../../../../src/clients/postgres/lock/identity.ts';
import type { HolderRow } from '../../../../../src/clients/postgres/lock/records.ts';
import { scarce } from '../../../../../src/clients/postgres/lock/slots.ts';
import {
  holderTag,
  readTag,
  tagOf,
  waiterTag,
  type Tag,
} from '../../../../../src/clients/postgres/lock/tag.ts';
import { migrateWithLock } from '../../../../../src/commands/migrate-with-lock/command.ts';
import { readRequest } from '../../../../../src/commands/migrate-with-lock/request.ts';
import { resolveOptions } from '../../../../../src/core/options/resolve-options.ts';
import { createRedactor } from '../../../../../src/core/redaction/redactor.ts';
import { readSecretFile } from '../../../../../src/fs/input-file.ts';
import { statusOf } from '../../../../../src/process/child.ts';

/** As the command line reads it. */
function onceKey(text: string): string | undefined {
  const { once } = migrateWithLock.options;
  const given = new Map([['once', [{ text, origin: '--once' }]]]);
  return resolveOptions({ once }, given, {}, createRedactor(), readSecretFile).once;
}

describe('the key', () => {
  test('is the first 8 bytes of the name’s SHA-256, signed', () => {
    // printf migrate | sha256sum: 3bc801a33ea83df4…
    expect(keyOfName('migrate')).toEqual({
      name: 'migrate',
      id: 4307694844222389748n,
      hex: '3bc801a33ea83df4',
    });
    // printf b | sha256sum begins with 3e23e816…; printf foo with 2c26b46b…; printf 1 with 6b86b273…; printf 3 with 4e07408562bedb8b
    expect(keyOfName('3').id).toBe(BigInt('0x4e07408562bedb8b'));
    expect(keyOfName('a').id).toBe(BigInt.asIntN(64, BigInt('0xca978112ca1bbdca')));
    expect(keyOfName('a').id).toBeLessThan(0n);
  });

  test('or any int8', () => {
    expect(keyOfId(-1n)).toEqual({ name: '#-1', id: -1n, hex: 'ffffffffffffffff' });
    expect(parseLockId('-9223372036854775808')).toBe(-(2n ** 63n));
    for (const wrong of ['9223372036854775808', '1.5', 'x', '', '0x1', ' 1'])
      expect(() => parseLockId(wrong)).toThrow(/is not a whole number from/);
  });
});

describe('tags', () => {
  const key = keyOfName('migrate');
  test('fit into application_name and can be read back', () => {
    const tag = tagOf(key, 2n ** 63n - 1n, 'lock');
    expect(`${tag}:20261122T183000Z`.length).toBeLessThanOrEqual(74);
    // 63 bytes are kept; the token must be within them.
    expect(readTag(key, `${tag}:20261122T183000Z`.slice(0, 63))).toEqual({
      token: 2n ** 63n - 1n,
      role: 'lock',
      relayed: false,
    });
    expect(readTag(key, tagOf(key, 7n, 'job'))).toEqual({ token: 7n, role: 'job', relayed: false });
    expect(readTag(key, waiterTag(key))).toBeUndefined();
    expect(readTag(key, 'psql')).toBeUndefined();
    expect(readTag(keyOfName('other'), tag)).toBeUndefined();
  });
});

test('a server is another one if anything of it differs', () => {
  const then = { started: '1.5', system: '7', timeline: '00000001', standby: false };
  expect(difference(then, { ...then })).toBeUndefined();
  expect(difference(then, { ...then, started: '2' })).toContain('was started since');
  expect(difference(then, { ...then, system: '8' })).toContain('another database system');
  expect(difference(then, { ...then, timeline: '00000002' })).toContain('was promoted since');
  expect(difference(then, { ...then, standby: true, timeline: null })).toContain('is a standby');
});

test('a fifth of the connections is left to the work', () => {
  expect(scarce({ free: 19, limit: 97 })).toBe(true);
  expect(scarce({ free: 20, limit: 97 })).toBe(false);
});

test('the work of a holder that lost its lock is over after two checks and the grace', () => {
  expect(settleTime({ heartbeat: 5000, grace: 10_000 })).toBe(20_000);
});

test('a child’s end as a status', () => {
  expect(statusOf({ status: 3, signal: undefined, left: [] })).toBe(3);
  expect(statusOf({ status: undefined, signal: 'SIGKILL', left: [] })).toBe(137);
  expect(statusOf({ status: undefined, signal: undefined, left: [] })).toBe(1);
});

describe('requests', () => {
  const none = {
    sql: undefined,
    baseline: undefined,
    'dry-run': false,
    accept: [],
    once: undefined,
    status: false,
    forget: undefined,
  };

  test('one thing is asked for', () => {
    expect(readRequest(none, ['a'])).toEqual({
      kind: 'work',
      work: { kind: 'command', command: ['a'] },
      once: undefined,
    });
    expect(readRequest({ ...none, status: true }, undefined)).toEqual({ kind: 'status' });
    expect(readRequest({ ...none, forget: 'k' }, undefined)).toEqual({ kind: 'forget', key: 'k' });
    expect(readRequest({ ...none, sql: '/m', 'dry-run': true }, undefined)).toMatchObject({
      work: { kind: 'sql', directory: '/m', dryRun: true },
    });
    expect(() => readRequest(none, undefined)).toThrow(/no command given/);
    expect(() => readRequest({ ...none, sql: '/m', forget: 'k' }, ['a'])).toThrow(
      'a command after -- and --sql and --forget were given; use one of them',
    );
    expect(() => readRequest({ ...none, 'dry-run': true }, ['a'])).toThrow('--dry-run needs --sql');
  });

  test('the command’s hash tells words apart', () => {
    const hash = (words: string[]): string | undefined => {
      const request = readRequest({ ...none, once: 'k' }, words);
      return request.kind === 'work' ? request.once?.commandHash : undefined;
    };
    expect(hash(['a', 'b'])).toBe(hash(['a', 'b']));
    expect(hash(['a', 'b'])).not.toBe(hash(['a b']));
  });

  test.each([
    '',
    '  ',
    '$(DIGEST)',
    '${DIGEST}',
    '$DIGEST',
    'app:$TAG',
    '{{ .Values.tag }}',
    '<no value>',
    'a\nb',
    'x'.repeat(1001),
  ])('--once %j is refused', (key) => {
    expect(() => onceKey(key)).toThrow(/^--once/);
  });

  test('names that are fine', () => {
    for (const key of ['v1.2.3', 'sha256:abc', 'a b', '€', '$5']) expect(onceKey(key)).toBe(key);
    expect(() => parseLockName('$(X)')).toThrow(/was not replaced/);
    expect(() => parseLockName('$RELEASE')).toThrow(/was not replaced/);
  });
});

describe('whom the records do not tell of', () => {
  const row = (token: bigint, started: number): HolderRow => ({
    token,
    host: 'pod',
    role: 'app',
    address: null,
    started: new Date(started * 1000),
    settle: 20_000,
    released: true,
  });
  const seen = (token: bigint | undefined, at: number): HolderSeen => ({
    pid: 1,
    role: 'norec',
    address: null,
    applicationName: '',
    token,
    settle: 7000,
    began: null,
    at,
    relayed: false,
    silent: null,
  });
  const tag = (token: bigint, role: string): Tag => ({
    token,
    role,
    settle: 9000,
    relayed: false,
  });

  test.each<[string, HolderRow | undefined, HolderSeen | undefined, Tag[], bigint | undefined]>([
    ['nobody was seen, and there is no row: a new database', undefined, undefined, [], undefined],
    ['the holder that was seen is the row’s', row(5n, 100), seen(5n, 110), [], undefined],
    ['another program was seen', row(5n, 100), seen(undefined, 110), [], undefined],
    ['a later holder wrote the row', row(6n, 120), seen(5n, 110), [], undefined],
    ['the row is of an earlier holder', row(4n, 100), seen(5n, 110), [], 5n],
    ['the row is gone', undefined, seen(5n, 110), [], 5n],
    ['a restored row with a larger token', row(900n, 100), seen(5n, 110), [], 5n],
    ['the clock was set back since', row(4n, 500), seen(5n, 110), [], 5n],
    ['a session of a holder that lost the lock', row(4n, 100), undefined, [tag(5n, 'lock')], 5n],
    ['the same, with a restored row', row(900n, 100), undefined, [tag(5n, 'lock')], 5n],
    [
      'the session of the row’s own holder, which is ending',
      row(5n, 100),
      undefined,
      [tag(5n, 'lock')],
      undefined,
    ],
    ['a statement of a later command', row(4n, 100), undefined, [tag(5n, 'job')], 5n],
    [
      'a statement of an earlier command, which is ended',
      row(6n, 100),
      undefined,
      [tag(5n, 'job')],
      undefined,
    ],
  ])('%s', (_name, last, sighted, left, expected) => {
    expect(unrecordedHolder(last, sighted, left)?.token).toBe(expected);
  });

  test('the holder’s name tells how long its work may go on, and is cut off at its end alone', () => {
    const key = keyOfName('migrate');
    const name = holderTag(key, 4711n, 20_500, false, new Date('2026-11-26T01:02:03.456Z'));
    expect(name).toBe(`initbox:${key.hex}:4711:lock:21s:20261126T010203Z`);
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(63);
    expect(readTag(key, name)).toEqual({ token: 4711n, role: 'lock', settle: 21_000, relayed: false });
    const long = holderTag(key, 2n ** 63n - 1n, 20_000, true, new Date()).slice(0, 63);
    expect(readTag(key, long)).toMatchObject({ role: 'lock', settle: 20_000, relayed: true });
    // As older versions wrote it.
    expect(readTag(key, `initbox:${key.hex}:7:lock:20261126T010203Z`)).toMatchObject({ settle: undefined });
  });
});
