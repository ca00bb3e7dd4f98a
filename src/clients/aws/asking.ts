import { asObject, asString, JsonFault, parseJson } from '../../config/json.ts';
import type { FieldValue } from '../../config/source.ts';
import type { Clock } from '../../core/clock.ts';
import { ServerClock } from '../http/server-clock.ts';
import type { HttpResponse } from '../http/transport.ts';
import { AnswerTooLarge, type SdkError } from './faults.ts';

/** Names of errors that a clock may be the reason of. */
const ofClocks =
  /^(RequestTimeTooSkewed|RequestExpired|InvalidSignatureException|SignatureDoesNotMatch|AuthFailure|AccessDenied)$/;

/** The time of AWS, as its SDKs find it. */
export class AwsClock {
  readonly #time: ServerClock;

  constructor(clock: Clock) {
    this.#time = new ServerClock(clock);
  }

  now(): Date {
    return this.#time.now();
  }

  /** Whether a refusal was about the time, which is right from now on. */
  corrects(error: string, answer: Pick<HttpResponse, 'headers'>): boolean {
    return ofClocks.test(error) && this.#time.corrects(answer);
  }
}

/** The JSON of an answer. @throws an error as the SDK would throw it: AWS's own, or that it cannot be read */
export function readJson({ status, headers, body }: HttpResponse, time: AwsClock): FieldValue {
  let value: FieldValue | undefined;
  let unread: unknown;
  try {
    value = parseJson(body.toString());
  } catch (error) {
    unread =
      error instanceof JsonFault && error.kind === 'values'
        ? new AnswerTooLarge(error.message)
        : new SyntaxError('it is not JSON');
  }
  if (status === 200 && value !== undefined) return value;
  const said = asObject(value);
  const type = [headers['x-amzn-errortype']].flat()[0] ?? asString(said?.['__type']) ?? '';
  if (unread !== undefined && type === '') throw refusalBy(unread as Error, status, headers, false);
  const name = errorName(type);
  const words = asString(said?.['message']) ?? asString(said?.['Message']) ?? '';
  const corrected = time.corrects(name, { headers });
  throw refusalBy(Object.assign(new Error(words), { name }), status, headers, corrected);
}

/** `com.amazonaws.ssm#ParameterNotFound:http://…` (https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html). */
function errorName(type: string): string {
  return type.replace(/:.*$/s, '').replace(/^.*#/s, '');
}

/** An error of an answer, as the SDK's are. */
export function refusalBy(
  error: Error,
  status: number,
  headers: HttpResponse['headers'],
  clockSkewCorrected: boolean,
): SdkError {
  return Object.assign(error, {
    $fault: status >= 500 ? ('server' as const) : ('client' as const),
    $metadata: { httpStatusCode: status, clockSkewCorrected },
    $response: { statusCode: status, headers: headers as Readonly<Record<string, string>> },
  });
}
