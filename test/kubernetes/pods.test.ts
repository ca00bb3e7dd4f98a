// A pod's life around its init phase: any user, deletion while it waits.
import { describe, expect, test } from 'vitest';
import { noCluster } from './support/example.ts';
import { Namespace } from './support/namespace.ts';
import { initbox, podWith } from './support/probe.ts';
import { imageFor } from './support/images.ts';
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
      expect(await namespace.kubectl('logs', name, '-c', 'run')).toMatch(/world$/);
    }
  });

  test('a pod that waits is gone at once when it is deleted', async () => {
    await using namespace = await Namespace.create('deletion');
    const waits = {
      'wait-tcp': ['wait-tcp', 'nowhere:1', '--timeout=0'],
      'wait-dns': ['wait-dns', 'nowhere', '--timeout=0'],
      'wait-postgres': ['wait-postgres', 'postgres://nowhere/app', '--timeout=0'],
      // Addresses of a test network: nobody answers.
      'wait-http': ['wait-http', 'http://192.0.2.1/', '--timeout=0'],
    };
    for (const [name, args] of Object.entries(waits)) {
      using watch = namespace.watch(`app=${name}`);
      await namespace.apply([podWith(name, [initbox('wait', args)])]);
      await watch.until(/^Init:0\/1$/);
      // It runs, and has said so.
      await expect
        .poll(() => namespace.kubectl('logs', name, '-c', 'wait').catch(() => ''), { timeout: 30_000 })
        .toMatch(/ready/);
      const started = performance.now();
      await namespace.kubectl('delete', 'pod', name);
      const took = performance.now() - started;
      console.log(`${name}: deleted in ${took.toFixed(0)} ms`);
      expect(took).toBeLessThan(1_000);
    }
  });
});
