// Jobs whose status the tests write, at the very moment that they choose: no controller minds them.
import type { Thing } from './kubectl.ts';
import type { Namespace } from './namespace.ts';

/** A Job that no pod is made for (spec.managedBy). */
export function managedJob(name: string): Thing {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    spec: {
      managedBy: 'initbox.test/hand',
      template: { spec: { restartPolicy: 'Never', containers: [{ name: 'work', image: 'busybox:1.37' }] } },
    },
  };
}

/** What its controller would write at its end. */
export function endedStatus(now = new Date()): object {
  const at = `${now.toISOString().slice(0, 19)}Z`;
  const condition = (type: string): object => ({
    type,
    status: 'True',
    reason: 'CompletionsReached',
    lastProbeTime: at,
    lastTransitionTime: at,
  });
  return {
    startTime: at,
    completionTime: at,
    succeeded: 1,
    conditions: [condition('SuccessCriteriaMet'), condition('Complete')],
    uncountedTerminatedPods: {},
  };
}

export async function completeJob(namespace: Namespace, name: string): Promise<void> {
  const patch = JSON.stringify({ status: endedStatus() });
  await namespace.kubectl('patch', 'job', name, '--subresource=status', '--type=merge', '-p', patch);
}
