import {
  conditionIn,
  numberAt,
  objectsIn,
  textAt,
  valueIn,
  type ApiObject,
} from '../../clients/kubernetes/api-object.ts';
import { withheld } from '../../core/excerpt.ts';
import { neverAgain, no, yes, type Verdict } from './verdict.ts';

/** A condition that is True. */
function holds(object: ApiObject, type: string): ApiObject | undefined {
  const found = conditionIn(object, type);
  return textAt(found, 'status') === 'True' ? found : undefined;
}

/** `BackoffLimitExceeded: Job has reached the specified backoff limit` */
export function whyIn(condition: ApiObject | undefined): string {
  return ['reason', 'message']
    .map((part) => textAt(condition, part))
    .filter((text) => text !== '')
    .map((text) => withheld(text.length, mostWhy) ?? text)
    .join(': ');
}

/** Characters of a reason or message that are shown: with a longer one, nothing of the whole line would be. */
const mostWhy = 4096;

export function isGoing(object: ApiObject): boolean {
  return textAt(object, 'metadata', 'deletionTimestamp') !== '';
}

/** Whether a Job is complete (https://kubernetes.io/docs/concepts/workloads/controllers/job/#job-termination-and-cleanup). */
export function judgeJob(job: ApiObject): Verdict {
  if (holds(job, 'Complete') !== undefined) return yes('is complete');
  const failed = holds(job, 'Failed');
  const name = textAt(job, 'metadata', 'name');
  if (failed !== undefined) {
    const seen = `has failed (${whyIn(failed) || 'no reason is given'})`;
    // Whoever deletes a failed Job makes it again: helm does.
    if (isGoing(job)) return no(`${seen} and is being deleted`);
    return neverAgain(
      seen,
      `look at its pods: kubectl logs -n ${textAt(job, 'metadata', 'namespace')} job/${name}`,
    );
  }
  const failing = holds(job, 'FailureTarget');
  if (failing !== undefined) return no(`is about to fail (${whyIn(failing)})`);
  const wanted = numberAt(job, 'spec', 'completions') ?? 1;
  const done = numberAt(job, 'status', 'succeeded') ?? 0;
  const lost = numberAt(job, 'status', 'failed') ?? 0;
  const counts = `has ${done} of ${wanted} completions, ${numberAt(job, 'status', 'active') ?? 0} active pods${lost === 0 ? '' : `, ${lost} failed pods`}`;
  if (valueIn(job, 'spec', 'suspend') === true)
    return no(
      'is suspended',
      'it does not start before spec.suspend is false: kubectl patch job, or whatever queues it (Kueue)',
    );
  return no(
    counts,
    lost === 0
      ? undefined
      : `look at its pods: kubectl logs -n ${textAt(job, 'metadata', 'namespace')} job/${name}`,
  );
}

/** Whether a Pod serves, or has done its work. */
export function judgePod(pod: ApiObject): Verdict {
  const phase = textAt(pod, 'status', 'phase');
  // It may have been ready and have ended between two looks.
  if (phase === 'Succeeded') return yes('has finished (Succeeded)');
  if (phase === 'Failed') {
    const why = whyIn(objectReason(pod));
    const seen = `has failed${why === '' ? '' : ` (${why})`}`;
    // A controller makes another one, of the same name if it is a StatefulSet.
    const owned = objectsIn(pod, 'metadata', 'ownerReferences').some((owner) => owner['controller'] === true);
    return owned || isGoing(pod)
      ? no(seen)
      : neverAgain(seen, 'kubectl describe pod and kubectl logs tell why');
  }
  if (isGoing(pod)) return no('is being deleted');
  if (holds(pod, 'Ready') !== undefined) return yes('is ready');
  const waiting = ['initContainerStatuses', 'containerStatuses']
    .flatMap((list) => objectsIn(pod, 'status', list))
    .map((status) => textAt(status, 'state', 'waiting', 'reason'))
    .find((reason) => reason !== '' && !/^(PodInitializing|ContainerCreating)$/.test(reason));
  const scheduled = conditionIn(pod, 'PodScheduled');
  const unscheduled = textAt(scheduled, 'status') === 'False' ? textAt(scheduled, 'reason') : '';
  const reason = waiting ?? (unscheduled || textAt(conditionIn(pod, 'Ready'), 'reason'));
  return no(`is not ready (${[phase || 'Pending', reason].filter((part) => part !== '').join(', ')})`);
}

