// The examples' manifests, with what the tests must change in them to run them anywhere.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

import { parseAllDocuments } from 'yaml';

import { projectDirectory } from '../../support/tools.ts';
import { imageFor } from './images.ts';
import type { Thing } from './kubectl.ts';
import { servicesNamespace } from './services.ts';

const folder = join(projectDirectory, 'examples');

/** The folders of examples/. */
export const exampleNames = readdirSync(folder, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map(({ name }) => name);

/** The objects of a manifest, as they are written. */
export function readManifest(text: string): Thing[] {
  return [...parseAllDocuments(text)].map((document) => {
    const [error] = document.errors;
    if (error !== undefined) throw error;
    return document.toJS() as Thing;
  });
}

/** `examples/NAME/FILE`, as it is written. */
export function readExample(name: string, file: 'before.yaml' | 'after.yaml'): Thing[] {
  return readManifest(readFileSync(join(folder, name, file), 'utf8'));
}

/**
 * Replaces images as images.ts says, and the address of Vault, which is another namespace's here.
 */
export function localised<T>(value: T): T {
  const change = (key: string, one: unknown): unknown => {
    if (typeof one !== 'string') return one;
    return key === 'image' || key === 'reference'
      ? imageFor(one)
      : one.replace('vault.vault.svc', `vault.${servicesNamespace}.svc`);
  };
  return JSON.parse(JSON.stringify(value, change)) as T;
}

export interface Container {
  name: string;
  image: string;
  args?: string[];
  command?: string[];
  env?: { name: string; value?: string; valueFrom?: unknown }[];
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean }[];
  resources?: unknown;
  restartPolicy?: string;
  securityContext?: Record<string, unknown>;
  terminationMessagePolicy?: string;
}

export interface PodSpec {
  serviceAccountName?: string;
  initContainers?: Container[];
  containers: Container[];
  volumes?: Record<string, unknown>[];
  securityContext?: Record<string, unknown>;
  terminationGracePeriodSeconds?: number;
}

/** The pod's description inside a Deployment, a StatefulSet, a Job, or a Pod. */
export function podSpecOf(thing: Thing): PodSpec | undefined {
  if (thing.kind === 'Pod') return thing['spec'] as PodSpec;
  return (thing['spec'] as { template?: { spec?: PodSpec } } | undefined)?.template?.spec;
}

/** Every container of initbox, by image or by command. */
export function initboxContainers(things: readonly Thing[]): Container[] {
  return things.flatMap((thing) => {
    const spec = podSpecOf(thing);
    return [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])].filter(
      ({ image, command }) => image.startsWith('initbox:') || command?.[0] === '/initbox/initbox',
    );
  });
}
