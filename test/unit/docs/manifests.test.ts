import { spawnSync } from 'node:child_process';

import { describe, expect, test } from 'vitest';

import packageJson from '../../../package.json' with { type: 'json' };
import { warningsAbout } from './interpreted.ts';
import { withVariables } from './shell-words.ts';
import { documentsIn, isMap, mapsIn, yamlBlocks, type Map } from './yaml.ts';

/** The fields of Kubernetes' API, v1, as far as pages use them: a mistyped one would be dropped without a word. */
const containerFields = new Set(
  `name image command args workingDir ports envFrom env resources restartPolicy volumeMounts livenessProbe
   readinessProbe startupProbe lifecycle terminationMessagePath terminationMessagePolicy imagePullPolicy
   securityContext`.split(/\s+/),
);
const podFields = new Set(
  `volumes initContainers containers restartPolicy terminationGracePeriodSeconds activeDeadlineSeconds dnsPolicy
   nodeSelector serviceAccountName automountServiceAccountToken securityContext imagePullSecrets affinity
   tolerations hostUsers hostNetwork`.split(/\s+/),
);
const securityFields = new Set(
  `runAsUser runAsGroup runAsNonRoot readOnlyRootFilesystem allowPrivilegeEscalation capabilities seccompProfile
   privileged fsGroup fsGroupChangePolicy supplementalGroups sysctls`.split(/\s+/),
);

/** Maps that are containers, or parts of one that show only its command. */
function containersIn(value: unknown): Map[] {
  return mapsIn(value).filter(
    (map) => Array.isArray(map['command']) || Array.isArray(map['args']) || 'image' in map,
  );
}

function words(value: unknown): string[] {
  return Array.isArray(value) ? value.map((word) => withVariables(String(word))) : [];
}

/** The arguments of the initbox that a container runs; undefined where it runs none. */
function argumentsOf(container: Map): string[] | undefined {
  const env = environmentOf(container);
  // Kubernetes puts the container's own variables in before it starts.
  const expanded = (key: string): string[] =>
    (Array.isArray(container[key]) ? container[key] : []).map((word) =>
      withVariables(String(word).replaceAll(/\$\((\w+)\)/g, (given, name: string) => env[name] ?? given)),
    );
  const command = expanded('command');
  if (command[0] === '/initbox/initbox') return [...command.slice(1), ...expanded('args')];
  if (command.length > 0 || !isOurs(container['image'])) return undefined;
  return expanded('args');
}

function isOurs(image: unknown): boolean {
  return typeof image === 'string' && /(^|\/)initbox([:@]|$)/.test(image);
}

function environmentOf(container: Map): Record<string, string> {
  const entries = Array.isArray(container['env']) ? container['env'].filter(isMap) : [];
  return Object.fromEntries(
    entries.map((entry) => [
      String(entry['name']),
      typeof entry['value'] === 'string' ? entry['value'] : 'sample',
    ]),
  );
}

const all = yamlBlocks.flatMap(([place, block]) =>
  documentsIn(block).flatMap((document) =>
    // A plan's steps have commands too; they are read by the plan's own reader.
    isMap(document) && 'steps' in document
      ? []
      : containersIn(document).map((container) => ({ place, container })),
  ),
);
const ours = all.flatMap(({ place, container }) => {
  const argv = argumentsOf(container);
  return argv === undefined ? [] : [{ place, container, argv }];
});

test('there are some', () => {
  expect(ours.length).toBeGreaterThan(15);
  expect(all.length).toBeGreaterThan(ours.length);
});

test.each(yamlBlocks)('%s is YAML', (_place, block) => {
  expect(documentsIn(block).length).toBeGreaterThan(0);
});

test.each(
  ours.map(({ place, container, argv }) => [`${place}: ${argv.join(' ')}`, argv, container] as const),
)('%s', async (_name, argv, container) =>
  expect(await warningsAbout(argv, environmentOf(container))).toEqual([]),
);

test.each(
  ours.flatMap(({ place, container: { image } }) => (isOurs(image) ? [[place, image] as const] : [])),
)('%s names the image of this version', (_place, image) =>
  expect(image).toBe(`initbox:${packageJson.version}`),
);

describe.each(yamlBlocks)('%s', (_place, block) => {
  const maps = documentsIn(block).flatMap(mapsIn);

  test('has only fields that Kubernetes has', () => {
    for (const pod of maps.filter((map) => 'initContainers' in map)) {
      const known = (names: Map, fields: ReadonlySet<string>): void => {
        for (const name of Object.keys(names)) expect([...fields], name).toContain(name);
      };
      known(pod, podFields);
      for (const list of [pod['initContainers'], pod['containers']])
        for (const container of Array.isArray(list) ? list.filter(isMap) : [])
          known(container, containerFields);
      for (const context of mapsIn(pod)
        .map((map) => map['securityContext'])
        .filter(isMap))
        known(context, securityFields);
    }
  });

  test('mounts volumes that it has', () => {
    for (const pod of maps.filter((map) => 'initContainers' in map && Array.isArray(map['volumes']))) {
      const names = mapsIn(pod['volumes']).map((volume) => volume['name']);
      for (const mount of mapsIn(pod).filter((map) => 'mountPath' in map))
        expect(names).toContain(mount['name']);
    }
  });
});

test.each(
  all
    .map(({ place, container }) => [place, words(container['command']), words(container['args'])] as const)
    .filter(([, command]) => /^(ba)?sh$/.test(command[0] ?? '') && /^-[a-z]*c$/.test(command[1] ?? ''))
    .map(([place, command, args]) => [place, command[0] ?? '', command[2] ?? args[0] ?? ''] as const),
)('%s: its script is one', (_place, shell, script) => {
  expect(spawnSync(shell, ['-n', '-c', script], { encoding: 'utf8' }).stderr).toBe('');
});