/** Whether a Job or Pod has run to its end, well or not. */
export function judgeEnd(kind: string, object: ApiObject): Verdict {
  if (kind === 'Job') {
    const verdict = judgeJob(object);
    return holds(object, 'Failed') === undefined ? verdict : yes(verdict.seen);
  }
  const phase = textAt(object, 'status', 'phase');
  if (phase === 'Failed') return yes(judgePod(object).seen);
  return phase === 'Succeeded' ? judgePod(object) : no(`has not ended (${phase || 'Pending'})`);
}

/** Where a Pod says itself why it failed: `Evicted: The node was low on resource: memory.` */
function objectReason(pod: ApiObject): ApiObject {
  return { reason: textAt(pod, 'status', 'reason'), message: textAt(pod, 'status', 'message') };
}

/** Whether what was last written is what runs, as `kubectl rollout status` sees it. */
export function judgeRollout(kind: string, object: ApiObject): Verdict {
  if (isGoing(object)) return no('is being deleted');
  const generation = numberAt(object, 'metadata', 'generation') ?? 0;
  if ((numberAt(object, 'status', 'observedGeneration') ?? 0) < generation)
    return no('has been changed, and its controller has not seen that yet');
  if (kind === 'Deployment') return judgeDeployment(object);
  return kind === 'StatefulSet' ? judgeStatefulSet(object) : judgeDaemonSet(object);
}

const counted = (object: ApiObject, name: string): number => numberAt(object, 'status', name) ?? 0;

function judgeDeployment(object: ApiObject): Verdict {
  const wanted = numberAt(object, 'spec', 'replicas') ?? 1;
  const [updated, available, all] = ['updatedReplicas', 'availableReplicas', 'replicas'].map((name) =>
    counted(object, name),
  ) as [number, number, number];
  const progress = conditionIn(object, 'Progressing');
  const stuck =
    textAt(progress, 'reason') === 'ProgressDeadlineExceeded'
      ? 'it makes no progress (ProgressDeadlineExceeded): kubectl describe and the logs of its pods tell why'
      : undefined;
  if (updated < wanted) return no(`has ${updated} of ${wanted} replicas updated`, stuck);
  if (available < updated) return no(`has ${available} of ${wanted} replicas available`, stuck);
  if (all > updated) return no(`has ${all - updated} old replicas that are not gone yet`, stuck);
  return yes(`is rolled out (${available} of ${wanted} available)`);
}

function judgeStatefulSet(object: ApiObject): Verdict {
  const wanted = numberAt(object, 'spec', 'replicas') ?? 1;
  const available = counted(object, 'availableReplicas');
  if (available < wanted) return no(`has ${available} of ${wanted} replicas available`);
  const byHand = textAt(object, 'spec', 'updateStrategy', 'type') === 'OnDelete';
  const partition = numberAt(object, 'spec', 'updateStrategy', 'rollingUpdate', 'partition') ?? 0;
  const toUpdate = byHand ? 0 : Math.max(0, wanted - partition);
  const updated = counted(object, 'updatedReplicas');
  // Without an update, updatedReplicas is not kept by older controllers: the revisions tell.
  const same = textAt(object, 'status', 'updateRevision') === textAt(object, 'status', 'currentRevision');
  if (!same && updated < toUpdate) return no(`has ${updated} of ${toUpdate} replicas updated`);
  return yes(`is rolled out (${available} of ${wanted} available)`);
}

function judgeDaemonSet(object: ApiObject): Verdict {
  const wanted = counted(object, 'desiredNumberScheduled');
  const updated = counted(object, 'updatedNumberScheduled');
  const available = counted(object, 'numberAvailable');
  const byHand = textAt(object, 'spec', 'updateStrategy', 'type') === 'OnDelete';
  if (!byHand && updated < wanted) return no(`has ${updated} of ${wanted} pods updated`);
  if (available < wanted) return no(`has ${available} of ${wanted} pods available`);
  return yes(`is rolled out (${available} of ${wanted} available)`);
}
