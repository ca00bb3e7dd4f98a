import type { ServerResponse } from 'node:http';

import { describe, expect, test } from 'vitest';

import { runInitbox, runToDeadline, startInitbox, terminationLog } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { serve, serveSockets, type Listening } from './servers.ts';

const answer = (response: ServerResponse, status: number, headers: Record<string, string> = {}): void =>
  void response.writeHead(status, headers).end();

/** Milliseconds between the requests that came. */
function gaps({ requests }: Listening): number[] {
  return requests.slice(1).map(({ at }, index) => at - (requests[index]?.at ?? at));
}

describe('Retry-After is obeyed', () => {
  test.each([429, 503])(
    'a server that answers %i and prolongs the block at each early request lets it in',
    async (status) => {
      let blockedUntil: number | undefined;
      await using api = await serve((_request, response) => {
        const now = performance.now();
        if (blockedUntil !== undefined && now >= blockedUntil) return answer(response, 200);
        blockedUntil = now + 1_000;
        return answer(response, status, { 'Retry-After': '1' });
      });
      const found = await runInitbox(['wait-http', api.url, '--timeout', '10s']);
      expect(found.status).toBe(0);
      expect(api.requests).toHaveLength(2);
    },
  );

  test('also where the user fixed a shorter interval, and where another status comes with it', async () => {
    let count = 0;
    await using api = await serve((_request, response) =>
      count++ < 2 ? answer(response, 202, { 'Retry-After': '1' }) : answer(response, 200),
    );
    const given = ['wait-http', api.url, '--status', '200', '--interval', '100ms', '--timeout', '10s'];
    expect((await runInitbox(given)).status).toBe(0);
    expect(api.requests).toHaveLength(3);
    for (const gap of gaps(api)) expect(gap).toBeGreaterThanOrEqual(1_000);
  });

  test('a date is read by the clock of the server that wrote it', async () => {
    let count = 0;
    await using api = await serve((_request, response) => {
      if (count++ > 0) return answer(response, 200);
      const yesterday = Date.now() - 86_400_000;
      return answer(response, 503, {
        Date: new Date(yesterday).toUTCString(),
        'Retry-After': new Date(yesterday + 2_000).toUTCString(),
      });
    });
    expect((await runInitbox(['wait-http', api.url, '--timeout', '10s'])).status).toBe(0);
    expect(gaps(api)).toHaveLength(1);
    expect(gaps(api)[0]).toBeGreaterThanOrEqual(2_000);
    expect(gaps(api)[0]).toBeLessThan(10_000);
  });

  test.each(['soon', '-5', 'NaN', '1e9', '5 minutes', '0'])(
    'a 503 whose value is %j is asked at the usual pace',
    async (value) => {
      await using api = await serve((_request, response) => answer(response, 503, { 'Retry-After': value }));
      const { status, stderr } = await runToDeadline(['wait-http', api.url, '--timeout', '1500ms']);
      expect(status).toBe(124);
      expect(stderr).not.toContain('Retry-After');
      expect(api.requests.length).toBeGreaterThan(5);
    },
  );

  test('a deadline inside the pause: 124 with the reason, and no further request', async () => {
    await using api = await serve((_request, response) => answer(response, 503, { 'Retry-After': '60' }));
    const log = terminationLog();
    const { status, stderr } = await runToDeadline([
      'wait-http',
      api.url,
      '--timeout',
      '2s',
      '--termination-log',
      log.path,
    ]);
    expect(status).toBe(124);
    expect(api.requests).toHaveLength(1);
    expect(log.read()).toContain('asked to wait 1m (Retry-After)');
    expect(log.read()).toContain('a longer --timeout');
    expect(stderr).toMatch(/0\/1 ready; .* answered 503, .*asked to wait 1m \(Retry-After\)/);
  });

  test('a pause of years is cut to an hour, in words', async () => {
    await using api = await serve((_request, response) =>
      answer(response, 429, { 'Retry-After': '1000000000' }),
    );
    const { status, stderr } = await runToDeadline(['wait-http', api.url, '--timeout', '1500ms']);
    expect(status).toBe(124);
    expect(stderr).toContain('asked to wait more than a year, of which 1h is waited (Retry-After)');
    expect(api.requests).toHaveLength(1);
  });

  test('SIGTERM inside the pause ends it at once', async () => {
    await using api = await serve((_request, response) => answer(response, 429, { 'Retry-After': '60' }));
    const waiting = await startInitbox(['wait-http', api.url]);
    await waiting.waitForStderr(/asked to wait 1m \(Retry-After\)/);
    waiting.kill('SIGTERM');
    expect((await within(promptly, waiting.exit)).status).toBe(143);
    expect(api.requests).toHaveLength(1);
  });

  test('attempts that overlap do not go round it', async () => {
    const told: number[] = [];
    await using api = await serve((_request, response) => {
      setTimeout(() => {
        told.push(performance.now());
        answer(response, 429, { 'Retry-After': '2' });
      }, 1_500);
    });
    const { status } = await runInitbox([
      'wait-http',
      api.url,
      '--interval',
      '200ms',
      '--attempt-timeout',
      '2s',
      '--timeout',
      '9s',
    ]);
    expect(status).toBe(124);
    // Until the first answer nobody knows; from then on there is one request at a time, two seconds after the answer.
    const later = api.requests.filter(({ at }) => at > (told[0] ?? 0));
    expect(later.length).toBeGreaterThanOrEqual(1);
    expect(later.length).toBeLessThanOrEqual(3);
    for (const { at } of later) expect(told.filter((time) => time < at - 1 && at - time < 1_990)).toEqual([]);
  });

  test('other targets go on at their own pace', async () => {
    await using slow = await serve((_request, response) =>
      slow.requests.length > 1 ? answer(response, 200) : answer(response, 429, { 'Retry-After': '3' }),
    );
    const begun = performance.now();
    await using other = await serve((_request, response) =>
      answer(response, performance.now() - begun > 2_000 ? 200 : 503),
    );
    const { status } = await runInitbox(['wait-http', slow.url, other.url, '--timeout', '20s']);
    expect(status).toBe(0);
    expect(slow.requests).toHaveLength(2);
    expect(gaps(slow)[0]).toBeGreaterThanOrEqual(3_000);
    expect(other.requests.length).toBeGreaterThan(5);
  });

  test('a proxy that asks for it, in its answer to CONNECT', async () => {
    await using proxy = await serveSockets((socket) => {
      socket.once('data', () =>
        socket.end('HTTP/1.1 429 Too Many Requests\r\nRetry-After: 2\r\nContent-Length: 0\r\n\r\n'),
      );
    });
    const { status, stderr } = await runInitbox(['wait-http', 'https://api.example/', '--timeout', '5s'], {
      env: { HTTPS_PROXY: proxy.url },
    });
    expect(status).toBe(124);
    expect(stderr).toContain('answered 429 to CONNECT, asked to wait 2s (Retry-After)');
    expect(proxy.connections).toBeLessThanOrEqual(3);
  });
});

describe('429 without Retry-After', () => {
  test('slows down: after 1 s, 1.5 s, 2.25 s', async () => {
    await using api = await serve((_request, response) => answer(response, 429));
    const { status } = await runInitbox(['wait-http', api.url, '--timeout', '6s']);
    expect(status).toBe(124);
    // 0, 1, 2.5 and 4.75 s, and the last attempt before the deadline.
    expect(api.requests.length).toBeGreaterThanOrEqual(4);
    expect(api.requests.length).toBeLessThanOrEqual(5);
  });

  test('a standby of Vault, whose health is 429, is no server that is asked too often', async () => {
    const begun = performance.now();
    await using vault = await serve((_request, response) =>
      answer(response, performance.now() - begun > 2_500 ? 200 : 429),
    );
    const found = await runInitbox(['wait-http', `${vault.url}/v1/sys/health?standbyok=false`]);
    expect(found.status).toBe(0);
    expect(vault.requests.length).toBeGreaterThan(5);
  });
});
