// wait-kubernetes on a real API server; test/integration has what one may do wrong.
import { describe, expect, test } from 'vitest';

import { runInitbox, startInitbox } from '../support/program.ts';
import { waitUntil } from '../support/wait-until.ts';
import { createAccount } from './support/account.ts';
import { noCluster } from './support/example.ts';
import { imageFor } from './support/images.ts';
import { get, kubectl, kubectlWith, type Thing } from './support/kubectl.ts';
import { ended, Namespace } from './support/namespace.ts';
import { initbox, podWith } from './support/probe.ts';
import { restrictedContainer, restrictedPod } from './support/services.ts';
import { completeJob, managedJob } from './support/status.ts';

interface Role extends Thing {
  rules: { apiGroups: string[]; resources: string[]; resourceNames?: string[]; verbs: string[] }[];
}

const shell = (command: string): object => ({
  restartPolicy: 'Never',
  terminationGracePeriodSeconds: 1,
  securityContext: { ...restrictedPod, runAsUser: 1000 },
  containers: [
    {
      name: 'work',
      image: imageFor('registry.example/shop:1.2.3'),
      command: ['sh', '-c', command],
      securityContext: restrictedContainer,
    },
  ],
});

const job = (name: string, command: string): Thing => ({
  apiVersion: 'batch/v1',
  kind: 'Job',
  metadata: { name },
  spec: { backoffLimit: 0, template: { spec: shell(command) } },
});

/** As whoever KUBECONFIG names. */
const asAdmin = (): Record<string, string> => ({ KUBECONFIG: process.env['KUBECONFIG'] ?? '' });

