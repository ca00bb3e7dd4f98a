// What holds for all examples, and that none is left out.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { projectDirectory } from '../support/tools.ts';
import { noCluster } from './support/example.ts';
import {
  exampleNames,
  initboxContainers,
  localised,
  podSpecOf,
  readExample,
  type Container,
} from './support/manifests.ts';
import { Namespace } from './support/namespace.ts';

/** Those that need root, which their own words explain. */
const privileged = new Set(['volume-ownership', 'all-in-one']);
const { version } = JSON.parse(readFileSync(join(projectDirectory, 'package.json'), 'utf8')) as {
  version: string;
};

test('each example is checked on the cluster, and each check has an example', () => {
  const files = readdirSync(join(import.meta.dirname, 'examples'));
  expect(files.toSorted()).toEqual(exampleNames.map((name) => `${name}.test.ts`).toSorted());
  for (const file of files) {
    const text = readFileSync(join(import.meta.dirname, 'examples', file), 'utf8');
    expect(text, file).toContain('Example.create(import.meta.filename');
    expect(text, file).toContain('.becomesReady()');
  }
});

test('the index lists each of them', () => {
  const index = readFileSync(join(projectDirectory, 'examples/README.md'), 'utf8');
  const listed = [...index.matchAll(/^\| \[([a-z-]+)\]\(\1\/\)/gm)].map(([, name = '']) => name);
  expect(listed.toSorted()).toEqual(exampleNames.toSorted());
});

describe.each(exampleNames)('%s', (name) => {
  const after = readExample(name, 'after.yaml');
  const containers = initboxContainers(after);

  test('is an init container that others may copy', () => {
    expect(containers.length).toBeGreaterThan(0);
    for (const container of containers) {
      expect(container).toMatchObject({
        terminationMessagePolicy: 'FallbackToLogsOnError',
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
        resources: { requests: { cpu: expect.any(String), memory: expect.any(String) } },
      });
      const limits = (container.resources as { limits: Record<string, string> }).limits;
      // A limit on the processor's time would only make every start slower.
      expect(Object.keys(limits)).toEqual(['memory']);
    }
    const own = containers.filter(({ image }) => image.startsWith('initbox:'));
    for (const { image } of own) expect(image).toBe(`initbox:${version}`);
  });

  test('replaces a script that does without it', () => {
    expect(initboxContainers(readExample(name, 'before.yaml'))).toEqual([]);
  });

  describe.skipIf(noCluster)('on the cluster', () => {
    test('both manifests are taken by the API server', async () => {
      await using namespace = await Namespace.create(`dry-${name}`, 'privileged');
      for (const file of ['before.yaml', 'after.yaml'] as const) {
        const things = localised(readExample(name, file));
        expect(await namespace.apply(things, '--dry-run=server', '--validate=strict')).not.toContain('error');
      }
    });

    test.runIf(!privileged.has(name))('every pod in it fits the restricted profile', async () => {
      await using namespace = await Namespace.create(`fits-${name}`, 'restricted');
      const pods = after.flatMap((thing) => {
        const spec = podSpecOf(thing);
        // Claims are made by the StatefulSet.
        return spec === undefined ? [] : [pod(`${thing.kind.toLowerCase()}-${thing.metadata.name}`, spec)];
      });
      const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'api-server' } };
      await namespace.apply([account]);
      expect(await namespace.apply(pods, '--dry-run=server')).toContain('created');
    });
  });
});

function pod(name: string, spec: { containers: Container[] }) {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec };
}
