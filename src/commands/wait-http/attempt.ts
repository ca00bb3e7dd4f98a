import { locationOf, namedOrigin, sendFollowing } from '../../clients/http/redirect.ts';
import type { HttpClient, HttpRequest, HttpResponse } from '../../clients/http/transport.ts';
import type { Clock } from '../../core/clock.ts';
import type { Host } from '../../core/host.ts';
import { notYet, satisfied, type Answer, type Busy, type Probe } from '../../wait/attempt.ts';
import { faultsOf, type Expectations } from './expect.ts';
import { includes } from './status.ts';

/** How far redirects are followed. */
export interface RedirectLimits {
  readonly most: number;
  readonly crossOrigin: boolean;
  /** A client certificate is shown. */
  readonly identified: boolean;
}

/** What every attempt at one target needs. */
export interface Inquiry {
  readonly client: HttpClient;
  readonly request: HttpRequest;
  readonly expectations: Expectations;
  readonly redirects: RedirectLimits;
  /** Credentials are sent, so that values of the answer may be secret. */
  readonly discreet: boolean;
  readonly clock: Clock;
  readonly host: Pick<Host, 'collectGarbage'>;
  readonly redact: (text: string) => string;
}

/** Faults told of one answer. */
const told = 3;

/** Bytes of a body after which memory is collected: several attempts a second would leave 60 MB of them (core/host.ts). */
const large = 64 * 1024;

/** One request, with the redirects it may follow, and a look at the answer. */
export async function attemptRequest(inquiry: Inquiry, probe: Probe): Promise<Answer> {
  const { client, request, expectations, redirects } = inquiry;
  const answer = await sendFollowing(client, request, probe, {
    most: redirects.most,
    tooMany: `--redirects allows ${redirects.most}`,
    crossOrigin: redirects.crossOrigin,
    identified: redirects.identified,
    elsewhere: () => ({ Accept: '*/*' }),
    hint: redirectHint,
    // An expected 302 is the answer: followed, it could never be met.
    wanted: ({ status }) => redirects.most === 0 || includes(expectations.statuses, status),
    forgiving: true,
  });
  if (answer.state !== 'response') return answer;
  const faults = await faultsOf(answer, expectations, inquiry);
  if (answer.body.length >= large) inquiry.host.collectGarbage();
  const from = answer.peer === '' ? '' : ` (${answer.peer})`;
  if (faults.length === 0) return satisfied(`answered ${answer.status}${from}`);
  const more = faults.length > told ? ` and ${faults.length - told} more` : '';
  const where = location(answer, request);
  return notYet(`answered ${answer.status}${where}, ${faults.slice(0, told).join(', ')}${more}${from}`, {
    hint: includes(expectations.statuses, answer.status) ? undefined : statusHint(answer, request),
    absent: true,
    busy: busyOf(answer, request),
  });
}

/** A standby's health is 429 without a time: it is not asked too often (https://developer.hashicorp.com/vault/api-docs/system/health). */
function busyOf({ busy }: HttpResponse, { url }: HttpRequest): Busy | undefined {
  return busy?.pause === undefined && url.pathname === '/v1/sys/health' ? undefined : busy;
}

const redirectHint =
  'name the address that it leads to, or allow it: --redirects for more of them, --cross-origin for other hosts (headers are not sent there)';

/** Where a redirect leads, without its query, which may hold a token. */
function location(answer: HttpResponse, { url }: HttpRequest): string {
  const to = answer.status < 300 || answer.status > 399 ? undefined : locationOf(answer, url);
  if (to === undefined) return '';
  return ` to ${to.origin === url.origin ? '' : namedOrigin(to)}${to.pathname}`;
}

const statusHints: Readonly<Record<number, string>> = {
  401: 'it wants credentials: --user-file, --netrc-file, --header-file, --header-env, or --cert-file and --key-file; or ask for a path that needs none',
  403: 'it refuses us: look at the credentials that are sent, and at a mesh’s or gateway’s authorization policy',
  404: 'nothing is at that path: look at the URL; behind an ingress or gateway, at its routes',
  405: 'it does not allow that --method there',
  407: 'the proxy requires a user and password: set them in HTTP_PROXY, or list the host in NO_PROXY',
  421: 'it does not serve that host name: look at the URL’s host, or give a Host header',
  429: 'it is asked too often, by this or by others: look at the limits of the server, or of a gateway in front of it',
  500: 'it fails by itself: its own log tells why',
  502: 'a gateway answers, and what is behind it does not speak: look at the Service that it sends to',
  503: 'it is up, but not ready: look at its readiness probe and at what it waits for itself (kubectl get endpointslices)',
  504: 'a gateway answers, and what is behind it is too slow or silent',
};

function statusHint({ status, headers }: HttpResponse, { url }: HttpRequest): string | undefined {
  if (status >= 300 && status <= 399 && headers.location !== undefined)
    return 'a redirect is followed with --redirects 1, or is an answer with --status 302';
  if (status === 400 && url.protocol === 'http:')
    return `it does not understand the request: is it https://${url.host}?`;
  return statusHints[status];
}
