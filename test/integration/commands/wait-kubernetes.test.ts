// What the API server may do, by a small one of the test's own over TLS; test/kubernetes has the real one.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { ApiServer, json, status, type StoredObject } from '../../support/api-server.ts';
import {
  canRunAsPid1,
  runInitbox,
  runToDeadline,
  startInitbox,
  terminationLog,
  type RunningProgram,
} from '../../support/program.ts';
import { promptly, within } from '../../support/promptly.ts';
import { createCertificateAuthority } from '../../support/tls.ts';
import { requireOrSkip } from '../../support/tools.ts';
import { waitUntil } from '../../support/wait-until.ts';

const jobs = '/apis/batch/v1/namespaces/default/jobs';
const pods = '/api/v1/namespaces/default/pods';
const secrets = '/api/v1/namespaces/default/secrets';

const job = (conditions: readonly object[] = [], name = 'migrate'): StoredObject => ({
  metadata: { name, namespace: 'default' },
  spec: { completions: 1 },
  status: { active: 1, conditions },
});
const complete = job([{ type: 'Complete', status: 'True' }]);
const failed = job([
  { type: 'Failed', status: 'True', reason: 'BackoffLimitExceeded', message: 'too many failures' },
]);
const pod = (name: string, ready: boolean, phase = 'Running'): StoredObject => ({
  metadata: { name, namespace: 'default' },
  status: { phase, conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
});

const token = { token: 'hunter2-hunter2' };

/** Starts it, and resolves once its watch runs. */
async function watching(
  api: ApiServer,
  args: readonly string[],
  user: object = token,
): Promise<RunningProgram> {
  const KUBECONFIG = api.kubeconfig(user as Record<string, unknown>);
  const running = await startInitbox(['wait-kubernetes', ...args], { env: { KUBECONFIG } });
  await waitUntil(() => api.watching > 0, {
    timeout: 60_000,
    what: () => `a watch; so far: ${running.stderr}`,
  });
  return running;
}

const countOf = (api: ApiServer, watch: boolean): number =>
  api.requests.filter(({ query }) => query.has('watch') === watch).length;

describe('wait-kubernetes', () => {
  test('a Job that is made, runs and is complete: one list, one watch', async () => {
    await using api = await ApiServer.start();
    const running = await watching(api, ['job/migrate']);
    await running.waitForStderr(/job default\/migrate is not there/);
    api.set(jobs, job());
    await running.waitForStderr(/has 0 of 1 completions, 1 active pods/);
    api.set(jobs, complete);
    const { status: exit, stderr, stdout } = await within(promptly, running.exit);
    expect({ exit, stdout }).toEqual({ exit: 0, stdout: '' });
    expect(stderr).toContain('job default/migrate is complete after');
    expect(stderr).not.toContain('hunter2');
    expect([countOf(api, false), countOf(api, true)]).toEqual([1, 1]);
    expect(api.requests[0]?.query.get('fieldSelector')).toBe('metadata.name=migrate');
  });

  test('a Job that is complete already needs no watch', async () => {
    await using api = await ApiServer.start();
    api.set(jobs, complete);
    const env = { KUBECONFIG: api.kubeconfig(token) };
    expect(await runInitbox(['wait-kubernetes', 'job/migrate'], { env })).toMatchObject({ status: 0 });
    expect(countOf(api, true)).toBe(0);
  });

  test('a Job that has failed ends it, with its reason', async () => {
    await using api = await ApiServer.start();
    api.set(jobs, job());
    const log = terminationLog();
    const running = await watching(api, ['job/migrate', '--termination-log', log.path]);
    api.set(jobs, failed);
    const result = await running.exit;
    expect(result.status).toBe(69);
    for (const said of [result.stderr, log.read()])
      expect(said).toContain('has failed (BackoffLimitExceeded: too many failures)');
  });

  test('--for ended: a failed one counts, as a complete one does', async () => {
    await using api = await ApiServer.start();
    const running = await watching(api, ['job/migrate', 'pod/task', '--for', 'ended']);
    await running.waitForStderr(/job default\/migrate is not there/);
    api.set(jobs, job());
    api.set(pods, pod('task', true));
    await running.waitForStderr(/pod default\/task has not ended \(Running\)/);
    api.set(jobs, failed);
    api.set(pods, pod('task', false, 'Failed'));
    const { status: exit, stderr } = await running.exit;
    expect({ exit, stderr }).toMatchObject({
      exit: 0,
      stderr: expect.stringMatching(
        /job default\/migrate has failed \(BackoffLimitExceeded: too many failures\)/,
      ),
    });
    expect(stderr).toContain('pod default/task has failed');
    const env = { KUBECONFIG: api.kubeconfig(token) };
    api.set(jobs, complete);
    expect(await runInitbox(['wait-kubernetes', 'job/migrate', '--for', 'ended'], { env })).toMatchObject({
      status: 0,
    });
    expect(await runInitbox(['wait', 'kubernetes:secret/x?for=ended'], { env })).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('for=ended is for a Job or a Pod'),
    });
  });

  test('deleted and made again: a failed one that is going is waited out', async () => {
    await using api = await ApiServer.start();
    api.set(jobs, { ...failed, metadata: { ...failed.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' } });
    const running = await watching(api, ['job/migrate']);
    await running.waitForStderr(/and is being deleted/);
    api.delete(jobs, 'migrate');
    await running.waitForStderr(/is not there/);
    api.set(jobs, job());
    api.set(jobs, complete);
    expect(await running.exit).toMatchObject({ status: 0 });
  });

  test('complete and deleted in the same moment: it was complete', async () => {
    await using api = await ApiServer.start();
    api.set(jobs, job());
    const running = await watching(api, ['job/migrate']);
    api.set(jobs, complete);
    api.delete(jobs, 'migrate');
    expect(await running.exit).toMatchObject({ status: 0 });
  });

  test('the event of its deletion alone says that it was complete', async () => {
    await using api = await ApiServer.start();
    api.set(jobs, job());
    const running = await watching(api, ['job/migrate']);
    api.delete(jobs, 'migrate', complete);
    expect(await running.exit).toMatchObject({ status: 0 });
  });

  test('one that had failed when it was deleted is made again', async () => {
    await using api = await ApiServer.start();
    api.set(jobs, job());
    const running = await watching(api, ['job/migrate']);
    api.delete(jobs, 'migrate', failed);
    await running.waitForStderr(/is not there/);
    api.set(jobs, complete);
    expect(await running.exit).toMatchObject({ status: 0 });
  });

  test('a message of 100 kB does not hide whose it is', async () => {
    await using api = await ApiServer.start();
    const message = 'x'.repeat(100_000);
    api.set(jobs, job([{ type: 'Failed', status: 'True', reason: 'BackoffLimitExceeded', message }]));
    const env = { KUBECONFIG: api.kubeconfig(token) };
    expect(await runInitbox(['wait-kubernetes', 'job/migrate'], { env })).toMatchObject({
      status: 69,
      stderr: expect.stringMatching(/migrate.*has failed \(BackoffLimitExceeded: \(97\.7 KiB of text\)\)/),
    });
  });

  test('a Pod that is ready for a moment only, and one that has finished', async () => {
    await using api = await ApiServer.start();
    const running = await watching(api, ['pod/fast']);
    api.set(pods, pod('fast', true));
    api.set(pods, pod('fast', false));
    expect(await running.exit).toMatchObject({ status: 0 });
    api.set(pods, pod('done', false, 'Succeeded'));
    const env = { KUBECONFIG: api.kubeconfig(token) };
    expect(await runInitbox(['wait-kubernetes', 'pod/done'], { env })).toMatchObject({ status: 0 });
  });

  test('so many Pods that labels select', async () => {
    await using api = await ApiServer.start();
    api.set(pods, pod('a', true));
    api.set(pods, pod('b', false));
    const running = await watching(api, ['pods', '-l', 'app=web', '--count', '2']);
    await running.waitForStderr(/1 of at least 2; b is not ready \(Running\)/);
    api.set(pods, pod('c', true));
    expect(await running.exit).toMatchObject({ status: 0 });
    expect(api.requests[0]?.query.get('labelSelector')).toBe('app=web');
  });

  test('an absence, also of a Job that has failed', async () => {
    await using api = await ApiServer.start();
    api.set(jobs, failed);
    const running = await watching(api, ['job/migrate', '--invert', '--for', 'condition=Complete']);
    api.delete(jobs, 'migrate');
    expect(await running.exit).toMatchObject({ status: 0 });
  });

  test('a key of a Secret; its values never get into the log', async () => {
    await using api = await ApiServer.start();
    const data = { user: 'YWRtaW4taXMtaGVyZQ==' };
    api.set(secrets, { metadata: { name: 'db', namespace: 'default' }, data });
    const running = await watching(api, [
      'secret/db',
      '--key=password',
      '--for=jsonpath={.data.user}=x',
      '--log-level=debug',
    ]);
    await running.waitForStderr(/has another value at \{\.data\.user\}/);
    api.set(secrets, {
      metadata: { name: 'db', namespace: 'default' },
      data: { user: 'x', password: 'eA==' },
    });
    const result = await running.exit;
    expect(result.status).toBe(0);
    expect(result.stderr).not.toContain(data.user);
  });

  test('of what must only be there, no more than metadata is asked for', async () => {
    await using api = await ApiServer.start();
    api.set(secrets, { metadata: { name: 'db', namespace: 'default' } });
    const env = { KUBECONFIG: api.kubeconfig(token) };
    expect(await runInitbox(['wait-kubernetes', 'secret/db'], { env })).toMatchObject({ status: 0 });
    expect(api.requests[0]?.accept).toContain('as=PartialObjectMetadataList');
  });

  test('a custom resource is found by discovery, and need not be known yet', async () => {
    await using api = await ApiServer.start();
    let installed = false;
    api.fault = ({ path }, response) => {
      if (!/^\/apis\/cert-manager\.io(\/v1)?$/.test(path)) return false;
      if (!installed) status(response, 404, 'NotFound', 'page not found');
      else if (path.endsWith('/v1'))
        json(response, 200, {
          resources: [
            { name: 'certificates', singularName: 'certificate', kind: 'Certificate', namespaced: true },
          ],
        });
      else json(response, 200, { preferredVersion: { version: 'v1' }, versions: [{ version: 'v1' }] });
      return true;
    };
    const env = { KUBECONFIG: api.kubeconfig(token) };
    const running = await startInitbox(
      ['wait-kubernetes', 'certificate.cert-manager.io/web', '--for=condition=Ready'],
      { env },
    );
    await running.waitForStderr(/does not have certificate\S* yet/);
    installed = true;
    api.set('/apis/cert-manager.io/v1/namespaces/default/certificates', {
      metadata: { name: 'web', namespace: 'default', generation: 1 },
      status: { conditions: [{ type: 'Ready', status: 'True', observedGeneration: 1 }] },
    });
    expect(await running.exit).toMatchObject({ status: 0 });
  });
});

describe('faults', () => {
  test('an API server that restarts: the watch goes on where it was, without a list', async () => {
    await using api = await ApiServer.start();
    api.set(jobs, job());
    const running = await watching(api, ['job/migrate']);
    await api.down();
    await running.waitForStderr(/connection refused/);
    api.set(jobs, complete);
    api.delete(jobs, 'migrate');
    await api.up();
    expect(await running.exit).toMatchObject({ status: 0 });
    expect(countOf(api, false)).toBe(1);
  });

  test('410 Gone: it is listed anew', async () => {
    await using api = await ApiServer.start();
    api.set(jobs, job());
    const running = await watching(api, ['job/migrate']);
    await api.down();
    api.set(jobs, complete);
    api.forget();
    await api.up();
    expect(await running.exit).toMatchObject({ status: 0 });
    expect(countOf(api, false)).toBe(2);
  });

  test.each([
    ['half a line and the end', (api: ApiServer) => (api.write('{"type":"MODIF'), api.cutConnections())],
    ['a line that is no JSON', (api: ApiServer) => api.write('<html>\n')],
    ['an end without a word', (api: ApiServer) => api.endWatches()],
    ['an event that is an error', (api: ApiServer) => api.write('{"type":"ERROR","object":{"code":500}}\n')],
    ['an event that is none', (api: ApiServer) => api.write('[]\n')],
  ])('%s: it goes on', async (_name, fault) => {
    await using api = await ApiServer.start();
    api.set(jobs, job());
    const running = await watching(api, ['job/migrate']);
    const before = countOf(api, true);
    fault(api);
    await waitUntil(() => countOf(api, true) > before && api.watching > 0, {
      timeout: 60_000,
      what: 'another watch',
    });
    api.set(jobs, complete);
    expect(await running.exit).toMatchObject({ status: 0 });
  });

  test('an event of a kind that nobody knows: it is listed anew, and the object of it is not believed', async () => {
    await using api = await ApiServer.start();
    api.set(jobs, job());
    const running = await watching(api, ['job/migrate']);
    const object = { ...complete, metadata: { ...complete.metadata, resourceVersion: '999' } };
    api.write(`${JSON.stringify({ type: 'REPLACED', object })}\n`);
    await waitUntil(() => countOf(api, false) === 2 && api.watching > 0, {
      timeout: 60_000,
      what: () => `a second list and watch; so far: ${running.stderr}`,
    });
    expect(running.child.exitCode).toBeNull();
    api.set(jobs, complete);
    expect(await running.exit).toMatchObject({ status: 0 });
    expect(countOf(api, false)).toBe(2);
  });

  const elsewhere = { ...complete, metadata: { name: 'migrate', namespace: 'other' } };

  test('an object of another namespace in a list is not believed', async () => {
    await using api = await ApiServer.start();
    api.set(jobs, elsewhere);
    const running = await watching(api, ['job/migrate']);
    await running.waitForStderr(/job default\/migrate is not there/);
    api.set(jobs, complete);
    expect(await running.exit).toMatchObject({ status: 0 });
  });

  test('an object of another namespace in a watch is not believed, nor is its end', async () => {
    await using api = await ApiServer.start();
    api.set(jobs, job());
    const running = await watching(api, ['job/migrate', '--for', 'ended']);
    await running.waitForStderr(/has 0 of 1 completions/);
    const stored = { ...elsewhere, metadata: { ...elsewhere.metadata, resourceVersion: '120' } };
    for (const type of ['ADDED', 'MODIFIED', 'DELETED'])
      api.write(`${JSON.stringify({ type, object: stored })}\n`);
    // What comes after it is taken, on the same watch.
    api.set(jobs, { ...job(), spec: { suspend: true } });
    await running.waitForStderr(/is suspended/);
    expect([countOf(api, false), countOf(api, true)]).toEqual([1, 1]);
    api.set(jobs, complete);
    const { status: exit, stderr } = await running.exit;
    expect(exit).toBe(0);
    expect(stderr).not.toContain('is not there');
  });

  test('a watch that has died in silence is noticed after its time', async () => {
    await using api = await ApiServer.start();
    api.set(jobs, job());
    let silent = true;
    api.fault = ({ query }, response) => {
      if (!query.has('watch') || !silent) return false;
      // It accepts the watch and never says a word again, not even at its end.
      silent = false;
      response.writeHead(200).flushHeaders();
      return true;
    };
    const env = { KUBECONFIG: api.kubeconfig(token) };
    const running = await startInitbox(['wait-kubernetes', 'job/migrate', '--watch-for=1s'], { env });
    await waitUntil(() => !silent, { timeout: 60_000, what: 'the first watch' });
    api.set(jobs, complete);
    expect(await running.exit).toMatchObject({ status: 0 });
  });

  test('an expired token: the file is read again, at once where it has changed', async () => {
    await using api = await ApiServer.start();
    api.set(jobs, job());
    const tokenFile = join(api.folder, 'token');
    writeFileSync(tokenFile, 'first-token\n');
    api.tokens.add('first-token');
    const running = await watching(api, ['job/migrate'], { tokenFile });
    api.tokens.clear();
    api.tokens.add('second-token');
    api.endWatches();
    await running.waitForStderr(/does not accept the token in \S+ \(401\)/);
    writeFileSync(tokenFile, 'second-token\n');
    api.set(jobs, complete);
    const result = await running.exit;
    expect(result.status).toBe(0);
    expect(result.stderr).not.toMatch(/first-token|second-token/);
  });

  test('401 to a token that stays the same ends it', async () => {
    await using api = await ApiServer.start();
    api.tokens.add('another-token');
    const env = { KUBECONFIG: api.kubeconfig(token) };
    const result = await runInitbox(['wait-kubernetes', 'job/migrate'], { env });
    expect(result.status).toBe(69);
    expect(result.stderr).toContain('the API server does not accept the token (401)');
    expect(result.stderr).not.toContain('hunter2');
  });

  test.each(['list', 'watch'])(
    '403 to %s says which right is missing, is waited for a while, and ends it',
    async (verb) => {
      await using api = await ApiServer.start();
      api.set(jobs, job());
      api.fault = ({ query }, response) => {
        if (query.has('watch') !== (verb === 'watch')) return false;
        status(
          response,
          403,
          'Forbidden',
          'jobs.batch is forbidden: User "system:serviceaccount:default:app" cannot do that',
        );
        return true;
      };
      const env = { KUBECONFIG: api.kubeconfig(token) };
      const result = await runInitbox(['wait-kubernetes', 'job/migrate'], { env });
      expect(result.status).toBe(69);
      expect(result.stderr).toContain(
        `system:serviceaccount:default:app may not ${verb} jobs.batch "migrate" in the namespace default (403)`,
      );
      expect(result.stderr).toContain('hint: a Role in the namespace default is missing');
      expect(result.stderr).toContain(
        'initbox wait-kubernetes jobs.batch/default/migrate --print-role prints it',
      );
    },
  );

  test('a right that is given a moment later', async () => {
    await using api = await ApiServer.start();
    api.set(jobs, complete);
    let refused = 0;
    api.fault = (_request, response) => {
      if (refused >= 3) return false;
      refused += 1;
      status(response, 403, 'Forbidden', 'no');
      return true;
    };
    const env = { KUBECONFIG: api.kubeconfig(token) };
    expect(await runInitbox(['wait-kubernetes', 'job/migrate'], { env })).toMatchObject({ status: 0 });
  });

  test('503 and 429 with Retry-After are waited out', async () => {
    await using api = await ApiServer.start();
    api.set(jobs, complete);
    let asked = 0;
    api.fault = (_request, response) => {
      asked += 1;
      if (asked > 2) return false;
      response.setHeader('Retry-After', '1');
      status(response, asked === 1 ? 429 : 503, 'TooManyRequests', 'later');
      return true;
    };
    const env = { KUBECONFIG: api.kubeconfig(token) };
    const result = await runInitbox(['wait-kubernetes', 'job/migrate'], { env });
    expect(result.status).toBe(0);
    expect(asked).toBe(3);
  });

  test('a certificate of an authority that is not trusted', async () => {
    await using api = await ApiServer.start();
    await using other = await ApiServer.start();
    const env = {
      KUBECONFIG: api.kubeconfig(token, { server: `https://localhost:${other.port}` }),
    };
    const { stderr } = await runToDeadline(['wait-kubernetes', '--timeout', '2s', 'job/migrate'], { env });
    expect(stderr).toContain('comes from an authority that is not trusted here');
    expect(other.requests).toEqual([]);
  });

  test('SIGTERM ends it', async () => {
    await using api = await ApiServer.start();
    const running = await watching(api, ['job/migrate']);
    running.kill('SIGTERM');
    expect(await within(promptly, running.exit)).toMatchObject({ status: 143 });
  });
});

describe.skipIf(requireOrSkip('a mount namespace of its own', canRunAsPid1()))('a service account', () => {
  test('its token, its authority and its namespace are taken; without a token it is said why', async () => {
    await using api = await ApiServer.start();
    api.set('/apis/batch/v1/namespaces/shop/jobs', {
      ...complete,
      metadata: { name: 'migrate', namespace: 'shop' },
    });
    api.tokens.add('projected-token');
    // Nobody but this process sees what is mounted over /run.
    const inPod = (held: string): string[] => [
      'unshare',
      '--mount',
      'sh',
      '-ec',
      `mount -t tmpfs none /run
      folder=/var/run/secrets/kubernetes.io/serviceaccount
      mkdir -p $folder
      cp "$0" $folder/ca.crt
      printf shop > $folder/namespace
      ${held === '' ? '' : `printf ${held} > $folder/token`}
      exec "$@"`,
      api.authorityFile,
    ];
    const env = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: String(api.port) };
    const result = await runInitbox(['wait-kubernetes', 'job/migrate'], {
      env,
      prefix: inPod('projected-token'),
    });
    expect(result.stderr).toContain('job shop/migrate is complete');
    expect(result.stderr).not.toContain('projected-token');
    expect(result.status).toBe(0);
    expect(api.requests[0]?.authorization).toBe('Bearer projected-token');
    const without = await runInitbox(['wait-kubernetes', 'job/migrate'], { env, prefix: inPod('') });
    expect(without.status).toBe(2);
    expect(without.stderr).toContain('is automountServiceAccountToken off?');
  });
});

describe('kubeconfig', () => {
  test.each([
    ['exec', { exec: { command: 'aws' } }, 'gets its credentials from a program (exec)'],
    ['half a certificate', { 'client-key-data': 'eA==' }, 'client-key-data is not in PEM format'],
  ])('%s is refused with what to do', async (_name, user, words) => {
    await using api = await ApiServer.start();
    const result = await runInitbox(['wait-kubernetes', 'job/migrate'], {
      env: { KUBECONFIG: api.kubeconfig(user) },
    });
    expect(result.status).toBe(2);
    expect(result.stderr).toContain(words);
    expect(api.requests).toEqual([]);
  });

  test.each([
    [
      'another key',
      'a',
      'b',
      /client-key-data: this is not the key of the certificate \(.*client-certificate-data\)/,
    ],
    [
      'a key in place of the certificate',
      'key of a',
      'a',
      /client-certificate-data: the file holds no certificate/,
    ],
  ])('%s is told before anybody is asked', async (_name, certificate, key, words) => {
    const authority = await createCertificateAuthority('Client CA');
    using _authority = { [Symbol.dispose]: () => authority.remove() };
    const [first, second] = [await authority.client('a'), await authority.client('b')];
    const base64 = (path: string): string => readFileSync(path).toString('base64');
    await using api = await ApiServer.start();
    const result = await runInitbox(['wait-kubernetes', 'job/migrate', '--timeout', '3s'], {
      env: {
        KUBECONFIG: api.kubeconfig({
          'client-certificate-data': base64(certificate === 'a' ? first.certificateFile : first.keyFile),
          'client-key-data': base64(key === 'a' ? first.keyFile : second.keyFile),
        }),
      },
    });
    expect(result.stderr).toMatch(words);
    expect(result.status).toBe(2);
    expect(api.requests).toEqual([]);
  });

  test.each<[string, Record<string, unknown>, Record<string, unknown>, string]>([
    ['server', {}, { server: 'https://$(HOST):6443' }, 'server cannot be used'],
    ['server’s path', {}, { server: 'https://127.0.0.1:1/$(P)' }, 'server cannot be used'],
    ['server’s template', {}, { server: 'https://{{ .host }}:6443' }, 'server cannot be used'],
    ['proxy-url', {}, { 'proxy-url': 'http://${PROXY}' }, 'proxy-url cannot be used'],
    ['tls-server-name', {}, { 'tls-server-name': '$(N)' }, 'tls-server-name cannot be used'],
    [
      'certificate-authority',
      {},
      { 'certificate-authority': '$(CA)' },
      'certificate-authority cannot be used',
    ],
    ['token', { token: '$(TOKEN)' }, {}, 'token cannot be used'],
    ['tokenFile', { tokenFile: '$(F)' }, {}, 'tokenFile cannot be used'],
    ['tokenFile that is not there', { tokenFile: 'none' }, {}, 'tokenFile: there is no file'],
    ['password', { username: 'a', password: '$(P)' }, {}, 'password cannot be used'],
    ['user in the URL', {}, { server: 'https://u:hunter2@127.0.0.1:1' }, 'has a user, a query'],
  ])('%s that nobody can mean is refused', async (_name, user, cluster, words) => {
    await using api = await ApiServer.start();
    const result = await runInitbox(['wait-kubernetes', 'job/migrate'], {
      env: { KUBECONFIG: api.kubeconfig(user, cluster) },
    });
    expect(result.stderr).toContain(words);
    expect(result.stderr).not.toContain('hunter2');
    expect(result.status).toBe(2);
    expect(api.requests).toEqual([]);
  });

  test('a server without TLS gets no credentials', async () => {
    const heard: (string | undefined)[] = [];
    const plain = createServer(({ headers }, response) => {
      heard.push(headers.authorization);
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.end(
        JSON.stringify({ kind: 'JobList', metadata: { resourceVersion: '1' }, items: [complete] }),
      );
    });
    await new Promise<void>((resolve) => plain.listen(0, '127.0.0.1', resolve));
    await using api = await ApiServer.start();
    const { port } = plain.address() as { port: number };
    const KUBECONFIG = api.kubeconfig(token, {
      server: `http://127.0.0.1:${port}`,
      'certificate-authority-data': undefined,
    });
    const result = await runToDeadline(['wait-kubernetes', 'job/migrate', '--timeout', '2s'], {
      env: { KUBECONFIG },
    });
    plain.closeAllConnections();
    plain.close();
    expect(heard.length, result.stderr).toBeGreaterThan(0);
    expect(new Set(heard)).toEqual(new Set([undefined]));
  });

  test('insecure-skip-tls-verify is taken, with a warning', async () => {
    await using api = await ApiServer.start();
    api.set(jobs, complete);
    const cluster = { 'certificate-authority-data': undefined, 'insecure-skip-tls-verify': true };
    const result = await runInitbox(['wait-kubernetes', 'job/migrate'], {
      env: { KUBECONFIG: api.kubeconfig(token, cluster) },
    });
    expect(result.status).toBe(0);
    expect(result.stderr).toContain('insecure-skip-tls-verify');
  });

  test('several files, of which one is missing; a file in HOME; none at all', async () => {
    await using api = await ApiServer.start();
    api.set(jobs, complete);
    const path = api.kubeconfig(token);
    const several = { KUBECONFIG: `${api.folder}/missing:${path}` };
    expect(await runInitbox(['wait-kubernetes', 'job/migrate'], { env: several })).toMatchObject({
      status: 0,
    });
    expect(await runInitbox(['wait-kubernetes', 'job/migrate', '--kubeconfig', `${path}x`])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('there is no file') as string,
    });
    const home = join(api.folder, 'home');
    mkdirSync(join(home, '.kube'), { recursive: true });
    expect(await runInitbox(['wait-kubernetes', 'job/migrate'], { env: { HOME: home } })).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('no cluster is known') as string,
    });
  });

  test('the kind of `wait`, beside others', async () => {
    await using api = await ApiServer.start();
    api.set(jobs, job());
    const env = { KUBECONFIG: api.kubeconfig(token) };
    const running = await startInitbox(
      ['wait', 'kubernetes:job/migrate', `127.0.0.1:${api.port}`, 'kubernetes:pods?selector=app=web&count=1'],
      { env },
    );
    await running.waitForStderr(/job default\/migrate has 0 of 1 completions/);
    api.set(jobs, complete);
    api.set(pods, pod('a', true));
    expect(await running.exit).toMatchObject({ status: 0 });
  });

  test('--print-role asks nobody', async () => {
    const result = await runInitbox([
      'wait-kubernetes',
      'job/shop/migrate',
      'pods/data/',
      'node/n1',
      '-l',
      'a=b',
      '--print-role',
      '--account',
      'shop/api',
    ]);
    expect(result.status).toBe(0);
    expect(result.stdout.match(/^kind: .*$/gm)).toEqual([
      'kind: ClusterRole',
      'kind: ClusterRoleBinding',
      'kind: Role',
      'kind: RoleBinding',
      'kind: Role',
      'kind: RoleBinding',
    ]);
    expect(result.stdout).toContain('resourceNames: ["migrate"]');
  });
});

