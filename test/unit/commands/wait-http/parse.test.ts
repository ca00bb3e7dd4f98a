import { describe, expect, test } from 'vitest';

import { headerHolds, parseHeaderExpectation } from '../../../../src/commands/wait-http/header.ts';
import { equals, resolvePointer, parseJsonExpectation } from '../../../../src/commands/wait-http/pointer.ts';
import {
  includes,
  neverHasBody,
  parseStatuses,
  statusWords,
} from '../../../../src/commands/wait-http/status.ts';
import { parseTarget } from '../../../../src/commands/wait-http/target.ts';
import { parseJson } from '../../../../src/config/json.ts';
import { matchesWithin, parsePattern, patternTime } from '../../../../src/core/pattern.ts';

describe('statuses', () => {
  test.each([
    ['200', '200'],
    ['200,204', '200, 204'],
    ['200-299', '200-299'],
    ['2xx', '200-299'],
    ['2XX, 404', '200-299, 404'],
    ['401-403', '401-403'],
    ['599', '599'],
  ])('%s is %s', (text, words) => expect(statusWords(parseStatuses(text))).toBe(words));

  test.each([
    ['', /is not a status; write codes/],
    ['ok', /"ok" is not a status/],
    ['20', /is not a status/],
    ['2000', /is not a status/],
    ['2x', /is not a status/],
    ['200,', /"" is not a status/],
    ['299-200', /ends before it begins/],
    ['100', /never the final answer/],
    ['1xx', /never the final answer/],
    ['101-200', /never the final answer/],
    ['600', /from 200 to 599/],
    ['200-999', /from 200 to 599/],
    ['0xx', /is not a status/],
    ['-200', /is not a status/],
    ['200..299', /is not a status/],
  ])('%j is refused', (text, message) => expect(() => parseStatuses(text)).toThrow(message));

  test('a status that is not 2xx can be met (a bug of initium)', () => {
    expect(includes(parseStatuses('404,5xx'), 404)).toBe(true);
    expect(includes(parseStatuses('404,5xx'), 503)).toBe(true);
    expect(includes(parseStatuses('404,5xx'), 200)).toBe(false);
  });

  test('no body comes with 204 and 304', () => {
    expect(neverHasBody(parseStatuses('204,304'))).toBe(true);
    expect(neverHasBody(parseStatuses('200,204'))).toBe(false);
  });
});

