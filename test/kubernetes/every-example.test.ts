// What the API server says of each example; test/unit/examples.test.ts has what needs no cluster.
import { describe, expect, test } from 'vitest';

import { noCluster } from './support/example.ts';
import { exampleNames, localised, podSpecOf, readExample } from './support/manifests.ts';
import { type Level, Namespace } from './support/namespace.ts';

/** Those that need root or more, which their own words explain. */
const levels: Readonly<Record<string, Level>> = {
  'volume-ownership': 'baseline',
  'all-in-one': 'baseline',
  'kernel-parameters': 'privileged',
};

describe.skipIf(noCluster).each(exampleNames)('%s', (name) => {
  test('both manifests are taken', async () => {
    await using namespace = await Namespace.create(`dry-${name}`, 'privileged');
    for (const file of ['before.yaml', 'after.yaml'] as const) {
      const things = localised(readExample(name, file));
      const said = await namespace.apply(things, '--dry-run=server', '--validate=strict');
      expect(said.split('\n')).toHaveLength(things.length);
    }
  });

  test('its pods fit the profile that the index names', async () => {
    const level = levels[name] ?? 'restricted';
    await using namespace = await Namespace.create(`fits-${name}`, level);
    const pods = readExample(name, 'after.yaml').flatMap((thing) => {
      const spec = podSpecOf(thing);
      const metadata = { name: `${thing.kind.toLowerCase()}-${thing.metadata.name}` };
      return spec === undefined ? [] : [{ apiVersion: 'v1', kind: 'Pod', metadata, spec: { ...spec } }];
    });
    // A pod whose account is not there is refused before its profile is looked at.
    const accounts = pods.flatMap(({ spec }) => spec.serviceAccountName ?? []);
    for (const account of new Set(accounts)) await namespace.kubectl('create', 'serviceaccount', account);
    for (const pod of pods) {
      // A StatefulSet adds the volumes of its claims to its pods.
      const declared = new Set(pod.spec.volumes?.map((volume) => String(volume['name'])));
      const mounts = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].flatMap(
        ({ volumeMounts = [] }) => volumeMounts,
      );
      const claimed = new Set(mounts.map((mount) => mount.name).filter((mount) => !declared.has(mount)));
      pod.spec.volumes = [
        ...(pod.spec.volumes ?? []),
        ...[...claimed].map((volume) => ({ name: volume, persistentVolumeClaim: { claimName: volume } })),
      ];
    }
    expect(await namespace.apply(pods, '--dry-run=server')).toContain('created');
  });
});
