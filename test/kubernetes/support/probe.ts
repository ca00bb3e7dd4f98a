// Pods of one init container of initbox, for what no example shows.
import { imageFor } from './images.ts';
import type { Thing } from './kubectl.ts';
import type { Container, PodSpec } from './manifests.ts';
import { restrictedContainer, restrictedPod } from './services.ts';

/** An init container of the image that is tested. */
export function initbox(name: string, args: readonly string[], more: Partial<Container> = {}): Container {
  return {
    name,
    image: imageFor('initbox:0.1.0'),
    args: [...args],
    terminationMessagePolicy: 'FallbackToLogsOnError',
    securityContext: { ...restrictedContainer, readOnlyRootFilesystem: true },
    ...more,
  };
}

/** A pod with these init containers and an application that does nothing. */
export function podWith(name: string, initContainers: Container[], more: Partial<PodSpec> = {}): Thing {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: name } },
    spec: {
      terminationGracePeriodSeconds: 30,
      securityContext: { ...restrictedPod },
      initContainers,
      containers: [
        { name: 'app', image: imageFor('registry.example/shop:1.2.3'), securityContext: restrictedContainer },
      ],
      ...more,
    },
  };
}
