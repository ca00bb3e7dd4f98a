// What `kubectl get`, `describe` and `logs` show of an init phase that fails, and what the kubelet's restarts do.
import { describe, expect, test } from 'vitest';

import { waitUntil } from '../support/wait-until.ts';
import { noCluster } from './support/example.ts';
import { ended, initStatus, Namespace } from './support/namespace.ts';
import { initbox, podWith } from './support/probe.ts';
import { Database, service } from './support/services.ts';

describe.skipIf(noCluster)('a failed init container', () => {
  test.each([
    [
      'deadline',
      124,
      ['wait-tcp', 'postgres-service:5432', '--timeout=2s'],
      /Message: +initbox wait-tcp: gave up after 2s \(--timeout\): postgres-service:5432 .*NXDOMAIN[\s\S]*hint: /,
    ],
    [
      'refused',
      69,
      ['wait-postgres', 'postgres://nobody@postgres.initbox-test-services/postgres'],
      /Message: +initbox wait-postgres: [\s\S]*none was given/,
    ],
    [
      'usage',
      2,
      ['wait-tcp', 'postgres-service:5432', '--timeout=soon'],
      /Message: +initbox wait-tcp: --timeout: [\s\S]*soon/,
    ],
    [
      'not-found',
      127,
      ['wait-tcp', 'kubernetes.default:443', '--', './nothing'],
      /Message: +initbox wait-tcp: [\s\S]*nothing/,
    ],
  ] as const)('%s: status %i and its last words in kubectl describe', async (name, status, args, words) => {
    await using namespace = await Namespace.create(`failure-${name}`);
    using watch = namespace.watch();
    await namespace.apply([podWith('app', [initbox('wait', args)])]);
    await watch.until(/^Init:(Error|CrashLoopBackOff)$/);
    const description = await namespace.kubectl('describe', 'pod', 'app');
    expect(description).toMatch(new RegExp(`Exit Code: +${status}\\n`));
    expect(description).toMatch(words);
    expect(await namespace.kubectl('get', 'pod', 'app', '--no-headers')).toMatch(
      /0\/1 +Init:(Error|CrashLoopBackOff|0\/1)/,
    );
  });

  test('out of memory: the kubelet says so', async () => {
    await using namespace = await Namespace.create('failure-memory');
    // Less than it needs, and enough for the runtime to start it.
    const resources = { limits: { memory: '10Mi' } };
    using watch = namespace.watch();
    await namespace.apply([
      podWith('app', [initbox('wait', ['wait-postgres', 'postgres://app@nowhere/app'], { resources })]),
    ]);
    await watch.until(/^Init:(OOMKilled|CrashLoopBackOff|Error)$/);
    const { exitCode, reason } = ended(await namespace.pod('app=app'), 'wait');
    expect({ exitCode, reason }).toEqual({ exitCode: 137, reason: 'OOMKilled' });
  });

  test('the kubelet starts it again; what was done stays done, and what was missing is taken up', async () => {
    await using namespace = await Namespace.create('restarts');
    const database = await Database.create(namespace);
    await database.sql('create table items (id int)');
    await namespace.apply([database.secret(), ...(await database.service())]);
    const files = {
      '1_users.sql': 'create table users (id int);',
      '2_items.sql': 'create table items (id int);',
      '3_orders.sql': 'create table orders (id int);',
    };
    const migrations = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'migrations' }, data: files };
    const env = [{ name: 'DATABASE_URL', valueFrom: { secretKeyRef: { name: 'postgres', key: 'url' } } }];
    const volumeMounts = [{ name: 'migrations', mountPath: '/migrations' }];
    using watch = namespace.watch();
    await namespace.apply([
      migrations,
      podWith(
        'app',
        [
          initbox('database', ['wait-postgres'], { env }),
          initbox('migrate', ['migrate-with-lock', '--sql=/migrations'], { env, volumeMounts }),
        ],
        { volumes: [{ name: 'migrations', configMap: { name: 'migrations' } }] },
      ),
    ]);
    // The second file meets a table that somebody made by hand.
    await watch.until(/^Init:(Error|CrashLoopBackOff)$/);
    const description = await namespace.kubectl('describe', 'pod', 'app');
    expect(description).toMatch(/2_items\.sql:1: relation "items" already exists/);
    // Between the end of one run and the words of the next there is a moment without the log of either.
    const said = async (): Promise<boolean> => {
      const log = await namespace.logs('app', 'migrate').catch(() => '');
      return log.includes('2_items.sql');
    };
    await waitUntil(said, { timeout: 120_000, interval: 200, what: 'a log that names 2_items.sql' });
    expect(await database.sql("select count(*) from pg_class where relname in ('users', 'orders')")).toBe(
      '1',
    );
    await database.sql('drop table items');
    await namespace.kubectl('wait', '--for=condition=Ready', 'pod/app', '--timeout=90s');
    const pod = await namespace.pod('app=app');
    expect(initStatus(pod, 'database').restartCount).toBe(0);
    expect(initStatus(pod, 'migrate').restartCount).toBeGreaterThan(0);
    expect(ended(pod, 'migrate')).toMatchObject({ exitCode: 0 });
    // The last run found the first file done and ran the other two.
    expect(ended(pod, 'migrate').message).toMatch(/2 migrations/);
  });

  test('under restartPolicy Never the pod has failed, with the same words', async () => {
    await using namespace = await Namespace.create('never');
    await namespace.apply([
      {
        ...podWith('app', []),
        spec: {
          ...(podWith('app', [initbox('wait', ['wait-tcp', 'nowhere:1', '--timeout=1s'])])['spec'] as object),
          restartPolicy: 'Never',
        },
      },
    ]);
    await namespace.kubectl('wait', '--for=jsonpath={.status.phase}=Failed', 'pod/app', '--timeout=60s');
    expect(await namespace.kubectl('get', 'pod', 'app', '--no-headers')).toContain('Init:Error');
    expect(ended(await namespace.pod('app=app'), 'wait').message).toMatch(/gave up after 1s/);
  });
});