describe('wait --print-role', () => {
  const print = (...args: string[]) => runInitbox(['wait', ...args, '--print-role']);

  test('one pair for each namespace, of all targets of any kind', async () => {
    const account = ['--account', 'shop/api'];
    const result = await print(
      'kubernetes:job/shop/migrate',
      'db:5432',
      'kubernetes:job/shop/seed',
      'kubernetes:pods/data/?selector=app%3Dkafka&count=3',
      'kubernetes:secret/db?namespace=data&key=password',
      'file:/not/there',
      ...account,
    );
    const separate = await runInitbox([
      'wait-kubernetes',
      'job/shop/migrate',
      'job/shop/seed',
      'pods/data/',
      'secret/data/db',
      '--selector=app=kafka',
      '--print-role',
      ...account,
    ]);
    expect(result).toMatchObject({ status: 0, stdout: separate.stdout });
    expect(result.stdout).toContain('resourceNames: ["migrate", "seed"]');
    expect(result.stdout.match(/^ {2}namespace: .*$/gm)).toEqual([
      '  namespace: "data"',
      '  namespace: "data"',
      '  namespace: "shop"',
      '  namespace: "shop"',
    ]);
  });

  test('a custom resource is asked for', async () => {
    await using api = await ApiServer.start();
    const KUBECONFIG = api.kubeconfig(token);
    const args = ['wait', 'kubernetes:nosuch.example.com/web?for=condition%3DReady', '--print-role'];
    const result = await runInitbox(args, { env: { KUBECONFIG } });
    expect(result).toMatchObject({ status: 69, stderr: expect.stringContaining('nosuch.example.com') });
  });

  test.each([
    [['db:5432'], /--print-role is for targets kubernetes:KIND\/NAME, and there is none/],
    [
      ['kubernetes:job/a?namespace=shop', 'kubernetes:job/b?namespace=data', '--account', 'api'],
      /several namespaces \(shop, data\).*--account NAMESPACE\/NAME/,
    ],
    [['kubernetes:job/a?namespace=shop', '--account', 'a/b/c'], /is not NAME or NAMESPACE\/NAME/],
  ])('a mistake: %j', async (args, said) => {
    const result = await print(...args);
    expect(result).toMatchObject({ status: 2, stdout: '', stderr: expect.stringMatching(said) });
  });
});

