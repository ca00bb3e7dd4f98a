import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { describe, expect, test } from 'vitest';

import { freePort } from '../../../support/ports.ts';
import { runInitbox, runToDeadline, startInitbox, terminationLog } from '../../../support/program.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { serve } from './servers.ts';

const folder = temporaryDirectory('wait-http').path;

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('wait-http', () => {
  test('a URL that answers: exit 0, nothing on standard output, one line on standard error', async () => {
    await using api = await serve((_request, response) => response.end('ok'));
    const result = await runInitbox(['wait-http', `${api.url}/healthz`]);
    expect(result).toMatchObject({ status: 0, stdout: '' });
    expect(result.stderr).toMatch(
      /^\S+ info {2}wait-http: http:\/\/127\.0\.0\.1:\d+\/healthz answered 200 \(127\.0\.0\.1:\d+\) after \S+\n$/,
    );
    expect(api.requests[0]?.request).toMatchObject({ method: 'GET', url: '/healthz', httpVersion: '1.1' });
    expect(api.open.size).toBe(0);
  });

  test('a server that comes up later', async () => {
    const port = await freePort();
    const waiting = await startInitbox(['wait-http', `http://127.0.0.1:${port}/`, '--timeout', '30s']);
    await waiting.waitForStderr(/connection refused \(127\.0\.0\.1\)/);
    await using _api = await serve((_request, response) => response.end(), { port });
    expect((await waiting.exit).status).toBe(0);
  });

  test('503 until it is ready; the hint says where to look', async () => {
    let ready = false;
    await using api = await serve((_request, response) => {
      response.statusCode = ready ? 200 : 503;
      response.end();
    });
    const log = terminationLog();
    const given = await runToDeadline([
      'wait-http',
      api.url,
      '--timeout',
      '1s',
      '--termination-log',
      log.path,
    ]);
    expect(given.status).toBe(124);
    expect(log.read()).toMatch(
      /answered 503, not 200-299 \(127\.0\.0\.1:\d+\).*attempts\nhint: .*readiness/s,
    );
    const waiting = await startInitbox(['wait-http', api.url]);
    await waiting.waitForStderr(/answered 503/);
    ready = true;
    expect((await waiting.exit).status).toBe(0);
  });

  test.each([
    ['404', 404],
    ['5xx', 503],
    ['200,401-403', 403],
    ['304', 304],
  ])('--status %s is met by %i (initium: a status that is not 2xx never matched)', async (given, status) => {
    await using api = await serve((_request, response) => {
      response.statusCode = status;
      response.end();
    });
    expect(await runInitbox(['wait-http', api.url, '--status', given])).toMatchObject({ status: 0 });
    const other = await runToDeadline(['wait-http', api.url, '--status', '201', '--timeout', '1s']);
    expect(other.stderr).toContain(`answered ${status}, not 201`);
    expect(other.status).toBe(124);
  });

  test('two expectations for the body see the same body (wait4x: the second saw nothing)', async () => {
    await using api = await serve((_request, response) => {
      response.setHeader('Content-Type', 'application/json; charset=utf-8');
      response.end('\uFEFF{"status":"UP","checks":[{"ok":true}],"version":"1.10"}');
    });
    const all = [
      '--body',
      'status',
      '--body',
      'UP',
      '--body-matches',
      '"ok":\\s*true',
      '--body-matches',
      'UP',
      '--json',
      '/status=UP',
      '--json',
      '/checks/0/ok=true',
      '--json',
      '/version=1.10',
      '--json',
      '/checks',
      '--expect-header',
      'Content-Type: application/json',
    ];
    // However long the machine takes for the first attempt, there is no second one meanwhile.
    const patient = ['--interval', '100s', '--attempt-timeout', '0'];
    expect(await runInitbox(['wait-http', api.url, ...all, ...patient])).toMatchObject({ status: 0 });
    expect(api.requests).toHaveLength(1);
    const missing = await runToDeadline(['wait-http', api.url, ...all, '--body', 'DOWN', '--timeout', '1s']);
    expect(missing.stderr).toContain('answered 200, a body without "DOWN"');
    expect(missing.status).toBe(124);
  });

  test('all expectations hold on one response, not each on some response', async () => {
    let number = 0;
    await using api = await serve((_request, response) => {
      number++;
      response.setHeader('X-Half', number % 2 === 0 ? 'yes' : 'no');
      response.end(number % 2 === 0 ? 'starting' : 'ready');
    });
    const given = ['--body', 'ready', '--expect-header', 'X-Half: yes', '--timeout', '1s'];
    const { status } = await runInitbox(['wait-http', api.url, ...given]);
    expect(status).toBe(124);
    expect(api.requests.length).toBeGreaterThan(4);
  });

  test('the request is the same at every attempt, its body too (wait4x: one stream for all attempts)', async () => {
    await using api = await serve((_request, response) => {
      response.statusCode = api.requests.length < 3 ? 503 : 200;
      response.end();
    });
    const body = file('body.json', '{"probe": "größe"}\n');
    const headers = file('headers', 'Content-Type: application/json\nX-Probe: init\nHost: api.internal\n');
    const { status } = await runInitbox([
      'wait-http',
      api.url,
      '--request-body-file',
      body,
      '--header-file',
      headers,
    ]);
    expect(status).toBe(0);
    expect(api.requests.length).toBeGreaterThanOrEqual(3);
    for (const { request, body: sent } of api.requests) {
      expect(request.method).toBe('POST');
      expect(request.headers).toMatchObject({
        host: 'api.internal',
        'x-probe': 'init',
        'content-type': 'application/json',
        'content-length': '21',
      });
      expect(sent).toBe('{"probe": "größe"}\n');
    }
  });

  test('each attempt has a connection of its own, and none is left open', async () => {
    await using api = await serve((_request, response) => {
      response.statusCode = 503;
      response.end('a body that nobody reads');
    });
    const waiting = await startInitbox(['wait-http', api.url, '--interval', '50ms', '--timeout', '1s']);
    await waiting.exit;
    expect(api.connections).toBe(api.requests.length);
    expect(api.connections).toBeGreaterThan(5);
    expect(api.open.size).toBe(0);
  });

  test('--any: one is enough; without it all must answer, and the log says which does not', async () => {
    await using api = await serve((_request, response) => response.end());
    const down = `http://127.0.0.1:${await freePort()}/`;
    expect(await runInitbox(['wait-http', down, api.url, '--any'])).toMatchObject({ status: 0 });
    const { status, stderr } = await runToDeadline(['wait-http', down, api.url, '--timeout', '1s']);
    expect(status).toBe(124);
    expect(stderr).toContain(`1/2 ready; ${down} connection refused`);
  });

  test('--stable-for: a failure in between starts the time again', async () => {
    await using api = await serve((_request, response) => {
      response.statusCode = api.requests.length === 4 ? 500 : 200;
      response.end();
    });
    const { status } = await runInitbox([
      'wait-http',
      api.url,
      '--stable-for',
      '500ms',
      '--interval',
      '100ms',
    ]);
    expect(status).toBe(0);
    const failed = api.requests[3]?.at ?? 0;
    expect((api.requests.at(-1)?.at ?? 0) - failed).toBeGreaterThanOrEqual(500);
  });

  test('--invert: until it no longer answers so', async () => {
    let up = true;
    await using api = await serve((_request, response) => {
      response.statusCode = up ? 200 : 410;
      response.end();
    });
    const waiting = await startInitbox(['wait-http', api.url, '--invert']);
    await waiting.waitForStderr(/still there: answered 200/);
    up = false;
    expect((await waiting.exit).stderr).toContain('gone: answered 410');
    const closed = await runInitbox(['wait-http', `http://127.0.0.1:${await freePort()}`, '--invert']);
    expect(closed).toMatchObject({ status: 0 });
  });

  test('a unix socket', async () => {
    const path = join(folder, 'app.sock');
    const missing = await runToDeadline(['wait-http', `unix:${path}:/healthz`, '--timeout', '1s']);
    expect(missing.stderr).toContain(`unix:${path}:/healthz no such socket`);
    await using api = await serve((_request, response) => response.end('ready'), { path });
    const found = await runInitbox(['wait-http', `unix:${path}:/healthz`, '--body', 'ready'], {
      env: { HTTP_PROXY: 'http://127.0.0.1:1' },
    });
    expect(found).toMatchObject({ status: 0 });
    expect(api.requests[0]?.request).toMatchObject({ url: '/healthz', headers: { host: 'localhost' } });
  });

  test('user and password of a URL are sent, redacted and warned about; values of the answer are not told', async () => {
    await using api = await serve((_request, response) => response.end('{"token":"tell-nobody"}'));
    const log = terminationLog();
    const { stderr, stdout, status } = await runToDeadline([
      'wait-http',
      `http://probe:hunter2@127.0.0.1:${api.port}/`,
      '--json',
      '/token=x',
      '--timeout',
      '1s',
      '--log-level',
      'debug',
      '--termination-log',
      log.path,
    ]);
    expect(status).toBe(124);
    expect(api.requests[0]?.request.headers.authorization).toBe(
      `Basic ${Buffer.from('probe:hunter2').toString('base64')}`,
    );
    expect(stderr).toContain('holds a password');
    expect(stdout + stderr + log.read()).not.toMatch(/hunter2|tell-nobody|cHJvYmU6/);
  });

  test('headers from files and variables are secrets', async () => {
    await using api = await serve((_request, response) => response.end());
    const { status, stderr } = await runInitbox(
      [
        'wait-http',
        api.url,
        '--header-file',
        file('token', 'Authorization: Bearer abcdefgh\n'),
        '--header-env',
        'X-Key=API_KEY',
        '--log-level',
        'debug',
      ],
      { env: { API_KEY: 'ijklmnop' } },
    );
    expect(status).toBe(0);
    expect(api.requests[0]?.request.headers).toMatchObject({
      authorization: 'Bearer abcdefgh',
      'x-key': 'ijklmnop',
    });
    expect(stderr).not.toMatch(/abcdefgh|ijklmnop/);
  });

  test('a body in an encoding that was not asked for is named', async () => {
    await using api = await serve((_request, response) => {
      response.setHeader('Content-Encoding', 'gzip');
      response.end(gzipSync('ready'));
    });
    const { stderr } = await runToDeadline(['wait-http', api.url, '--body', 'ready', '--timeout', '1s']);
    expect(stderr).toContain('a body in gzip, which was not asked for');
  });

  test.each([
    ['not JSON', '<html>', 'no JSON in its body (it is not JSON'],
    ['cut JSON', '{"status":', 'it ends in the middle of the JSON'],
    ['an empty body', '', 'an empty body instead of JSON'],
    ['another value', '{"status":"DOWN"}', '/status "DOWN", not "UP"'],
    ['no such member', '{"state":"UP"}', 'nothing at /status of its JSON'],
    ['an object', '{"status":{"a":1}}', '/status an object, not "UP"'],
    ['deep nesting', '['.repeat(200_000), 'JSON'],
  ])('--json on %s: not yet, in words', async (_what, body, words) => {
    await using api = await serve((_request, response) => response.end(body));
    const { status, stderr } = await runToDeadline([
      'wait-http',
      api.url,
      '--json',
      '/status=UP',
      '--timeout',
      '1s',
    ]);
    expect(status).toBe(124);
    expect(stderr).toContain(words);
  });
});