describe.skipIf(noCluster)('names through the cluster’s own DNS', () => {
  const forms = (namespace: string) => [
    'short',
    `short.${namespace}`,
    `short.${namespace}.svc`,
    `short.${namespace}.svc.cluster.local`,
    `short.${namespace}.svc.cluster.local.`,
    'kubernetes.default',
  ];

  test('every form that a pod may write', async () => {
    await using namespace = await Namespace.create('dns-forms');
    await namespace.apply([
      service('short', 80),
      podWith('app', [initbox('wait', ['wait-dns', ...forms(namespace.name), '--timeout=30s'])]),
    ]);
    await namespace.kubectl('wait', '--for=condition=Initialized', 'pod/app', '--timeout=60s');
    const { exitCode, message } = ended(await namespace.pod('app=app'), 'wait');
    expect(exitCode, message).toBe(0);
  });

  test('a headless Service has as many addresses as it has ready pods', async () => {
    await using namespace = await Namespace.create('dns-headless');
    const headless = service('peers', 80);
    Object.assign(headless['spec'] as object, { clusterIP: 'None' });
    using watch = namespace.watch('app=waiter');
    await namespace.apply([
      headless,
      podWith('waiter', [
        initbox('wait', ['wait-dns', '--service=peers', '--min-addresses=2', '--timeout=60s']),
      ]),
    ]);
    await watch.until(/^Init:0\/1$/);
    const peer = (name: string) => {
      const one = podWith(name, []);
      return { ...one, metadata: { name, labels: { app: 'peers' } } };
    };
    await namespace.apply([peer('one')]);
    await namespace.kubectl('wait', '--for=condition=Ready', 'pod/one', '--timeout=60s');
    await expect
      .poll(() => namespace.kubectl('logs', 'waiter', '-c', 'wait').catch(() => ''), { timeout: 20_000 })
      .toMatch(/1 address|1 of 2/);
    await namespace.apply([peer('two')]);
    await namespace.kubectl('wait', '--for=condition=Initialized', 'pod/waiter', '--timeout=60s');
    expect(ended(await namespace.pod('app=waiter'), 'wait')).toMatchObject({ exitCode: 0 });
  });
});
