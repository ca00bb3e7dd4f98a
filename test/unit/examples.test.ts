// What holds for all examples without a cluster; test/kubernetes runs them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { interpret } from '../../src/cli/interpret.ts';
import { createRedactor } from '../../src/core/redaction/redactor.ts';
import { exampleNames, initboxContainers, readExample } from '../kubernetes/support/manifests.ts';
import { projectDirectory } from '../support/tools.ts';

const folder = join(projectDirectory, 'examples');
const checks = join(projectDirectory, 'test/kubernetes/examples');
const { version } = JSON.parse(readFileSync(join(projectDirectory, 'package.json'), 'utf8')) as {
  version: string;
};

test('each example is checked on a cluster, and each check has an example', () => {
  const files = readdirSync(checks);
  expect(files.toSorted()).toEqual(exampleNames.map((name) => `${name}.test.ts`).toSorted());
  for (const file of files) {
    const text = readFileSync(join(checks, file), 'utf8');
    expect(text, file).toContain('Example.create(import.meta.filename');
    expect(text, file).toContain('.becomesReady()');
  }
});

test('the index lists each of them', () => {
  const index = readFileSync(join(folder, 'README.md'), 'utf8');
  const listed = [...index.matchAll(/^\| \[([a-z-]+)\]\(\1\/\)/gm)].map(([, name = '']) => name);
  expect(listed.toSorted()).toEqual(exampleNames.toSorted());
});

test("the plan in all-in-one's manifest is that of plan.yaml", () => {
  const plan = readFileSync(join(folder, 'all-in-one/plan.yaml'), 'utf8');
  const [, , map] = readExample('all-in-one', 'after.yaml');
  expect(map).toMatchObject({ kind: 'ConfigMap', data: { 'plan.yaml': plan } });
});

describe.each(exampleNames)('%s', (name) => {
  const containers = initboxContainers(readExample(name, 'after.yaml'));

  test('its containers are what others may copy', () => {
    expect(containers.length).toBeGreaterThan(0);
    for (const container of containers) {
      expect(container).toMatchObject({
        terminationMessagePolicy: 'FallbackToLogsOnError',
        securityContext: {
          // Kubernetes takes one of the two.
          ...(container.securityContext?.['privileged'] === true
            ? { privileged: true }
            : { allowPrivilegeEscalation: false }),
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
        resources: {
          requests: { cpu: expect.any(String) as string, memory: expect.any(String) as string },
        },
      });
      // A limit on the processor's time would only stretch every start.
      const { limits } = container.resources as { limits: Record<string, string> };
      expect(Object.keys(limits)).toEqual(['memory']);
      if (container.image.startsWith('initbox:')) expect(container.image).toBe(`initbox:${version}`);
    }
  });

  test('it is privileged only where the index says so', () => {
    const index = readFileSync(join(folder, 'README.md'), 'utf8');
    const [, profile] = new RegExp(String.raw`^\| \[${name}\]\(.*\| (\w+) \|$`, 'm').exec(index) ?? [];
    const privileged = containers.some(({ securityContext }) => securityContext?.['privileged'] === true);
    expect(privileged).toBe(profile === 'privileged');
  });

  test('its command lines are understood', async () => {
    for (const { command = [], args = [], env = [] } of containers) {
      const words = [...command.filter((word) => word !== '/initbox/initbox'), ...args];
      const variables = Object.fromEntries(env.map((one) => [one.name, one.value ?? 'postgres://db/app']));
      const read = await interpret(words, variables, createRedactor());
      expect(read).toMatchObject({ kind: 'run', warnings: [] });
    }
  });

  test('what it replaces does without it', () => {
    expect(initboxContainers(readExample(name, 'before.yaml'))).toEqual([]);
  });
});