describe.skipIf(noCluster)('wait-kubernetes', () => {
  test('the Roles that it prints are enough, and each verb of each rule is needed', async () => {
    await using namespace = await Namespace.create('roles');
    await using other = await Namespace.create('roles-other');
    const env = { KUBECONFIG: await createAccount(namespace, 'app') };
    const node = JSON.parse(await kubectl('get', 'nodes', '-o', 'json')) as { items: Thing[] };
    const targets = [
      'job/migrate',
      'pods',
      `configmap/${other.name}/app`,
      `node/${node.items[0]?.metadata.name ?? ''}`,
      '--selector=app=web',
      // Of the node nothing holds before it is labelled, so that it is watched as well.
      `--for=jsonpath={.metadata.labels.${namespace.name}}=yes`,
    ];
    const words = ['wait-kubernetes', ...targets];
    const printed = await runInitbox([...words, '--print-role', '--account', `${namespace.name}/app`], {
      env,
    });
    expect(printed.status).toBe(0);
    const roles = printed.stdout;
    await kubectlWith(roles, 'apply', '-f', '-');
    try {
      const given = ['role', 'clusterrole'].flatMap((kind) =>
        [
          ...roles.matchAll(
            /^kind: (Role|ClusterRole)\nmetadata:\n {2}name: (\S+)(?:\n {2}namespace: "(\S+)")?/gm,
          ),
        ]
          .filter(([, found = '']) => found.toLowerCase() === kind)
          .map(([, , name = '', of]) => [kind, name, ...(of === undefined ? [] : ['-n', of])]),
      );
      expect(given).toHaveLength(3);
      const account = `system:serviceaccount:${namespace.name}:app`;
      let tried = 0;
      for (const names of given) {
        const role = await get<Role>(...names);
        for (const [index, rule] of role.rules.entries())
          for (const verb of rule.verbs) {
            const without = structuredClone(role);
            const less = without.rules[index];
            if (less === undefined) throw new Error('a rule is missing');
            less.verbs = rule.verbs.filter((one) => one !== verb);
            const changed = JSON.stringify({ rules: without.rules });
            await kubectl('patch', ...names, '--type=merge', '-p', changed);
            const resource = `${rule.resources[0] ?? ''}${rule.apiGroups[0] === '' ? '' : `.${rule.apiGroups[0] ?? ''}`}`;
            await allowed(false, account, verb, resource, rule.resourceNames?.[0], names.slice(2));
            const running = await startInitbox(words, { env });
            await running.waitForStderr(
              new RegExp(`${account} may not ${verb} ${resource.replaceAll('.', '\\.')}[ "].*\\(403\\)`),
            );
            running.kill();
            await running.exit;
            await kubectl('patch', ...names, '--type=merge', '-p', JSON.stringify({ rules: role.rules }));
            await allowed(true, account, verb, resource, rule.resourceNames?.[0], names.slice(2));
            tried += 1;
          }
      }
      expect(tried).toBe(8);
      const running = await startInitbox(words, { env });
      await running.waitForStderr(/0\/4 ready/);
      const labels = { [namespace.name]: 'yes' };
      await namespace.apply([
        { ...managedJob('migrate'), metadata: { name: 'migrate', labels } },
        {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'web', labels: { ...labels, app: 'web' } },
          spec: shell('sleep 600'),
        },
      ]);
      await other.apply([{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'app', labels } }]);
      await kubectl('label', 'node', node.items[0]?.metadata.name ?? '', `${namespace.name}=yes`);
      const result = await running.exit;
      expect(result.stderr).not.toContain('403');
      expect(result.status).toBe(0);
    } finally {
      await kubectl('label', 'node', node.items[0]?.metadata.name ?? '', `${namespace.name}-`);
      await kubectlWith(roles, 'delete', '-f', '-', '--ignore-not-found');
    }
  });

  test('in a pod, by its service account: a Job that is deleted and made again', async () => {
    await using namespace = await Namespace.create('in-pod');
    await namespace.kubectl('create', 'serviceaccount', 'app');
    const printed = await runInitbox(
      ['wait-kubernetes', 'job/migrate', '--print-role', '-n', namespace.name, '--account=app'],
      { env: asAdmin() },
    );
    await kubectlWith(printed.stdout, 'apply', '-f', '-');
    await namespace.apply([managedJob('migrate')]);
    await namespace.apply([
      podWith('app', [initbox('wait', ['wait-kubernetes', 'job/migrate'])], { serviceAccountName: 'app' }),
    ]);
    const said = (words: RegExp): Promise<string> =>
      waitUntil(
        async () => words.exec(await namespace.kubectl('logs', 'app', '-c', 'wait').catch(() => ''))?.[0],
        { timeout: 90_000, interval: 200, what: String(words) },
      );
    await said(/has 0 of 1 completions/);
    await namespace.kubectl('delete', 'job', 'migrate');
    await said(/is not there/);
    await namespace.apply([managedJob('migrate')]);
    await completeJob(namespace, 'migrate');
    const done = await waitUntil(
      async () => {
        try {
          return ended(await namespace.pod('app=app'), 'wait');
        } catch {
          return undefined;
        }
      },
      { timeout: 60_000, interval: 200, what: 'the end of the wait' },
    );
    expect(done.exitCode).toBe(0);
  });

  test('a Job that fails, by its own pods', async () => {
    await using namespace = await Namespace.create('failed-job');
    const waiting = await startInitbox(['wait-kubernetes', 'job/broken', '-n', namespace.name], {
      env: asAdmin(),
    });
    await waiting.waitForStderr(/is not there/);
    await namespace.apply([job('broken', 'exit 3')]);
    const { status, stderr } = await waiting.exit;
    expect(status).toBe(69);
    expect(stderr).toContain('has failed (BackoffLimitExceeded');
  });

  test('rollouts: a Deployment, a StatefulSet and a DaemonSet, anew after a change', async () => {
    await using namespace = await Namespace.create('rollouts');
    const workload = (kind: string, more: object): Thing => ({
      apiVersion: 'apps/v1',
      kind,
      metadata: { name: 'web' },
      spec: {
        selector: { matchLabels: { app: kind } },
        template: {
          metadata: { labels: { app: kind } },
          spec: { ...shell('exec sleep 600'), restartPolicy: 'Always' },
        },
        ...more,
      },
    });
    const words = [
      'wait-kubernetes',
      ...['deployment', 'statefulset', 'daemonset'].map((kind) => `${kind}/${namespace.name}/web`),
    ];
    const waiting = await startInitbox(words, { env: asAdmin() });
    await waiting.waitForStderr(/0\/3 ready/);
    await namespace.apply([
      workload('Deployment', { replicas: 2 }),
      workload('StatefulSet', { replicas: 1, serviceName: 'web' }),
      workload('DaemonSet', {}),
    ]);
    expect(await waiting.exit).toMatchObject({ status: 0 });
    for (const kind of ['deployment', 'statefulset', 'daemonset'])
      await namespace.kubectl('set', 'env', `${kind}/web`, 'CHANGED=yes');
    expect(await runInitbox(words, { env: asAdmin() })).toMatchObject({ status: 0 });
    // kubectl agrees, and need not wait.
    for (const kind of ['deployment', 'statefulset', 'daemonset'])
      await namespace.kubectl('rollout', 'status', `${kind}/web`, '--timeout=1s');
    const pods = await runInitbox(
      ['wait-kubernetes', `pods/${namespace.name}/`, '-l', 'app=Deployment', '--count=2'],
      { env: asAdmin() },
    );
    expect(pods.status).toBe(0);
  });

  test('a key of a Secret, a condition of a node, an absence, a custom resource that comes later', async () => {
    await using namespace = await Namespace.create('others');
    const node = await kubectl('get', 'nodes', '-o', 'jsonpath={.items[0].metadata.name}');
    const group = `${namespace.name}.initbox.test`;
    const waiting = await startInitbox(
      [
        'wait',
        `kubernetes:secret/${namespace.name}/db?key=password`,
        `kubernetes:node/${node}?for=condition=Ready`,
        `kubernetes:configmap/${namespace.name}/old?invert`,
        `kubernetes:thing.${group}/${namespace.name}/one?for=exists`,
      ],
      { env: asAdmin() },
    );
    await waiting.waitForStderr(/does not have|is not there/);
    await namespace.kubectl('create', 'secret', 'generic', 'db', '--from-literal=password=x');
    const crd: Thing = {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `things.${group}` },
      spec: {
        group,
        scope: 'Namespaced',
        names: { plural: 'things', singular: 'thing', kind: 'Thing' },
        versions: [
          { name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } },
        ],
      },
    };
    await namespace.apply([crd]);
    try {
      const established = await runInitbox(['wait-kubernetes', `crd/things.${group}`], { env: asAdmin() });
      expect(established.status).toBe(0);
      await waitUntil(
        () =>
          namespace
            .apply([{ apiVersion: `${group}/v1`, kind: 'Thing', metadata: { name: 'one' } }])
            .catch(() => ''),
        { timeout: 60_000, interval: 500, what: 'the resource to be served' },
      );
      expect(await waiting.exit).toMatchObject({ status: 0 });
    } finally {
      await kubectl('delete', 'crd', `things.${group}`, '--wait=false');
    }
  });
});

/** Waits until the API server's authorizer has heard of a change. */
async function allowed(
  yes: boolean,
  account: string,
  verb: string,
  resource: string,
  name: string | undefined,
  where: readonly string[],
): Promise<void> {
  const what = name === undefined ? resource : `${resource}/${name}`;
  await waitUntil(
    async () => {
      // It ends with 1 where the answer is no.
      const said = await kubectl('auth', 'can-i', verb, what, `--as=${account}`, ...where).catch(String);
      return said.startsWith('yes') === yes;
    },
    { timeout: 30_000, interval: 100, what: `${verb} ${what}` },
  );
}
