import { exitStatus } from '../../kernel/exit-status.ts';
import { never, type Probe } from '../../kernel/loop/attempt.ts';
import type { HttpAnswer, HttpClient, HttpRequest, HttpResponse } from './transport.ts';

/** How far redirects are followed. */
export interface RedirectPolicy {
  readonly refuse: RefuseRedirect;
  /** What to do about a redirect that is refused. */
  readonly hint: string;
  /** Headers for other origins than the first, in place of the request's. */
  readonly elsewhere: 'same' | Readonly<Record<string, string>>;
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
  { refuse, hint, elsewhere }: RedirectPolicy,
): Promise<HttpAnswer> {
  let current = request;
  for (let hop = 1; ; hop++) {
    const answer = await client.send(current, probe);
    if (answer.state !== 'response' || !redirects.has(answer.status)) return answer;
    const location = answer.headers.location;
    if (location === undefined) return never(exitStatus.refused, `${answer.status} without a Location`);
    if (!URL.canParse(location, current.url))
      return never(exitStatus.refused, `${answer.status} to what is no URL`);
    const to = new URL(location, current.url);
    const why = refuse(current, to, answer, hop);
    if (why !== undefined) {
      return never(
        exitStatus.refused,
        `${answer.status} to ${to.origin}${to.pathname}: not followed, ${why}`,
        hint,
      );
    }
    const leaves = elsewhere !== 'same' && to.origin !== current.url.origin;
    current = { ...current, url: to, ...(leaves ? { headers: elsewhere } : {}) };
  }
}
