import {
  conditionIn,
  numberAt,
  objectIn,
  textAt,
  type ApiObject,
} from '../../clients/kubernetes/api-object.ts';
import { excerpt } from '../../core/excerpt.ts';
import type { ObjectExpectation } from './expectation.ts';
import { jsonText, valuesAt } from './json-path.ts';
import { no, yes, type Verdict } from './verdict.ts';
import { judgeEnd, judgeJob, judgePod, judgeRollout, whyIn } from './workloads.ts';

/** Characters of a value that are shown. */
const shown = 80;

/** Whether all of it holds of an object; the first that does not is what is told. */
export function judgeObject(
  kind: string,
  object: ApiObject,
  expectations: readonly ObjectExpectation[],
  redact: (text: string) => string,
): Verdict {
  const verdicts = expectations.map((one) => judgeOne(kind, object, one, redact));
  const open =
    verdicts.find(({ state }) => state === 'never') ?? verdicts.find(({ state }) => state !== 'yes');
  return open ?? yes(verdicts.map(({ seen }) => seen).join(', '));
}

// oxlint-disable-next-line typescript/consistent-return -- every case is there, as the compiler knows
function judgeOne(
  kind: string,
  object: ApiObject,
  expected: ObjectExpectation,
  redact: (text: string) => string,
): Verdict {
  switch (expected.for) {
    case 'exists':
      return yes('is there');
    case 'gone':
      return no('is still there');
    case 'ended':
      return judgeEnd(kind, object);
    case 'complete':
      return judgeJob(object);
    case 'ready':
      return judgePod(object);
    case 'rolled-out':
      return judgeRollout(kind, object);
    case 'condition':
      return judgeCondition(object, expected);
    case 'key':
      return ['data', 'binaryData'].some((part) => Object.hasOwn(objectIn(object, part), expected.key))
        ? yes(`has the key ${expected.key}`)
        : no(`does not have the key ${expected.key} yet`);
    case 'jsonpath':
      return judgePath(kind, object, expected, redact);
  }
}

function judgeCondition(
  object: ApiObject,
  { type, status }: ObjectExpectation & { readonly for: 'condition' },
): Verdict {
  const condition = conditionIn(object, type);
  if (condition === undefined) return no(`has no condition ${type} yet`);
  const now = textAt(condition, 'status');
  const why = whyIn(condition);
  if (now.toLowerCase() !== status.toLowerCase())
    return no(`has the condition ${type}=${now}${why === '' ? '' : ` (${why})`}`);
  const observed =
    numberAt(condition, 'observedGeneration') ?? numberAt(object, 'status', 'observedGeneration');
  if (observed !== undefined && observed < (numberAt(object, 'metadata', 'generation') ?? 0))
    return no(`has the condition ${type}=${now} of what it was before its last change`);
  return yes(`has the condition ${type}=${now}`);
}

function judgePath(
  kind: string,
  object: ApiObject,
  { text, path, value }: ObjectExpectation & { readonly for: 'jsonpath' },
  redact: (text: string) => string,
): Verdict {
  const found = valuesAt(object, path).map(jsonText);
  if (found.length === 0) return no(`has nothing at ${text} yet`);
  if (value === undefined) return yes(`has a value at ${text}`);
  if (found.every((one) => one === value)) return yes(`has the wanted value at ${text}`);
  // What a Secret holds is not for the log.
  const other = kind === 'Secret' ? 'another value' : excerpt(found.join(' '), shown, redact);
  return no(`has ${other} at ${text}`);
}
