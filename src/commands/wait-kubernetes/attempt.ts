import type { ApiObject } from '../../clients/kubernetes/api-object.ts';
import type { ApiClient } from '../../clients/kubernetes/client.ts';
import { discoverResource } from '../../clients/kubernetes/discover.ts';
import { MissingRight } from '../../clients/kubernetes/missing-right.ts';
import type { ApiResource } from '../../clients/kubernetes/resource.ts';
import { ObjectWatch } from '../../clients/kubernetes/watch.ts';
import type { Clock } from '../../core/clock.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { never, notYet, satisfied, type Answer, type Probe, type Target } from '../../wait/attempt.ts';
import type { ObjectExpectation } from './expectation.ts';
import { judgeObject } from './judge.ts';
import { isKnownResource, type ObjectTarget } from './target.ts';
import type { Verdict } from './verdict.ts';

/** What is waited for, with all that was said of it. */
export interface ObjectWait {
  readonly target: ObjectTarget;
  readonly expectations: readonly ObjectExpectation[];
  readonly selector: string | undefined;
  readonly count: number | undefined;
  /** Where it is looked for; of a resource that is in no namespace it is not used. */
  readonly namespace: string;
  /** Milliseconds that one watch lasts at most. */
  readonly watchFor: number;
}

export interface ObjectWaitContext {
  readonly client: ApiClient;
  readonly clock: Clock;
  readonly redact: (text: string) => string;
}

/** What is kept of an object. */
interface Judged {
  readonly verdict: Verdict;
}

/** Answers that were not fetched yet; nobody needs more of them. */
const mostPending = 100;

/** One target: the loop asks, and is woken whenever there is something new to tell. */
export function watchedTarget(wait: ObjectWait, context: ObjectWaitContext): Target & Disposable {
  const { clock, client } = context;
  let watch: ObjectWatch<Judged> | undefined;
  let resource: ApiResource | undefined = isKnownResource(wait.target.resource)
    ? wait.target.resource
    : undefined;
  let wake = (): void => {};
  const rights = new MissingRight(clock);
  let told = '';
  /** What counted for a moment: an object can be complete and deleted before the loop looks. */
  const pending: Answer[] = [];

  const begin = (found: ApiResource): ObjectWatch<Judged> =>
    new ObjectWatch<Judged>(
      {
        resource: found,
        namespace: found.namespaced ? wait.namespace : undefined,
        name: wait.target.name,
        selector: wait.selector,
        metadataOnly: wait.expectations.every((one) => one.for === 'exists' || one.for === 'gone'),
      },
      {
        client,
        clock,
        watchFor: wait.watchFor,
        keep: (object: ApiObject) => ({
          verdict: judgeObject(found.kind, object, wait.expectations, context.redact),
        }),
        changed(known) {
          const answer = answerOf(known, wait);
          if (isMoment(answer) && pending.length < mostPending) pending.push(answer);
          const words = answer.state === 'satisfied' ? answer.seen : answer.reason;
          if (words === told && !isMoment(answer)) return;
          told = words;
          wake();
        },
        deleting(known) {
          // One that had failed is made again by whoever deletes it.
          const answer = answerOf(known, wait);
          if (answer.state === 'satisfied' && pending.length < mostPending) pending.push(answer);
        },
        ended: () => wake(),
      },
    );

  return {
    name: nameOf(wait),
    stages: ['tcp', 'tls', 'protocol', 'login', 'assertion'],
    wakeUps(call) {
      wake = call;
      return () => (wake = () => {});
    },
    async attempt(probe: Probe): Promise<Answer> {
      if (resource === undefined && !isKnownResource(wait.target.resource)) {
        const found = await discoverResource(wait.target.resource, client, probe);
        if ('state' in found) return found;
        resource = found;
      }
      watch ??= begin(resource as ApiResource);
      const known = await watch.look(probe, (list) => isMoment(answerOf(list, wait)));
      if ('state' in known) return known.state === 'forbidden' ? rights.missed(known) : known;
      rights.given();
      probe.reached?.('login');
      const moment = pending.shift();
      if (pending.length > 0) wake();
      return moment ?? answerOf(known, wait);
    },
    [Symbol.dispose]: () => watch?.[Symbol.dispose](),
  };
}

/** `job prod/migrate`, `pods prod/ with app=web` */
function nameOf({ target, namespace, selector }: ObjectWait): string {
  const { resource, kind, name } = target;
  const within = isKnownResource(resource) && !resource.namespaced ? '' : `${namespace}/`;
  return name === undefined ? `${kind} ${within} with ${selector ?? ''}` : `${kind} ${within}${name}`;
}

/** What decides a wait, one way or the other, and may be over a moment later. */
function isMoment(answer: Answer): boolean {
  return answer.state !== 'not-yet' || answer.absent === true;
}

function answerOf(known: ReadonlyMap<string, Judged>, { target, expectations, count }: ObjectWait): Answer {
  const gone = expectations.some((one) => one.for === 'gone');
  if (gone && known.size === 0) return satisfied('is gone');
  if (target.name === undefined) return answerOfSome([...known], gone ? known.size + 1 : count);
  const verdict = known.get(target.name)?.verdict;
  if (verdict === undefined)
    return notYet('is not there', {
      absent: true,
      hint: `is it made already, and in that namespace? What was finished and deleted in between (ttlSecondsAfterFinished) is not seen`,
    });
  if (verdict.state === 'yes') return satisfied(verdict.seen);
  if (verdict.state === 'no') return notYet(verdict.seen, { hint: verdict.hint });
  return { ...never(exitStatus.refused, verdict.seen, verdict.hint), there: true };
}

function answerOfSome(
  known: readonly (readonly [name: string, judged: Judged])[],
  count: number | undefined,
): Answer {
  const right = known.filter(([, { verdict }]) => verdict.state === 'yes');
  const wanted = count ?? Math.max(1, known.length);
  if (right.length >= wanted)
    return satisfied(
      `${right.length} of ${known.length}: ${right[0]?.[0] ?? ''} ${right[0]?.[1].verdict.seen ?? ''}`,
    );
  if (known.length === 0) return notYet('there is none', { absent: true });
  const [first] = known.filter(([, { verdict }]) => verdict.state !== 'yes');
  const what = first === undefined ? '' : `; ${first[0]} ${first[1].verdict.seen}`;
  // Others may be made in the place of one that failed.
  return notYet(`${right.length} of ${count === undefined ? known.length : `at least ${wanted}`}${what}`, {
    hint: first?.[1].verdict.hint,
  });
}