describe('redirects', () => {
  test('are not followed unless told; where they lead is said without the query', async () => {
    await using api = await serve((request, response) => {
      if (request.url?.startsWith('/new')) response.end('ready');
      else response.writeHead(302, { Location: '/new?session=abc123' }).end();
    });
    const { stderr } = await runToDeadline(['wait-http', `${api.url}/old`, '--timeout', '1s']);
    expect(stderr).toContain('answered 302 to /new, not 200-299');
    expect(stderr).toContain('--redirects 1');
    expect(stderr).not.toContain('abc123');
    expect(
      await runInitbox(['wait-http', `${api.url}/old`, '--redirects', '1', '--body', 'ready']),
    ).toMatchObject({
      status: 0,
    });
  });

  test('one that is waited for is the answer, even where redirects are followed', async () => {
    await using api = await serve((_request, response) => response.writeHead(301, { Location: '/x' }).end());
    const found = await runInitbox([
      'wait-http',
      api.url,
      '--status',
      '3xx',
      '--redirects',
      '5',
      '--interval',
      '10s',
    ]);
    expect(found).toMatchObject({ status: 0 });
    expect(api.requests).toHaveLength(1);
  });

  test('a loop ends with the count', async () => {
    await using api = await serve((_request, response) => response.writeHead(302, { Location: '/' }).end());
    const { stderr } = await runToDeadline(['wait-http', api.url, '--redirects', '3', '--timeout', '1500ms']);
    expect(stderr).toContain('not followed, --redirects allows 3');
  });

  test('another host is not followed, and with --cross-origin gets no headers', async () => {
    await using other = await serve((_request, response) => response.end('other'), { host: '127.0.0.2' });
    await using api = await serve((_request, response) =>
      response.writeHead(307, { Location: other.url }).end(),
    );
    const headers = file('secret', 'Authorization: Bearer abcdefgh\n');
    const given = ['wait-http', api.url, '--redirects', '1', '--header-file', headers];
    const refused = await runToDeadline([...given, '--timeout', '1s']);
    expect(refused.stderr).toContain('not followed, it is another origin');
    expect(refused.status).toBe(124);
    expect(other.requests).toHaveLength(0);
    expect(await runInitbox([...given, '--cross-origin'])).toMatchObject({ status: 0 });
    expect(other.requests[0]?.request.headers.authorization).toBeUndefined();
  });

  test('after a POST a 302 asks by GET, a 307 by POST again', async () => {
    await using api = await serve((request, response) => {
      if (request.url === '/end') response.end();
      else response.writeHead(request.url === '/see' ? 302 : 307, { Location: '/end' }).end();
    });
    const body = file('post', 'x=1');
    const ask = (path: string) =>
      runInitbox(['wait-http', `${api.url}${path}`, '--request-body-file', body, '--redirects', '1']);
    expect(await ask('/see')).toMatchObject({ status: 0 });
    expect(await ask('/same')).toMatchObject({ status: 0 });
    expect(api.requests.map(({ request, body: sent }) => [request.method, request.url, sent])).toEqual([
      ['POST', '/see', 'x=1'],
      ['GET', '/end', ''],
      ['POST', '/same', 'x=1'],
      ['POST', '/end', 'x=1'],
    ]);
  });
});

