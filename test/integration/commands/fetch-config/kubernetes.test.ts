import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';

import { ApiServer, json, status as answerStatus } from '../../../support/api-server.ts';
import { canMount } from '../../../support/faults.ts';
import { memoryFolders } from '../../../support/memory-folders.ts';
import { runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

const missing = requireOrSkip('fetch-config from a cluster', canMount());
const folder = memoryFolders();

const base64 = (text: string | Buffer): string => Buffer.from(text).toString('base64');
const secrets = '/api/v1/namespaces/default/secrets';
const secret = (name: string, data: Record<string, string>, namespace = 'default') => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name, namespace },
  data,
});

describe.skipIf(missing)('Secrets and ConfigMaps of a cluster', () => {
  let api: ApiServer;
  let config: string;
  beforeAll(async () => {
    api = await ApiServer.start();
    config = api.kubeconfig({ token: 'token-canary' });
    api.set(
      secrets,
      secret('tls', { 'tls.crt': base64('certificate-canary'), 'tls.key': base64('key-canary') }),
    );
    api.set(
      '/api/v1/namespaces/shared/secrets',
      secret('db', { 'pass.word': base64('shared-canary') }, 'shared'),
    );
    api.set('/api/v1/namespaces/default/configmaps', {
      kind: 'ConfigMap',
      metadata: { name: 'app', namespace: 'default' },
      data: { level: 'info', 'app.yaml': 'a: 1\n' },
      binaryData: { 'logo.png': base64(Buffer.from([0, 1, 254, 255])) },
    });
  });
  afterAll(() => api[Symbol.asyncDispose]());

  const fetchConfig = (args: readonly string[], env: Record<string, string> = {}) =>
    runInitbox(['fetch-config', ...args, '--timeout', '20s', '--log-level', 'debug'], {
      env: { KUBECONFIG: config, ...env },
    });

  test('one key, decoded; of another namespace; all keys as files', async () => {
    const place = folder();
    const one = await fetchConfig(['kubernetes:secret/tls#tls.crt', '--to', join(place, 'crt')]);
    expect(one.status).toBe(0);
    expect(readFileSync(join(place, 'crt'), 'utf8')).toBe('certificate-canary');
    const other = await fetchConfig(['kubernetes:Secret/shared/db#pass.word', '--to', join(place, 'pw')]);
    expect(other.status).toBe(0);
    expect(readFileSync(join(place, 'pw'), 'utf8')).toBe('shared-canary');
    const byFlag = await fetchConfig([
      'kubernetes:secret/db',
      '-n',
      'shared',
      '--to',
      join(place, 'env'),
      '--format',
      'json',
    ]);
    expect(byFlag.status).toBe(0);
    expect(JSON.parse(readFileSync(join(place, 'env'), 'utf8'))).toEqual({ 'pass.word': 'shared-canary' });
    const all = await fetchConfig(['kubernetes:secret/tls', '--to', join(place, 'tls'), '--format', 'files']);
    expect(all.status).toBe(0);
    expect(readFileSync(join(place, 'tls/tls.key'), 'utf8')).toBe('key-canary');
    const again = await fetchConfig([
      'kubernetes:secret/tls',
      '--to',
      join(place, 'tls'),
      '--format',
      'files',
    ]);
    expect(again.stderr).toContain('unchanged');
    expect(one.stderr + other.stderr + byFlag.stderr + all.stderr).not.toContain('canary');
  });

  test('a ConfigMap is content, and goes to any volume; binary values as they are', async () => {
    const disk = temporaryDirectory('config-map');
    onTestFinished(() => disk.remove());
    const place = join(disk.path, 'app');
    mkdirSync(place);
    const found = await fetchConfig(['kubernetes:cm/app', '--to', place, '--format', 'files']);
    expect(found.stderr).not.toContain('error');
    expect(found.status).toBe(0);
    expect(readFileSync(join(place, 'level'), 'utf8')).toBe('info');
    expect([...readFileSync(join(place, 'logo.png'))]).toEqual([0, 1, 254, 255]);
    const said = await fetchConfig(['kubernetes:cm/app#level', '--secret', '--to', join(disk.path, 'level')]);
    expect(said.status).toBe(2);
    expect(said.stderr).toContain('is not in memory');
    const kept = await fetchConfig(['kubernetes:secret/tls#tls.crt', '--to', join(disk.path, 'crt')]);
    expect(kept.status).toBe(2);
    const open = await fetchConfig([
      'kubernetes:secret/tls#tls.crt',
      '--public',
      '--to',
      join(disk.path, 'crt'),
    ]);
    expect(open.status).toBe(2);
    expect(open.stderr).toContain('cannot be public');
  });

  test('what is not there yet, has no key yet, or an empty one, is waited for', async () => {
    const place = folder();
    const run = await startInitbox(
      [
        'fetch-config',
        'kubernetes:secret/late#tls.crt',
        'kubernetes:secret/late#tls.key',
        '--format',
        'json',
        '--to',
        join(place, 'f'),
        '--timeout',
        '60s',
        '--log-level',
        'debug',
      ],
      { env: { KUBECONFIG: config } },
    );
    await run.waitForStderr(/kubernetes:secret\/late.*is not there, in the namespace default/);
    api.set(secrets, secret('late', {}));
    await run.waitForStderr(/kubernetes:secret\/late.*has no keys yet/);
    api.set(secrets, secret('late', { 'tls.crt': '', 'tls.key': base64('late-key-canary') }));
    await run.waitForStderr(/kubernetes:secret\/late.*has nothing in the key "tls.crt" yet/);
    api.set(secrets, secret('late', { 'tls.crt': base64('late-canary') }));
    await run.waitForStderr(/kubernetes:secret\/late.*does not have the key "tls.key" yet/);
    expect(readdirSync(place)).toEqual([]);
    api.set(
      secrets,
      secret('late', { 'tls.crt': base64('late-canary'), 'tls.key': base64('late-key-canary') }),
    );
    const { status, stderr } = await run.exit;
    expect(status).toBe(0);
    expect(stderr).not.toContain('canary');
    expect(JSON.parse(readFileSync(join(place, 'f'), 'utf8'))).toEqual({
      'tls.crt': 'late-canary',
      'tls.key': 'late-key-canary',
    });
  });

  test('--optional leaves out what the API server says is not there, and nothing else', async () => {
    const place = folder();
    const few = await fetchConfig([
      'kubernetes:secret/nope',
      'kubernetes:secret/tls',
      '--optional',
      '--format',
      'json',
      '--to',
      join(place, 'f'),
    ]);
    expect(few.status).toBe(0);
    expect(few.stderr).toContain('kubernetes:secret/nope: left out');
    api.fault = ({ path }, response) => {
      if (!path.endsWith('/nope')) return false;
      response.writeHead(404).end('page not found');
      return true;
    };
    onTestFinished(() => void (api.fault = () => false));
    const proxied = await runToDeadline(
      [
        'fetch-config',
        'kubernetes:secret/nope',
        '--optional',
        '--format',
        'json',
        '--to',
        join(place, 'g'),
        '--timeout',
        '2s',
      ],
      { env: { KUBECONFIG: config } },
    );
    expect(proxied.status).toBe(124);
  });

  test('a missing right names the Role, is waited for a while, and --print-role prints it', async () => {
    const place = folder();
    let count = 0;
    api.fault = ({ path }, response) => {
      if (!path.endsWith('/db') || ++count > 2) return false;
      answerStatus(
        response,
        403,
        'Forbidden',
        'secrets "db" is forbidden: User "system:serviceaccount:default:default" cannot get resource "secrets"',
      );
      return true;
    };
    onTestFinished(() => void (api.fault = () => false));
    const given = await fetchConfig([
      'kubernetes:secret/shared/db',
      '--format',
      'json',
      '--to',
      join(place, 'f'),
    ]);
    expect(given.status).toBe(0);
    expect(given.stderr).toMatch(
      /system:serviceaccount:default:default may not get secrets "db" in the namespace shared \(403\)/,
    );
    count = -100;
    const refused = await fetchConfig([
      'kubernetes:secret/shared/db',
      '--format',
      'json',
      '--to',
      join(place, 'g'),
    ]);
    expect(refused.status).toBe(69);
    expect(refused.stderr).toContain(
      'a Role in the namespace shared is missing that gives secrets with the verb get; initbox fetch-config kubernetes:secret/shared/db --print-role prints it',
    );
    const printed = await fetchConfig([
      'kubernetes:secret/shared/db',
      'kubernetes:cm/shared/app',
      '--print-role',
      '--account',
      'shop/api',
    ]);
    expect(printed.status).toBe(0);
    expect(printed.stdout).toContain('name: initbox-fetch\n  namespace: "shared"');
    expect(printed.stdout).toContain('resources: [secrets]\n    resourceNames: ["db"]\n    verbs: [get]');
    expect(printed.stdout).toContain('resources: [configmaps]\n    resourceNames: ["app"]\n    verbs: [get]');
    const none = await fetchConfig(['env:HOME', '--print-role']);
    expect(none.status).toBe(2);
    expect(none.stderr).toContain('--print-role is for sources kubernetes:KIND/NAME');
  });

  test('run --print-role knows what a step reads', async () => {
    const place = folder();
    writeFileSync(
      join(place, 'plan.yaml'),
      'steps:\n  - name: config\n    uses: fetch-config\n    sources: [kubernetes:secret/shared/db]\n    to: /x\n    format: files\n',
    );
    const { status, stdout } = await runInitbox(
      ['run', join(place, 'plan.yaml'), '--print-role', '--account', 'shop/api'],
      {
        env: { KUBECONFIG: config },
      },
    );
    expect(status).toBe(0);
    expect(stdout).toContain('resourceNames: ["db"]\n    verbs: [get]');
  });

  test.each([
    ['another object', { kind: 'Secret', metadata: { name: 'other' }, data: { a: base64('x-canary') } }],
    ['another kind', { kind: 'ConfigMap', metadata: { name: 'odd' }, data: { a: 'x-canary' } }],
    ['what is not base64', { kind: 'Secret', metadata: { name: 'odd' }, data: { a: '!!-canary' } }],
    ['numbers', { kind: 'Secret', metadata: { name: 'odd' }, data: { a: 7 } }],
    ['a list', { kind: 'Secret', metadata: { name: 'odd' }, data: ['x-canary'] }],
    [
      'a key that leaves',
      { kind: 'Secret', metadata: { name: 'odd' }, data: { '../x': base64('x-canary') } },
    ],
  ])('an answer with %s writes nothing', async (_name, body) => {
    const place = folder();
    api.fault = ({ path }, response) => {
      if (!path.endsWith('/odd')) return false;
      json(response, 200, body);
      return true;
    };
    onTestFinished(() => void (api.fault = () => false));
    const { status, stderr } = await runToDeadline(
      [
        'fetch-config',
        'kubernetes:secret/odd',
        '--format',
        'files',
        '--to',
        join(place, 'in'),
        '--timeout',
        '2s',
      ],
      { env: { KUBECONFIG: config } },
    );
    expect([124, 69]).toContain(status);
    expect(stderr).not.toContain('canary');
    expect(readdirSync(place)).toEqual([]);
  });

  test('a redirect is not followed with the token; a signal ends the wait', async () => {
    const place = folder();
    api.fault = ({ path }, response) => {
      if (!path.endsWith('/moved')) return false;
      response.writeHead(307, { Location: 'http://127.0.0.1:1/' }).end();
      return true;
    };
    onTestFinished(() => void (api.fault = () => false));
    const run = await startInitbox(
      ['fetch-config', 'kubernetes:secret/moved', '--format', 'files', '--to', place, '--log-level', 'debug'],
      { env: { KUBECONFIG: config } },
    );
    await run.waitForStderr(/the API server answered 307/);
    run.kill('SIGTERM');
    expect((await run.exit).status).toBe(143);
  });
});
