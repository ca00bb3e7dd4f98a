import { exitStatus } from '../../core/exit-status.ts';
import { never, notYet, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import type { HttpAnswer, HttpClient, HttpRequest, HttpResponse } from './transport.ts';

/** How far redirects are followed. Whatever it says, no credential and no body goes to another origin. */
export interface RedirectPolicy {
  readonly most: number;
  /** Why no more are followed, for people. */
  readonly tooMany: string;
  /** Other origins are asked too, with the headers of `elsewhere` alone. */
  readonly crossOrigin: boolean;
  /** The headers for an address of another origin: what gives no access, and was not told by somebody else. */
  readonly elsewhere: (to: URL) => Readonly<Record<string, string>>;
  /** The request with what holds for its very address and for no other, such as an ETag. */
  readonly atAddress?: (request: HttpRequest) => HttpRequest;
  /** A client certificate is shown. */
  readonly identified: boolean;
  /** What to do about a redirect that is refused. */
  readonly hint: string;
  /** Answers a redirect in place of following it, before anything else is looked at. */
  readonly answer?: (from: URL, to: URL, response: HttpResponse) => NotYet | Never | undefined;
  /** True for a redirect that is the answer itself. */
  readonly wanted?: (response: HttpResponse) => boolean;
  /** A redirect that is not followed is "not yet". */
  readonly forgiving?: boolean;
}

const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * Sends a request and follows its redirects by hand, as far as the policy lets it: what follows them by itself forwards
 * tokens to other hosts.
 */
export async function sendFollowing(
  client: Pick<HttpClient, 'send'>,
  request: HttpRequest,
  probe: Probe,
  policy: RedirectPolicy,
): Promise<HttpAnswer> {
  const refused = (reason: string, what?: string): NotYet | Never =>
    policy.forgiving ? notYet(reason, { hint: what }) : never(exitStatus.refused, reason, what);
  let current = request;
  for (let hop = 1; ; hop++) {
    const answer = await client.send(policy.atAddress?.(current) ?? current, probe);
    if (answer.state !== 'response' || !redirects.has(answer.status) || policy.wanted?.(answer))
      return answer;
    if (!answer.headers.location) return refused(`${answer.status} without a Location`);
    const to = locationOf(answer, current.url);
    if (to === undefined) return refused(`${answer.status} to something that is not a URL`);
    const instead = policy.answer?.(current.url, to, answer);
    if (instead !== undefined) return instead;
    const leaves = to.origin !== current.url.origin;
    const next = redirected(
      leaves ? { ...current, headers: policy.elsewhere(to) } : current,
      to,
      answer.status,
      leaves,
    );
    const why = refusal(current, next, hop, request.url.origin, policy);
    if (why !== undefined) {
      // A path may hold what the request carried.
      const where =
        leaves && carriesCredentials(current, to, policy)
          ? namedOrigin(to)
          : `${namedOrigin(to)}${to.pathname}`;
      return refused(`${answer.status} to ${where}: not followed, ${why}`, policy.hint);
    }
    current = next;
  }
}

/**
 * Where a redirect leads; undefined where it names nothing that is a URL. Bytes beyond ASCII are encoded as they come, as
 * curl does it: raw UTF-8 in a Location is common, and Node reads headers in Latin-1.
 */
export function locationOf({ headers }: Pick<HttpResponse, 'headers'>, from: URL): URL | undefined {
  const text = (headers.location ?? '').replaceAll(
    /[\u0080-\u00ff]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return text !== '' && URL.canParse(text, from) ? new URL(text, from) : undefined;
}

/** Why a redirect is not followed; undefined where it is. */
function refusal(
  from: HttpRequest,
  { url: to, body }: HttpRequest,
  hop: number,
  first: string,
  { most, tooMany, crossOrigin, identified }: RedirectPolicy,
): string | undefined {
  if (hop > most) return tooMany;
  if (to.protocol !== 'https:' && from.url.protocol === 'https:') return 'it leaves https';
  if (to.protocol !== 'https:' && to.protocol !== 'http:') return `${to.protocol} is not a web address`;
  if (to.username !== '' || to.password !== '') return 'it has a user or password in it';
  if (to.origin === first) return undefined;
  if (!crossOrigin) return 'it is another origin';
  if (identified) return 'a client certificate is shown to one origin only';
  return body === undefined ? undefined : 'a body is sent to one origin only';
}

/** Schemes that are not the web's have no origin by name (https://url.spec.whatwg.org/#origin). */
export function namedOrigin(url: URL): string {
  return url.origin === 'null' ? `${url.protocol}//${url.host}` : url.origin;
}

function carriesCredentials(
  { headers, body }: HttpRequest,
  to: URL,
  { elsewhere, identified }: RedirectPolicy,
): boolean {
  const harmless = elsewhere(to);
  return identified || body !== undefined || Object.keys(headers).some((name) => !(name in harmless));
}

/** RFC 9110, 15.4: 303 asks for a GET, and after 301 and 302 a POST becomes one. */
function redirected(from: HttpRequest, to: URL, status: number, leaves: boolean): HttpRequest {
  const { body, socketPath, h2c, ...rest } = from;
  const becomesGet = (status === 303 && from.method !== 'HEAD') || (status < 303 && from.method === 'POST');
  return {
    ...rest,
    url: to,
    ...(becomesGet ? { method: 'GET' } : body === undefined ? {} : { body }),
    ...(socketPath === undefined || leaves ? {} : { socketPath }),
    ...(h2c === undefined || leaves ? {} : { h2c }),
  };
}
