// What an address is refused with shows no part of its user and password, wherever these are cut by a raw character.
import { describe, expect, test } from 'vitest';

import { parseEndpoint } from '../../../src/clients/connection/endpoint.ts';
import { proxyFromEnvironment } from '../../../src/clients/http/proxy.ts';
import { parseUrl } from '../../../src/clients/postgres/parameters.ts';
import { parseTarget } from '../../../src/commands/wait-http/target.ts';
import { isCutUserinfo, takeUserinfo } from '../../../src/core/userinfo.ts';

const pieces = ['Xk9vQ2mP', 'Zr7tW4nB', 'Lc3yH8dF'];
const inside = ['/', '?', '#', '/@', '?a&', '?x=', '#x=', '/x?y=', '%2F?', ' ', ':', '12/'];
const hosts = [
  'db',
  'db:6379',
  'db:6379/x',
  'db/x?sslmode=disable',
  '[fd00::7]:1/x',
  'a:1,b:2/x',
  'db:99999',
];
const passwords = inside.flatMap((first) =>
  ['', '?', '=', '#', '@'].map((second) => `${pieces[0]}${first}${pieces[1]}${second}${pieces[2]}`),
);

describe('what is refused shows nothing of the password', () => {
  test.each<[string, string, (text: string) => unknown]>([
    ['of wait-tcp', 'redis', (text) => parseEndpoint(text, () => {})],
    ['of wait-tcp, of libpq', 'postgres', (text) => parseEndpoint(text, () => {})],
    ['of wait-http', 'http', (text) => parseTarget(text, () => {})],
    ['of a database', 'postgres', (text) => parseUrl(text, 'DATABASE_URL')],
    ['of a proxy', 'http', (text) => proxyFromEnvironment({ HTTP_PROXY: text }, () => {})],
  ])('%s', (_what, scheme, read) => {
    const shown: string[] = [];
    for (const user of ['app:', ':', 'us:er:', 'app:12/', 'app:12?x='])
      for (const host of hosts)
        for (const password of passwords) {
          const text = `${scheme}://${user}${password}@${host}`;
          try {
            read(text);
          } catch (error) {
            const { message } = error as Error;
            if (pieces.some((piece) => message.includes(piece))) shown.push(`${text}: ${message}`);
          }
        }
    expect(shown.slice(0, 10)).toEqual([]);
  });
});

test.each([
  ['app:Xy?Zk9=rT4@db:6379/x', false, true],
  ['Xy?Zk9=rT4@db', false, false],
  ['Xy?Zk9@db', false, true],
  ['app:Xy/Zk9@db', true, true],
  [':12/Zk9@db', true, true],
  ['app:Xy#Zk9@a,b', false, true],
  ['db:5432/x@y', false, true],
  ['api:8080/users/@me', true, false],
  ['api/?mail=a@b', true, false],
  ['a:1,b:2/x?key=a@b', false, false],
  ['app:secret@cache/1?key=a@b', false, false],
  ['app:secret@cache', false, false],
])('%s, of the web: %s, has a user or password that is cut: %s', (rest, isWeb, expected) =>
  expect(isCutUserinfo(rest, isWeb)).toBe(expected),
);

describe('a user without a password', () => {
  const taken = (rest: string): readonly (readonly [string, boolean | undefined])[] => {
    const found: (readonly [string, boolean | undefined])[] = [];
    takeUserinfo(rest, 'the URL', (value, sure) => void found.push([value, sure]));
    return found;
  };
  test('is a name where it is short, and a token where it is long', () => {
    expect(taken('al@host/').every(([, sure]) => sure === false)).toBe(true);
    expect(taken('ghp_0123456789abcdef@host/').every(([, sure]) => sure === true)).toBe(true);
    expect(taken('al:pw@host/').every(([, sure]) => sure === true)).toBe(true);
  });

  test.each(['TOKENabc/rest@host/x', 'ghp_ab/c/d@host.test:8080/x', 'Zq7xKw/9mV@[::1]/x'])(
    '%s is cut short by its /',
    (rest) => {
      const found: string[] = [];
      expect(() => takeUserinfo(rest, 'the URL', (value) => void found.push(value))).toThrow(
        'the URL has a /, ? or # in its user or password',
      );
      expect(found).toEqual([rest.slice(0, rest.lastIndexOf('@'))]);
    },
  );

  test.each([
    'host/@scope/pkg',
    'host/a@b',
    'registry.npmjs.org/@scope/pkg',
    'Host.test/a@b',
    'HOST:8080/a@b',
    'config-server/pkg@1.2.3/x',
    'HOST/x?mail=a@b',
  ])('%s is a host and what it has', (rest) => expect(taken(rest)).toEqual([]));
});
