// A pod's life around its init phase: any user, deletion while it waits.
import { describe, expect, test } from 'vitest';

import { waitUntil } from '../support/wait-until.ts';
import { noCluster } from './support/example.ts';
import { imageFor } from './support/images.ts';
import type { Thing } from './support/kubectl.ts';
import { initStatus, Namespace } from './support/namespace.ts';
import { initbox, podWith } from './support/probe.ts';
import { restrictedContainer } from './support/services.ts';

describe.skipIf(noCluster)('pods', () => {
  test('any user under the restricted profile, with a volume of its group', async () => {
    await using namespace = await Namespace.create('users');
    const volumes = [{ name: 'shared', emptyDir: { medium: 'Memory' } }];
    const volumeMounts = [{ name: 'shared', mountPath: '/shared' }];
    const users = [1, 1000, 65_534, 1_000_770_000, 2_147_483_647];
    await namespace.apply(
      users.map((runAsUser) =>
        podWith(
          `user-${runAsUser}`,
          [
            initbox('wait', ['wait-tcp', 'kubernetes.default:443', '--timeout=30s']),
            initbox('fetch', ['fetch-config', 'env:HELLO', '--to=/shared/hello'], {
              env: [{ name: 'HELLO', value: 'world' }],
              volumeMounts,
            }),
            // In an image of another, by the runtime that was installed as this user.
            initbox('install', ['install', '/shared'], { volumeMounts }),
            {
              name: 'run',
              image: imageFor('registry.example/shop:1.2.3'),
              command: ['/initbox/initbox', 'wait-dns', 'kubernetes.default', '--', 'cat', '/initbox/hello'],
              securityContext: { ...restrictedContainer, readOnlyRootFilesystem: true },
              volumeMounts: [{ name: 'shared', mountPath: '/initbox', readOnly: true }],
            },
          ],
          {
            volumes,
            securityContext: {
              runAsNonRoot: true,
              runAsUser,
              runAsGroup: runAsUser,
              fsGroup: 4242,
              seccompProfile: { type: 'RuntimeDefault' },
            },
          },
        ),
      ),
    );
    for (const user of users) {
      const name = `user-${user}`;
      await namespace
        .kubectl('wait', '--for=condition=Ready', `pod/${name}`, '--timeout=90s')
        .catch(async (error: unknown) => {
          throw new Error(await namespace.story(), { cause: error });
        });
      // Anywhere: the runtime copies standard output and standard error each by itself, in whichever order.
      expect(await namespace.kubectl('logs', name, '-c', 'run')).toContain('world');
    }
  });

  test('the here-document of a variable, and a block that a second run of the init containers leaves alone', async () => {
    await using namespace = await Namespace.create('into-file');
    const templates: Thing = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'templates' },
      data: { 'peers.ini': 'id=$ID\n' },
    };
    const secret: Thing = {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'db' },
      stringData: { password: `p"$(DB_HOST)'` },
    };
    const config = [{ name: 'config', mountPath: '/config' }];
    const block = [
      'render',
      '/templates/peers.ini',
      '--to=/config/app.ini',
      '--block=peers',
      '--after=[db]',
      '--data=ID=ordinal:POD_NAME?plus=1',
    ];
    const more = {
      env: [{ name: 'POD_NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
      volumeMounts: [...config, { name: 'templates', mountPath: '/templates', readOnly: true }],
    };
    await namespace.apply([
      templates,
      secret,
      podWith(
        'app-4',
        [
          initbox('heredoc', ['fetch-config', 'env:APP_INI', '--to=/config/app.ini'], {
            env: [
              { name: 'DB_HOST', value: 'postgres-service' },
              { name: 'DB_PASSWORD', valueFrom: { secretKeyRef: { name: 'db', key: 'password' } } },
              {
                name: 'APP_INI',
                value: '[db]\nhost=$(DB_HOST)\npassword=$(DB_PASSWORD)\nleft=$(LATER) $$(DB_HOST)\n',
              },
              { name: 'LATER', value: 'x' },
            ],
            volumeMounts: config,
          }),
          initbox('block', block, more),
          initbox('again', block, more),
          {
            name: 'run',
            image: imageFor('registry.example/shop:1.2.3'),
            command: ['sh', '-c', 'stat -c %a /config/app.ini; cat /config/app.ini'],
            securityContext: { ...restrictedContainer, readOnlyRootFilesystem: true },
            volumeMounts: config,
          },
        ],
        {
          volumes: [
            { name: 'config', emptyDir: { medium: 'Memory' } },
            { name: 'templates', configMap: { name: 'templates' } },
          ],
        },
      ),
    ]);
    await namespace
      .kubectl('wait', '--for=condition=Ready', 'pod/app-4', '--timeout=90s')
      .catch(async (error: unknown) => {
        throw new Error(await namespace.story(), { cause: error });
      });
    const made = `440\n[db]\n# BEGIN initbox peers\nid=5\n# END initbox peers\nhost=postgres-service\npassword=p"$(DB_HOST)'\nleft=$(LATER) $(DB_HOST)\n`;
    expect(`${(await namespace.kubectl('logs', 'app-4', '-c', 'run')).trim()}\n`).toBe(made);
    expect(await namespace.kubectl('logs', 'app-4', '-c', 'again')).toContain('1 file unchanged');
  });

  const waits = {
    'wait-tcp': ['wait-tcp', 'nowhere:1', '--timeout=0'],
    'wait-dns': ['wait-dns', 'nowhere', '--timeout=0'],
    'wait-postgres': ['wait-postgres', 'postgres://app@nowhere/app', '--timeout=0'],
    // An address of a test network: nobody answers.
    'wait-http': ['wait-http', 'http://192.0.2.1/', '--timeout=0'],
  };

  test.each(Object.entries(waits))('%s ends within a second when its pod is deleted', async (name, args) => {
    await using namespace = await Namespace.create(`ends-${name}`);
    // The kubelet kills what is left after this second, and the finalizer keeps what it saw of the end.
    const pod = podWith('app', [initbox('wait', args)], { terminationGracePeriodSeconds: 1 });
    pod.metadata['finalizers'] = ['initbox.test/keep'];
    await namespace.apply([pod]);
    await waiting(namespace, 'app');
    await namespace.kubectl('delete', 'pod', 'app', '--wait=false');
    try {
      const found = await waitUntil(
        async () => {
          const now = await namespace.pod('app=app', true);
          return initStatus(now, 'wait').state.terminated;
        },
        { timeout: 30_000, interval: 200, what: 'the end of the container' },
      );
      expect(found).toMatchObject({ exitCode: 143, message: expect.stringMatching(/SIGTERM/) as string });
    } finally {
      await namespace.kubectl(
        'patch',
        'pod',
        'app',
        '--type=merge',
        '-p',
        '{"metadata":{"finalizers":null}}',
      );
    }
  });

  test('deleting a pod that waits takes what the kubelet takes for any, not its grace period', async () => {
    await using namespace = await Namespace.create('deletion');
    const shell = {
      ...initbox('wait', []),
      image: imageFor('registry.example/shop:1.2.3'),
      command: ['sh', '-c', 'trap "exit 0" TERM; echo waits; sleep 1000 & wait'],
    };
    const [ours, any]: [number[], number[]] = [[], []];
    for (let round = 0; round < 5; round += 1) {
      ours.push(await deletion(namespace, podWith('ours', [initbox('wait', waits['wait-tcp'])])));
      any.push(await deletion(namespace, podWith('any', [shell])));
    }
    // The least of each: the kubelet looks about once a second at what has ended, so that one of its looks more or less is in
    // every time, and only what is always late is ours.
    const [a, b] = [Math.min(...ours), Math.min(...any)];
    const shown = [ours, any].map((times) => times.map((time) => time.toFixed(0)).join(', '));
    console.log(`deleted in ${shown[0]} ms; a pod whose shell leaves at once in ${shown[1]} ms`);
    expect(a - b).toBeLessThan(1_000);
  });
});

/** Its init container runs, and has said for what it waits. */
async function waiting(namespace: Namespace, name: string): Promise<void> {
  await waitUntil(() => namespace.kubectl('logs', name, '-c', 'wait').catch(() => ''), {
    timeout: 60_000,
    interval: 200,
    what: `${name} to wait`,
  });
}

/** @returns milliseconds that `kubectl delete` takes */
async function deletion(namespace: Namespace, pod: Thing): Promise<number> {
  await namespace.apply([pod]);
  await waiting(namespace, pod.metadata.name);
  const started = performance.now();
  await namespace.kubectl('delete', 'pod', pod.metadata.name);
  return performance.now() - started;
}
