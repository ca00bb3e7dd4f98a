// What the kubelet reads of files that `fetch-config --format env-file` wrote, and what it does with them.
import { describe, expect, test } from 'vitest';

import { FormatError } from '../../src/config/formats/entries.ts';
import { formatFile } from '../../src/config/formats/format.ts';
import { generatedValues } from '../integration/config/formats/values.ts';
import { waitUntil } from '../support/wait-until.ts';
import { noCluster } from './support/example.ts';
import { imageFor } from './support/images.ts';
import type { PodSpec } from './support/manifests.ts';
import { initStatus, Namespace } from './support/namespace.ts';
import { initbox, podWith } from './support/probe.ts';
import { restrictedContainer } from './support/services.ts';

type EnvVar = NonNullable<ReturnType<typeof initbox>['env']>[number];

function fromFile(name: string, path: string, optional = false, key = name): EnvVar {
  return { name, valueFrom: { fileKeyRef: { volumeName: 'env', path, key, optional } } };
}

/** A pod whose init container writes to /env what fetch-config makes of the ConfigMap `fields`. */
function podThatReads(name: string, args: readonly string[], env: EnvVar[]): ReturnType<typeof podWith> {
  const volumeMounts = [
    { name: 'env', mountPath: '/env' },
    { name: 'fields', mountPath: '/fields' },
  ];
  return podWith(name, [initbox('get', ['fetch-config', ...args], { volumeMounts })], {
    // The kubelet reads what no other user may.
    securityContext: {
      runAsUser: 12_345,
      runAsGroup: 12_345,
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    terminationGracePeriodSeconds: 1,
    containers: [
      {
        name: 'app',
        image: imageFor('registry.example/shop:1.2.3'),
        command: ['sleep', 'infinity'],
        securityContext: { ...restrictedContainer, runAsUser: 1000 },
        env,
      },
    ],
    volumes: [
      { name: 'env', emptyDir: { medium: 'Memory' } },
      { name: 'fields', configMap: { name: 'fields' } },
    ],
  });
}

function fieldsMap(data: Record<string, string>): Parameters<Namespace['apply']>[0][number] {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'fields' }, data };
}

async function environmentOf(namespace: Namespace, pod: string): Promise<Map<string, string>> {
  await namespace.kubectl('wait', '--for=condition=Ready', `pod/${pod}`, '--timeout=120s');
  const text = await namespace.exec(`pod/${pod}`, 'app', 'cat', '/proc/1/environ');
  return new Map(
    text.split('\0').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
}

/** Why a container waits. */
async function waitsFor(namespace: Namespace, pod: string, reason: string): Promise<string> {
  return waitUntil(
    async () => {
      const { status } = await namespace.pod(`app=${pod}`);
      const waiting = status.containerStatuses?.[0]?.state.waiting;
      return waiting?.reason === reason ? waiting.message : undefined;
    },
    { timeout: 120_000, interval: 200, what: `${pod} to wait with ${reason}` },
  );
}

describe.skipIf(noCluster)('env files', () => {
  test('1,000 generated values: the environment of the container is what was written', async () => {
    const values = new Map<string, string>();
    for (const [key, value] of generatedValues(4000)) {
      // An argument list has 2 MiB, and 60 bytes are as good as 60,000 here.
      if (value.length > 10_000 && value.length < 60_000) continue;
      try {
        const { warnings } = formatFile('env-file', { kind: 'fields', fields: new Map([[key, value]]) });
        if (warnings.length === 0 && values.size < 1000) values.set(key, value);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
      }
    }
    expect(values.size).toBe(1000);
    await using namespace = await Namespace.create('env-values');
    const json = JSON.stringify(Object.fromEntries(values));
    await namespace.apply([
      fieldsMap({ 'fields.json': json }),
      podThatReads(
        'values',
        ['file:/fields/fields.json', '--to=/env/app.env', '--format=env-file', '--mode=0400'],
        [...values.keys()].map((key) => fromFile(key, 'app.env')),
      ),
    ]);
    const found = await environmentOf(namespace, 'values');
    const different = [...values].filter(([key, value]) => found.get(key) !== value);
    expect(different.slice(0, 5)).toEqual([]);
  });

  test('files that appear together, by links; an empty value, a missing key, a missing file', async () => {
    await using namespace = await Namespace.create('env-links');
    const spec = `
to: /env
files:
  - { path: sub/app.env, format: env-file, from: ['file:/fields/fields.json'] }
  - { path: two.env, format: env-file, from: ['file:/fields/fields.json'] }
`;
    await namespace.apply([
      fieldsMap({ 'fields.json': '{"A":"one","EMPTY":""}', 'spec.yaml': spec }),
      podThatReads(
        'links',
        ['--spec=/fields/spec.yaml'],
        [
          fromFile('A', 'sub/app.env'),
          fromFile('B', 'two.env', false, 'A'),
          fromFile('EMPTY', 'two.env', true),
          fromFile('MISSING', 'two.env', true),
        ],
      ),
      podThatReads(
        'empty',
        ['--spec=/fields/spec.yaml'],
        [fromFile('EMPTY', 'two.env'), { name: 'NEVER', value: 'x' }],
      ),
      podThatReads('absent', ['--spec=/fields/spec.yaml'], [fromFile('A', 'three.env', true)]),
    ]);
    const found = await environmentOf(namespace, 'links');
    expect([found.get('A'), found.get('B'), found.has('EMPTY'), found.has('MISSING')]).toEqual([
      'one',
      'one',
      false,
      false,
    ]);
    // The init container's log names the key.
    expect(await namespace.logs('empty', 'get')).toMatch(/warn .*"EMPTY": the value is empty/);
    expect(await waitsFor(namespace, 'empty', 'CreateContainerConfigError')).toMatch(
      /environment variable key "EMPTY" not found/,
    );
    // optional is about keys, not about files.
    expect(await waitsFor(namespace, 'absent', 'CreateContainerConfigError')).toMatch(
      /couldn't parse env file/,
    );
  });

  test('a container that starts again gets what the file holds then', async () => {
    await using namespace = await Namespace.create('env-restart');
    const pod = podThatReads(
      'restart',
      ['file:/fields/fields.json', '--to=/env/app.env', '--format=env-file', '--mode=0600'],
      [fromFile('A', 'app.env')],
    );
    const [app] = (pod['spec'] as PodSpec).containers;
    Object.assign(app!, {
      command: ['sh', '-c', `[ "$A" = two ] && exec sleep infinity; echo "A='two'" > /env/app.env; exit 1`],
      securityContext: restrictedContainer,
      volumeMounts: [{ name: 'env', mountPath: '/env' }],
    });
    await namespace.apply([fieldsMap({ 'fields.json': '{"A":"one"}' }), pod]);
    const restarted = async (): Promise<boolean> => {
      const [status] = (await namespace.pod('app=restart')).status.containerStatuses ?? [];
      return status?.restartCount === 1 && status.ready;
    };
    await waitUntil(restarted, { timeout: 120_000, interval: 200, what: 'the second start' });
    expect((await environmentOf(namespace, 'restart')).get('A')).toBe('two');
    // The init container did not run again.
    expect(initStatus(await namespace.pod('app=restart'), 'get').restartCount).toBe(0);
  });
});
