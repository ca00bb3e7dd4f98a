import { exitStatus } from '../../kernel/exit-status.ts';
import { never, notYet, type Never, type NotYet, type Probe } from '../../kernel/loop/attempt.ts';
import type { HttpAnswer, HttpClient, HttpRequest, HttpResponse } from './transport.ts';

/** How far redirects are followed. */
export interface RedirectPolicy {
  readonly refuse: RefuseRedirect;
  /** What to do about a redirect that is refused. */
  readonly hint: string;
  /** Headers for other origins than the first, in place of the request's. */
  readonly elsewhere: 'same' | Readonly<Record<string, string>>;
  /** True for a redirect that is the answer itself. */
  readonly wanted?: (response: HttpResponse) => boolean;
  /** A redirect that is not followed is "not yet". */
  readonly forgiving?: boolean;
}

/** Says why a redirect is not followed; undefined where it is. `hop` counts from 1. */
type RefuseRedirect = (from: HttpRequest, to: URL, response: HttpResponse, hop: number) => string | undefined;

const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * Sends a request and follows its redirects by hand, as far as the policy lets it: what follows them by itself forwards
 * tokens to other hosts.
 */
export async function sendFollowing(
  client: HttpClient,
  request: HttpRequest,
  probe: Probe,
  { refuse, hint, elsewhere, wanted, forgiving }: RedirectPolicy,
): Promise<HttpAnswer> {
  const refused = (reason: string, what?: string): NotYet | Never =>
    forgiving ? notYet(reason, { hint: what }) : never(exitStatus.refused, reason, what);
  let current = request;
  for (let hop = 1; ; hop++) {
    const answer = await client.send(current, probe);
    if (answer.state !== 'response' || !redirects.has(answer.status) || wanted?.(answer)) return answer;
    const location = answer.headers.location;
    if (location === undefined) return refused(`${answer.status} without a Location`);
    if (!URL.canParse(location, current.url)) return refused(`${answer.status} to what is no URL`);
    const to = new URL(location, current.url);
    const why = refuse(current, to, answer, hop);
    if (why !== undefined) {
      return refused(`${answer.status} to ${to.origin}${to.pathname}: not followed, ${why}`, hint);
    }
    const leaves = to.origin !== current.url.origin;
    const headers = leaves && elsewhere !== 'same' ? elsewhere : current.headers;
    current = redirected({ ...current, headers }, to, answer.status, leaves);
  }
}

/** RFC 9110, 15.4: 303 asks for a GET, and after 301 and 302 a POST becomes one. */
function redirected(from: HttpRequest, to: URL, status: number, leaves: boolean): HttpRequest {
  const { body, socketPath, ...rest } = from;
  const becomesGet = (status === 303 && from.method !== 'HEAD') || (status < 303 && from.method === 'POST');
  return {
    ...rest,
    url: to,
    ...(becomesGet ? { method: 'GET' } : body === undefined ? {} : { body }),
    ...(socketPath === undefined || leaves ? {} : { socketPath }),
  };
}
