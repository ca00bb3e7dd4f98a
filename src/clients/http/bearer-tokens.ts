import { asObject, asString, asText, parseJson } from '../../config/json.ts';
import type { FieldValue } from '../../config/source.ts';
import type { Clock } from '../../core/clock.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { UsageError } from '../../core/outcome.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { SaidText } from '../../core/said-text.ts';
import { isWebUrl } from '../../core/web-url.ts';
import { never, notYet, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import type { HttpResponse } from './transport.ts';

/** Bytes of an answer that has a token, or says why there is none. */
export const mostOfTokens = 65_536;

/** A token that whoever has it may use (RFC 6750). It is registered with the redactor. */
export interface BearerToken {
  readonly state: 'token';
  readonly value: string;
  /** Undefined where nobody said when it ends. */
  readonly ends: Date | undefined;
}

/** Milliseconds before its end at which a token is renewed. */
const renewal = 240_000;

/** Tokens by what they are for, renewed in time. */
export class BearerTokens {
  readonly #clock: Clock;
  readonly #obtain: (scope: string, probe: Probe) => Promise<BearerToken | NotYet | Never>;
  readonly #held = new Map<string, BearerToken>();
  readonly #underWay = new Map<string, Promise<BearerToken | NotYet | Never>>();

  /** @param obtain asks for one, once */
  constructor(clock: Clock, obtain: (scope: string, probe: Probe) => Promise<BearerToken | NotYet | Never>) {
    this.#clock = clock;
    this.#obtain = obtain;
  }

  async get(scope: string, probe: Probe): Promise<BearerToken | NotYet | Never> {
    const held = this.#held.get(scope);
    const left = (held?.ends?.getTime() ?? Number.POSITIVE_INFINITY) - this.#clock.date().getTime();
    if (held !== undefined && left > renewal) return held;
    let asked = this.#underWay.get(scope);
    if (asked === undefined) {
      asked = this.#obtain(scope, probe).finally(() => this.#underWay.delete(scope));
      this.#underWay.set(scope, asked);
    }
    const found = await asked;
    if (found.state === 'token') this.#held.set(scope, found);
    return found;
  }
}

/** The JSON object of a body; undefined where it is none. */
export function objectOf({
  body,
}: Pick<HttpResponse, 'body'>): { readonly [key: string]: FieldValue } | undefined {
  try {
    return asObject(parseJson(body.toString()));
  } catch {
    return undefined;
  }
}

/**
 * The token in an answer 200 (RFC 6749, 5.1).
 * @param now by the clock that the answer's seconds count from
 */
export function tokenIn(answer: HttpResponse, now: Date, redactor: Redactor): BearerToken | NotYet {
  const said = objectOf(answer);
  if (said === undefined) return notYet('answered 200 with a broken body: it is not a JSON object');
  const seconds = Number(asText(said['expires_in']) ?? Number.NaN);
  const ends = Number.isFinite(seconds) ? new Date(now.getTime() + seconds * 1000) : undefined;
  return bearerToken(asString(said['access_token']), ends, redactor);
}

/** A token that an answer gave, registered. */
export function bearerToken(
  value: string | undefined,
  ends: Date | undefined,
  redactor: Redactor,
): BearerToken | NotYet {
  if (value !== undefined) redactor.secret(value);
  if (value === undefined || !/^[\x21-\x7e]+$/.test(value))
    return notYet('answered 200 with a broken body: it has no access token');
  const isTime = ends !== undefined && !Number.isNaN(ends.getTime());
  return { state: 'token', value, ends: isTime ? ends : undefined };
}

/** Characters of a server's own words that are shown. */
const longestWords = 1000;

/** Something that a server said, for people; empty where it is not a text. */
export function shownWords(text: string | undefined, redact: (text: string) => string): string {
  return text === undefined ? '' : SaidText.shown([new SaidText(text)], longestWords, redact);
}

/** What was said in place of a token (RFC 6749, 5.2), for people; empty where nothing was. */
export function tokenRefusal(answer: HttpResponse, redact: (text: string) => string): string {
  const said = objectOf(answer);
  // Google's APIs have an object there, with a message in it.
  const inner = asObject(said?.['error']);
  return shownWords(
    asString(said?.['error_description']) ?? asString(inner?.['message']) ?? asString(said?.['error']),
    redact,
  );
}

/** What passes, and what is never obeyed; undefined where the answer must be looked at. */
export function passingFault({ status, busy }: HttpResponse, hint: string): NotYet | Never | undefined {
  if (status === 408 || status === 425 || status === 429 || status >= 500)
    return notYet(`answered ${status}`, { busy });
  if (status >= 300 && status < 400)
    return never(
      exitStatus.refused,
      `answered ${status}, a redirect, and a token goes to one place only`,
      hint,
    );
  return undefined;
}

/**
 * The answer, where it is 200.
 * @param name of what was asked
 */
export function givenToken(
  answer: HttpResponse | NotYet | Never,
  {
    name,
    hint,
    misled,
    redact,
  }: {
    readonly name: string;
    /** Why there may be none. */
    readonly hint: string;
    /** What may have led to another place. */
    readonly misled: string;
    readonly redact: (text: string) => string;
  },
): HttpResponse | NotYet | Never {
  if (answer.state !== 'response') return { ...answer, reason: `${name}: ${answer.reason}` };
  const passing = passingFault(answer, misled);
  if (passing !== undefined) return { ...passing, reason: `${name} ${passing.reason}` };
  if (answer.status === 200) return answer;
  const said = tokenRefusal(answer, redact);
  return never(
    exitStatus.refused,
    `${name} gave no token (${answer.status})${said === '' ? '' : `: ${said}`}`,
    hint,
  );
}

/** Whether a token may be sent there: nobody in between reads https, and nobody is in between on loopback. */
function isPrivateWay({ protocol, hostname }: URL): boolean {
  return protocol === 'https:' || /^(?:127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(hostname);
}

/** @throws UsageError that names it, and shows nothing of it, where a token must not be sent there */
export function checkTokenUrl(name: string, text: string): void {
  if (text === '') return;
  if (!isWebUrl(text)) throw new UsageError(`${name} is not an https URL; write https://HOST`);
  const url = new URL(text);
  if (url.username !== '' || url.password !== '')
    throw new UsageError(`${name} has a user or password in it; write https://HOST`);
  if (url.search !== '' || url.hash !== '')
    throw new UsageError(`${name} has a ? or # in it; write https://HOST`);
  if (!isPrivateWay(url))
    throw new UsageError(
      `${name} is an http URL, and who has a token of it may use it: write https://HOST; http is for loopback addresses alone`,
    );
}