describe('run --print-role', () => {
  const plan = (...steps: object[]) =>
    JSON.stringify({ steps: steps.map((one, at) => ({ name: `s${at}`, ...one })) });
  const printed = (text: string, ...args: string[]) =>
    runInitbox(['run', '--print-role', ...args], { env: { INITBOX_PLAN: text } });

  test('what all steps need, whenever they run', async () => {
    const text = plan(
      { uses: 'wait-kubernetes', targets: ['job/shop/migrate'] },
      { uses: 'wait', targets: ['db:5432', 'kubernetes:job/shop/seed', 'exec:true'], when: 'NEVER_SET' },
      { uses: 'wait-kubernetes', targets: ['pods/data/'], selector: 'app=kafka', user: '1000' },
      { command: ['/bin/false'] },
    );
    const result = await printed(text, '--account', 'shop/api');
    const separate = await runInitbox([
      'wait-kubernetes',
      'job/shop/migrate',
      'job/shop/seed',
      'pods/data/',
      '--selector=app=kafka',
      '--print-role',
      '--account=shop/api',
    ]);
    expect(result).toMatchObject({ status: 0, stdout: separate.stdout });
  });

  test.each([
    [
      plan({ uses: 'wait', targets: ['db:5432'] }),
      [],
      /no step of the plan waits for an object of the cluster/,
    ],
    [plan({ uses: 'wait', targets: ['kubernetes:job/shop/a'] }), ['--dry-run'], /cannot be combined/],
    [plan({ uses: 'wait', targets: ['kubernetes:nosuch/a'] }), [], /is not a kind that every cluster has/],
  ])('a mistake: %s %j', async (text, args, said) => {
    const result = await printed(text, ...args);
    expect(result).toMatchObject({ status: 2, stdout: '', stderr: expect.stringMatching(said) });
  });
});

test.each(['$(CONFIG)', ' ', '{{ .Values.config }}', '-'])('KUBECONFIG=%j is refused', async (KUBECONFIG) => {
  const refused = await runInitbox(['wait-kubernetes', 'job/a'], { env: { KUBECONFIG } });
  expect(refused.stderr).toMatch(/KUBECONFIG(?: cannot be used| is blank|: - does not stand)/);
  expect(refused.status).toBe(2);
});

test('KUBERNETES_SERVICE_HOST that nobody replaced is refused', async () => {
  const refused = await runInitbox(['wait-kubernetes', 'job/a'], {
    env: { KUBERNETES_SERVICE_HOST: '$(HOST)' },
  });
  expect(refused.stderr).toContain('KUBERNETES_SERVICE_HOST cannot be used');
  expect(refused.status).toBe(2);
});