describe('targets', () => {
  const parse = (text: string) => {
    const secrets: string[] = [];
    return { ...parseTarget(text, (value) => secrets.push(value)), secrets };
  };

  test.each([
    ['http://api', 'http://api/'],
    ['http://api:8080/healthz', 'http://api:8080/healthz'],
    ['HTTPS://API/x?ref=b', 'https://api/x?ref=b'],
    ['http://[::1]:8080/', 'http://[::1]:8080/'],
    ['http://api/x?token=abcd1234', 'http://api/x?…'],
    ['unix:/run/app.sock', 'unix:/run/app.sock:/'],
    ['unix:/run/app.sock:/healthz?full', 'unix:/run/app.sock:/healthz?full'],
    ['unix:///run/app.sock:/healthz', 'unix:/run/app.sock:/healthz'],
    ['http://u:s3cret@api/', 'http://api/'],
  ])('%s is shown as %s', (text, name) => expect(parse(text).name).toBe(name));

  test('user and password become a header, are registered and stand nowhere else', () => {
    const target = parse('http://user:p%40ss@api:80/x');
    expect(target.secrets).toEqual(['p%40ss', 'p@ss']);
    expect(target.authorization).toBe(`Basic ${Buffer.from('user:p@ss').toString('base64')}`);
    expect(`${target.url.href} ${target.name}`).not.toMatch(/user|ss@/);
  });

  test.each([
    ['', /empty/],
    ['api:8080/healthz', /no scheme; write http:\/\/api:8080\/healthz/],
    ['/healthz', /no scheme/],
    ['ftp://x/', /ftp:\/\/ is not supported/],
    ['http://', /no host/],
    ['http:///x', /no host/],
    ['http://api/a b', /space/],
    ['http://api\\x', /backslash/],
    ['http://api:99999/', /cannot be read/],
    ['http://api:0/', /port 0/],
    ['http://api/#/health', /never sent/],
    ['http://u:a/b@api/', /has a \/, \? or #/],
    ['unix:relative', /not a socket/],
    [`unix:/${'x'.repeat(120)}`, /107 bytes/],
    ['--tiemout', /not a URL/],
  ])('%j is refused: %s', (text, message) => expect(() => parse(text)).toThrow(message));

  test.each(['http://u:s3cret@', 'http://u:s3cret@api:99999/', 'http://u:s3/cret@api/', 'u:s3cret@api'])(
    'the message about %s holds no password',
    (text) => {
      try {
        parse(text);
        expect.unreachable();
      } catch (error) {
        expect(String(error)).not.toContain('s3');
      }
    },
  );
});

describe('JSON pointers', () => {
  // The document of RFC 6901, section 5.
  const document = parseJson(
    '{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\\\j":5,"k\\"l":6," ":7,"m~n":8,"a=b":9}',
  );
  test.each([
    ['/foo/0', 'bar'],
    ['/', 0],
    ['/a~1b', 1],
    ['/c%d', 2],
    ['/e^f', 3],
    ['/g|h', 4],
    ['/i\\j', 5],
    ['/k"l', 6],
    ['/ ', 7],
    ['/m~0n', 8],
    ['#/c%25d', 2],
    ['#/a%3Db', 9],
    ['#/foo/1', 'baz'],
  ])('%s is %j', (pointer, value) =>
    expect(resolvePointer(document, parseJsonExpectation(pointer).tokens)).toBe(value),
  );

  test('the empty pointer is the whole document', () =>
    expect(resolvePointer(document, parseJsonExpectation('').tokens)).toBe(document));

  test.each([
    '/nope',
    '/foo/2',
    '/foo/-',
    '/foo/01',
    '/foo/0/x',
    '/__proto__',
    '/constructor',
    '/foo/length',
  ])('nothing is at %s', (pointer) =>
    expect(resolvePointer(document, parseJsonExpectation(pointer).tokens)).toBeUndefined(),
  );

  test.each([
    ['status=UP', /not a JSON pointer; write \/status=UP/],
    ['$.status', /not a JSON pointer/],
    ['/a~b', /~0/],
    ['#/a%zz', /starts no escape/],
  ])('%s is refused', (text, message) => expect(() => parseJsonExpectation(text)).toThrow(message));

  test('the first = ends the pointer; the value may hold more', () =>
    expect(parseJsonExpectation('/a=b=c')).toMatchObject({ tokens: ['a'], wanted: 'b=c' }));

  test.each([
    ['"UP"', 'UP', true],
    ['"UP"', '"UP"', true],
    ['"UP"', 'up', false],
    ['true', 'true', true],
    ['"true"', 'true', true],
    ['true', '"true"', false],
    ['null', 'null', true],
    ['3', '3', true],
    ['"3"', '3', true],
    ['"3"', '"3"', true],
    ['3', '"3"', false],
    ['1.0', '1', true],
    ['1e2', '100', true],
    ['9007199254740993', '9007199254740992', false],
    ['9007199254740993', '9007199254740993', true],
    ['0.1', '0.10', true],
    ['{"a":1,"b":[2]}', '{"b":[2],"a":1}', true],
    ['{"a":1}', '{"a":1,"b":2}', false],
    ['[1,2]', '[2,1]', false],
    ['[]', '{}', false],
    ['""', '', true],
    ['0', '', false],
  ])('%s equals %s: %s', (json, wanted, is) => expect(equals(parseJson(json), wanted)).toBe(is));
});

describe('patterns', () => {
  test('a pattern is found anywhere', async () => {
    // The time is a guard here: a slow machine may take a tenth of a second for anything.
    expect(await matchesWithin(parsePattern('rea[d]y'), 'is ready now', 20_000)).toBe(true);
    expect(await matchesWithin(parsePattern('^ready$'), 'is ready now', 20_000)).toBe(false);
  });

  test('signals and timers are heard between those that are asked for at once', async () => {
    await matchesWithin(parsePattern('a'), 'a', 20_000);
    const search = (signal?: AbortSignal) =>
      matchesWithin(parsePattern('^(a+)+$'), `${'a'.repeat(60)}!`, 20, signal);
    const order: string[] = [];
    const controller = new AbortController();
    setTimeout(() => {
      order.push('timer');
      controller.abort(new Error('time is up'));
    }, 5);
    await Promise.allSettled(
      ['first', 'second', 'third'].map((name) =>
        search(controller.signal).then(
          () => order.push(name),
          (error: Error) => order.push(`${name}: ${error.message}`),
        ),
      ),
    );
    // A slow machine may come to the timer before the first.
    expect(order.filter((word) => !word.startsWith('first'))).toEqual([
      'timer',
      'second: time is up',
      'third: time is up',
    ]);
    expect(await search()).toBeUndefined();
  });

  test.each(['(a+)+$', '^(a|a)*$', '(.*a){25}$'])(
    'one that backtracks for years (%s) is stopped in time',
    async (text) => {
      const start = performance.now();
      expect(await matchesWithin(parsePattern(text), `${'a'.repeat(60)}!`, patternTime)).toBeUndefined();
      expect(performance.now() - start).toBeLessThan(patternTime * 100);
    },
  );

  test.each(['(', '[a', '\\', 'a{2,1}', '(?i)x'])('%s is refused', (text) =>
    expect(() => parsePattern(text)).toThrow(
      /^[\\A-Za-z][A-Za-z {}]+; it is a regular expression as JavaScript/,
    ),
  );
  test('what is wrong is told without the pattern', () =>
    expect(() => parsePattern('(Xk9vQ2mPzL7rT4')).toThrow(/^Unterminated group; it is/));
});

describe('headers', () => {
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    vary: 'Accept, Origin',
    'set-cookie': ['a=1; Path=/', 'b=2'],
    'x-version': '1.2.3',
  };
  test.each([
    ['Content-Type', true],
    ['Content-Type: application/json', true],
    ['content-type: application/json; charset=utf-8', true],
    ['Content-Type: text/html', false],
    ['Vary: Origin', true],
    ['Vary: Ori', false],
    ['Set-Cookie: b=2', true],
    ['Set-Cookie: a=1', true],
    ['X-Version:1.2.3', true],
    ['X-Version: 1.2', false],
    ['X-Other', false],
    ['__proto__', false],
  ])('%s: %s', (text, holds) => expect(headerHolds(headers, parseHeaderExpectation(text))).toBe(holds));

  test.each(['', ': x', 'a b: c', 'ü: x'])('%j is refused', (text) =>
    expect(() => parseHeaderExpectation(text)).toThrow(/not a header/),
  );
});
