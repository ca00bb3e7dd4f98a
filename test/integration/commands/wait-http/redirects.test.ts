import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { runInitbox, runToDeadline } from '../../../support/program.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { serve } from './servers.ts';

const place = temporaryDirectory('wait-http-redirects');
afterAll(() => place.remove());
const bodyFile = join(place.path, 'body');
writeFileSync(bodyFile, '{"password":"body-canary"}');
const headerFile = join(place.path, 'headers');
writeFileSync(headerFile, 'Cookie: cookie-canary\nX-Vault-Token: token-canary\nX-Vault-Namespace: team\n');

describe('to another origin, though --cross-origin allows it', () => {
  test.each([307, 308])('a body that %i would send on is sent to nobody else', async (status) => {
    await using other = await serve((_request, response) => response.end());
    await using api = await serve((_request, response) =>
      response.writeHead(status, { Location: `${other.url}/x/path-canary` }).end(),
    );
    const { status: ended, stderr } = await runToDeadline([
      'wait-http',
      `${api.url}/login`,
      '--request-body-file',
      bodyFile,
      '--redirects',
      '1',
      '--cross-origin',
      '--timeout',
      '1s',
    ]);
    expect(other.requests).toEqual([]);
    expect(ended).toBe(124);
    expect(stderr).toContain(`${status} to ${other.url}: not followed, a body is sent to one origin only`);
    expect(stderr).not.toContain('canary');
  });

  test('303 asks for the answer without the body; no header goes with it, nor back to the first origin', async () => {
    await using other = await serve((_request, response) =>
      response.writeHead(302, { Location: `${api.url}/back` }).end(),
    );
    await using api = await serve((request, response) => {
      if (request.url === '/back') return response.end();
      return response.writeHead(303, { Location: `//127.0.0.1:${other.port}/x` }).end();
    });
    const { status } = await runInitbox([
      'wait-http',
      `${api.url}/login`,
      '--request-body-file',
      bodyFile,
      '--header-file',
      headerFile,
      '--redirects',
      '2',
      '--cross-origin',
      '--timeout',
      '5s',
    ]);
    expect(status).toBe(0);
    const told = [...other.requests, ...api.requests.filter(({ request }) => request.url === '/back')];
    expect(told).toHaveLength(2);
    for (const { request, body } of told) {
      expect(request.method).toBe('GET');
      expect(body).toBe('');
      expect(JSON.stringify(request.headers)).not.toMatch(/canary|team/);
    }
    expect(JSON.stringify(api.requests[0]?.request.headers)).toContain('token-canary');
  });
});

test('inside one origin headers and a body go along', async () => {
  await using api = await serve((request, response) =>
    request.url === '/new' ? response.end() : response.writeHead(308, { Location: '/new' }).end(),
  );
  const given = ['--header-file', headerFile, '--request-body-file', bodyFile, '--redirects', '1'];
  expect((await runInitbox(['wait-http', `${api.url}/old`, ...given])).status).toBe(0);
  expect(api.requests[1]?.body).toContain('body-canary');
  expect(JSON.stringify(api.requests[1]?.request.headers)).toContain('token-canary');
});
