import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

import { noCluster, startCluster } from '../test/kubernetes/support/cluster.ts';
import { imageFor } from '../test/kubernetes/support/images.ts';
import type { Thing } from '../test/kubernetes/support/kubectl.ts';
import { Namespace } from '../test/kubernetes/support/namespace.ts';
import {
  bao,
  Database,
  deployServices,
  servicesNamespace,
  vaultAuthority,
} from '../test/kubernetes/support/services.ts';
import { waitUntil } from '../test/support/wait-until.ts';
import { numberFlag } from './support/benchmark.ts';
import type { Report } from './support/report.ts';
import { median } from './support/statistics.ts';

export const name = 'kubernetes';
export const description =
  'pod start on a kubelet: one run container, against five of the usual images’ tools';

/**
 * From apply to Ready, with every dependency up and every image there. Both pods do the same work on the same servers,
 * in turn; what a kubelet spends on each container is what the five pay five times.
 */
export async function run(flags: readonly string[], report: Report): Promise<void> {
  const reason = noCluster();
  if (reason !== undefined) {
    return report.skip(`${reason} (test/kubernetes/README.md)`);
  }
  const rounds = numberFlag(flags, 'rounds', 10);
  await using _cluster = await startCluster();
  await using _services = await deployServices();
  await using namespace = await Namespace.create('bench', 'baseline');
  const database = await Database.create(namespace);
  await bao('kv', 'put', 'secret/app', 'config=listen: 8080');
  await namespace.apply([
    database.secret(),
    ...(await database.service()),
    await vaultAuthority(),
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'vault' }, stringData: { token: 'root' } },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'plan' }, data: { 'plan.json': plan } },
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'migrations' }, data: { '1_users.sql': sql } },
  ]);
  using clock = new Clock(namespace);
  const [one, five]: [number[], number[]] = [[], []];
  for (let round = 0; round <= rounds; round += 1) {
    const a = await ready(namespace, clock, pod(`one-${round}`, [single]));
    const b = await ready(namespace, clock, pod(`five-${round}`, usual(namespace.name)));
    // The first round reads files from the disk.
    if (round === 0) continue;
    one.push(a);
    five.push(b);
  }
  const row = (words: string, times: readonly number[]): (string | number)[] => [
    words,
    median(times),
    Math.min(...times),
    Math.max(...times),
  ];
  report.table(
    ['init phase of five steps', 'apply to Ready ms, median', 'least', 'most'],
    [row('one container, initbox run', one), row('five containers', five)],
  );
  report.say(`Ratio of the medians of ${rounds}:`);
  report.figure({
    what: 'pod start with an init phase of five steps, apply to Ready',
    measured: median(one) / median(five),
    unit: '×',
    bound: 0.4,
    peer: 'five containers of the usual tools',
  });
  report.plot({
    title: 'From apply to Ready on a kubelet',
    kind: 'points',
    unit: 'ms',
    series: [
      { name: 'one initbox run', values: one },
      { name: 'five containers', values: five },
    ],
  });
}

const sql = 'create table if not exists users (id int);';
const psql = 'psql "$DATABASE_URL" --set ON_ERROR_STOP=1 --file /migrations/1_users.sql';
const plan = JSON.stringify({
  steps: [
    { name: 'port', uses: 'wait-tcp', targets: 'postgres-service:5432' },
    { name: 'name', uses: 'wait-dns', service: 'postgres-service' },
    {
      name: 'config',
      uses: 'fetch-config',
      sources: 'vault:secret/app#config',
      'vault-token-file': '/vault/token',
      to: '/config/app.conf',
    },
    { name: 'owner', uses: 'chown', owner: '1000:1000', paths: '/data' },
    { name: 'migrate', uses: 'migrate-with-lock', sql: '/migrations', needs: ['port', 'name'] },
  ],
});

