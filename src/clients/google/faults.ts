import { asObject, asString } from '../../config/json.ts';
import type { FieldValue } from '../../config/source.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { never, nonexistent, notYet, type Never, type NotYet } from '../../wait/attempt.ts';
import { objectOf, passingFault, shownWords } from '../http/bearer-tokens.ts';
import type { HttpResponse } from '../http/transport.ts';

/** What was asked for, as far as a refusal tells of it. */
export interface GoogleScene {
  /** The service, for people: `Secret Manager`. */
  readonly service: string;
  /** Whose token was sent; empty where that is not known. */
  readonly account: string;
  /** The version that was asked for. */
  readonly version: string | undefined;
  /** How to see what is there. */
  readonly list: string;
  /** What allows to read it. */
  readonly allow: string;
  /** The API's name, as `gcloud services enable` takes it. */
  readonly api: string;
  /** The variable that names its endpoint. */
  readonly variable: string;
  readonly redact: (text: string) => string;
}

/** What Google's APIs say in place of what was asked for (https://cloud.google.com/apis/design/errors). */
interface Refusal {
  /** `NOT_FOUND`; empty where there is none. */
  readonly code: string;
  /** `SERVICE_DISABLED`, `rateLimitExceeded`. */
  readonly reasons: readonly string[];
  readonly message: string | undefined;
}

function refusalOf(answer: Pick<HttpResponse, 'body'>): Refusal | undefined {
  const error = asObject(objectOf(answer)?.['error']);
  if (error === undefined) return undefined;
  const details = [error['details'], error['errors']].flatMap((list) =>
    Array.isArray(list) ? (list as readonly FieldValue[]) : [],
  );
  return {
    code: asString(error['status']) ?? '',
    reasons: details.flatMap((one) => asString(asObject(one)?.['reason']) ?? []),
    message: asString(error['message']),
  };
}

/** Whether an answer that is none is in the words of Google's APIs. */
export function isGoogleRefusal(answer: Pick<HttpResponse, 'body'>): boolean {
  return refusalOf(answer) !== undefined;
}

/** Why something was not given, and whether waiting may help. */
export function googleFault(answer: HttpResponse, scene: GoogleScene): NotYet | Never {
  const { status, busy } = answer;
  const { account, version, redact } = scene;
  const as = account === '' ? '' : ` (as ${account})`;
  const refusal = refusalOf(answer);
  const passing = passingFault(
    answer,
    `look at ${scene.variable} and the proxy variables: they should name Google itself`,
  );
  if (passing !== undefined) return passing;
  const refused = (what: string, hint?: string): Never => never(exitStatus.refused, what, hint);
  if (refusal === undefined)
    return refused(
      `gave an answer that is not from ${scene.service} (${status}): it cannot be read`,
      `look at ${scene.variable} and the proxy variables`,
    );
  const { code, reasons, message } = refusal;
  const said = shownWords(message, redact);
  const has = (pattern: RegExp): boolean => reasons.some((reason) => pattern.test(reason));
  if (
    code === 'RESOURCE_EXHAUSTED' ||
    has(/^(?:rateLimitExceeded|userRateLimitExceeded|RATE_LIMIT_EXCEEDED)$/)
  )
    return notYet(`is throttled by Google (${status})`, { busy: busy ?? {} });
  if (status === 404)
    return nonexistent(
      exitStatus.refused,
      version === undefined
        ? `does not exist${as}`
        : `has no version ${JSON.stringify(version)}${as}, or does not exist`,
      scene.list,
    );
  if (status === 401)
    return refused(
      `was refused: Google rejected the credentials${as}: ${said}`,
      'has the account been disabled or deleted, or is the token of another cloud?',
    );
  if (status === 403 && has(/^(?:SERVICE_DISABLED|accessNotConfigured)$/))
    return refused(`is of an API that is not enabled: ${said}`, `gcloud services enable ${scene.api}`);
  if (status === 403) return refused(`access is denied${as}: ${said}`, scene.allow);
  if (code === 'FAILED_PRECONDITION' && /\bDESTROYED\b/.test(message ?? ''))
    return nonexistent(
      exitStatus.refused,
      `is a version that was destroyed: ${said}`,
      'its value is gone for good; add a version, or name another one with ?version=',
    );
  if (code === 'FAILED_PRECONDITION' && /\bDISABLED\b/.test(message ?? ''))
    return refused(
      `is a version that is disabled: ${said}`,
      'enable it: gcloud secrets versions enable; or name another one with ?version=',
    );
  return refused(`was refused (${status}): ${said}`);
}