describe('bad input: exit 2, one error, nothing asked', () => {
  test.each([
    [[], 'no URL was given; for example: initbox wait-http'],
    [['api:8080'], '"api:8080" has no scheme; write http://api:8080'],
    [['http://a/', '--status', '20x'], '--status: "20x" is not a status'],
    [['http://a/', '--status', '1xx'], 'never the final answer'],
    [['http://a/', '--json', 'status=UP'], '--json: "status" is not a JSON pointer'],
    [['http://a/', '--body-matches', '('], '--body-matches: '],
    [['http://a/', '--body', ''], '--body is empty'],
    [['http://a/', '--expect-header', 'a b'], '--expect-header: "a b" is not a header'],
    [['http://a/', '--method', 'FETCH'], '--method: "FETCH" is not one of'],
    [['http://a/', '--method', 'HEAD', '--body', 'x'], 'an answer to HEAD has no body'],
    [['http://a/', '--status', '204', '--json', '/a'], 'an answer 204 has no body'],
    [['http://a/', '--max-size', '1KB'], '--max-size: "1KB" is not a size'],
    [['http://a/', '--request-body-file', '/nonexistent'], 'there is no file /nonexistent'],
    [['http://a/', '--header-file', '/nonexistent'], 'there is no file /nonexistent'],
    [['http://a/', '--header-env', 'X=NOT_SET'], 'the variable NOT_SET is not set'],
    [['http://a/', '--ca-file', '/nonexistent'], 'there is no file /nonexistent'],
    [['http://a/', '--ca-file', '/etc/hostname'], 'is not in PEM format'],
    [['http://a/', '--cert-file', '/x'], '--cert-file needs --key-file beside it'],
    [['http://a/', '--redirects', '99'], 'is not a whole number from 0 to 20'],
    [['http://a/', '--attempt-timeout', 'soon'], '--attempt-timeout'],
    [['http://a/', '--boby', 'x'], '--body'],
  ])('%j', async (args, words) => {
    const { status, stderr, stdout } = await runInitbox(['wait-http', ...args]);
    expect(stderr).toContain(words);
    expect(stdout).toBe('');
    expect(status).toBe(2);
  });

  test('a credential for URLs of several places is refused: it would go to all of them', async () => {
    await using api = await serve((_request, response) => response.end());
    await using other = await serve((_request, response) => response.end());
    const { status, stderr } = await runInitbox([
      'wait-http',
      api.url,
      other.url,
      '--header-file',
      file('both', 'Authorization: Bearer abcdefgh'),
    ]);
    expect(status).toBe(2);
    expect(stderr).toContain('the header Authorization is given for URLs at 2 places');
    expect(api.requests.length + other.requests.length).toBe(0);
  });

  test('header lines with line breaks inside cannot be smuggled in', async () => {
    const { status, stderr } = await runInitbox(
      ['wait-http', 'http://127.0.0.1:1/', '--header-env', 'X-A=VALUE'],
      {
        env: { VALUE: 'a\r\nX-Evil: yes' },
      },
    );
    expect(status).toBe(2);
    expect(stderr).toContain('holds a character that no header can have');
  });
});