const env = [
  { name: 'DATABASE_URL', valueFrom: { secretKeyRef: { name: 'postgres', key: 'url' } } },
  { name: 'VAULT_ADDR', value: `https://vault.${servicesNamespace}.svc:8200` },
  { name: 'VAULT_TOKEN', valueFrom: { secretKeyRef: { name: 'vault', key: 'token' } } },
  { name: 'VAULT_CACERT', value: '/vault-ca/ca.crt' },
  { name: 'HOME', value: '/config' },
];
const volumes = [
  { name: 'plan', configMap: { name: 'plan' } },
  { name: 'migrations', configMap: { name: 'migrations' } },
  { name: 'vault', secret: { secretName: 'vault' } },
  { name: 'vault-ca', configMap: { name: 'vault-ca' } },
  { name: 'config', emptyDir: { medium: 'Memory' } },
  { name: 'data', emptyDir: {} },
];
const volumeMounts = volumes.map((volume) => ({ name: volume.name, mountPath: `/${volume.name}` }));

const single = {
  name: 'init',
  image: imageFor('initbox:0.1.0'),
  args: ['run', '/plan/plan.json'],
  env,
  volumeMounts,
  securityContext: { runAsUser: 0 },
};

function usual(namespace: string): object[] {
  const full = `postgres-service.${namespace}.svc.cluster.local`;
  const of = (label: string, image: string, ...command: readonly string[]): object => ({
    name: label,
    image: imageFor(image),
    command,
    env,
    volumeMounts,
    securityContext: { runAsUser: 0 },
  });
  return [
    of('port', 'busybox:1.37', 'sh', '-c', 'until nc -w 2 postgres-service 5432 -e true; do sleep 2; done'),
    of('name', 'busybox:1.37', 'sh', '-c', `until nslookup ${full}; do sleep 2; done`),
    of('config', 'openbao/openbao:2', 'bao', 'kv', 'get', '-field=config', 'secret/app'),
    of('owner', 'busybox:1.37', 'chown', '-R', '1000:1000', '/data'),
    of('migrate', 'postgres:18', 'sh', '-c', psql),
  ];
}

function pod(label: string, initContainers: readonly object[]): Thing {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: label },
    spec: {
      terminationGracePeriodSeconds: 0,
      enableServiceLinks: false,
      initContainers,
      containers: [{ name: 'app', image: imageFor('registry.example/shop:1.2.3') }],
      volumes,
    },
  };
}

/** When each pod was first seen, and first seen ready, by a watch: what kubectl needs to start is no pod's. */
class Clock implements Disposable {
  readonly #child;
  readonly #seen = new Map<string, { from: number; to?: number }>();

  constructor(namespace: Namespace) {
    const format = 'jsonpath={.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\\n"}';
    const words = ['get', 'pods', '-n', namespace.name, '--watch-only', '-o', format];
    this.#child = spawn('kubectl', words, { stdio: ['ignore', 'pipe', 'inherit'] });
    let rest = '';
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const now = performance.now();
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const [label = '', condition] = line.split(' ');
        const seen = this.#seen.get(label) ?? { from: now };
        if (condition === 'True') seen.to ??= now;
        this.#seen.set(label, seen);
      }
    });
  }

  /** Milliseconds, once the pod is ready. */
  timeOf(label: string): number | undefined {
    const { from, to } = this.#seen.get(label) ?? {};
    return from === undefined || to === undefined ? undefined : to - from;
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}

/** @returns milliseconds from apply to Ready */
async function ready(namespace: Namespace, clock: Clock, thing: Thing): Promise<number> {
  await namespace.apply([thing]);
  const { name: label } = thing.metadata;
  try {
    return await waitUntil(() => clock.timeOf(label), { timeout: 120_000, what: label });
  } catch (error) {
    throw new Error(await namespace.story(), { cause: error });
  } finally {
    await namespace.kubectl('delete', 'pod', label);
    // What is left to do for the kubelet after a deletion is not the next pod's.
    await sleep(2_000);
  }
}
