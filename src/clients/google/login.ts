import { sign } from 'node:crypto';

import { asObject, asString, JsonFault, parseJson } from '../../config/json.ts';
import type { Clock } from '../../core/clock.ts';
import { exitStatus } from '../../core/exit-status.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { readInput, whyUnread } from '../../fs/input-file.ts';
import {
  never,
  notYet,
  satisfied,
  type Answer,
  type Never,
  type NotYet,
  type Probe,
} from '../../wait/attempt.ts';
import {
  bearerToken,
  BearerTokens,
  mostOfTokens,
  objectOf,
  givenToken,
  passingFault,
  tokenIn,
  tokenRefusal,
  type BearerToken,
} from '../http/bearer-tokens.ts';
import { ServerClock } from '../http/server-clock.ts';
import type { HttpClient, HttpResponse } from '../http/transport.ts';
import type { GoogleCredentials } from './credentials.ts';

/** What all services take; what may be read with it, IAM says. */
const scope = 'https://www.googleapis.com/auth/cloud-platform';

/** In bytes; a Kubernetes token has about 1 KiB. */
const longestToken = 1 << 20;

/** Seconds that a signed request for a token holds: the most that Google takes. */
const assertionLife = 3600;

export interface GoogleParts {
  readonly http: HttpClient;
  /** Without a proxy: what speaks for the node is on the node. */
  readonly near: HttpClient;
  readonly clock: Clock;
  readonly redactor: Redactor;
}

/** Who the sources of Google are read as, the same for all its services. */
export interface GoogleLogin {
  readonly name: string;
  /** One attempt to get a token, and to see whose it is. */
  logIn(probe: Probe): Promise<Answer>;
  /** A token that is good for some time, of the expected account; or why there is none. */
  token(probe: Probe): Promise<BearerToken | NotYet | Never>;
  /** Whose tokens they are, for people; empty where that is not known. */
  readonly account: string;
  /** The project of the credentials. */
  project(probe: Probe): Promise<{ readonly state: 'project'; readonly id: string } | NotYet | Never>;
}

const metadataHint =
  'on GKE, use Workload Identity: it must be on for the cluster and its node pool, and the service account must be bound or annotated with iam.gke.io/gcp-service-account; elsewhere, GOOGLE_APPLICATION_CREDENTIALS names a file with credentials';

/**
 * Tokens by plain requests, one attempt each: the loop above repeats, under one deadline.
 * @param expected the account that they must be of
 */
export function createGoogleLogin(
  credentials: GoogleCredentials,
  expected: string | undefined,
  { http, near, clock, redactor }: GoogleParts,
): GoogleLogin {
  const time = new ServerClock(clock);
  let account = '';
  let project = credentials.kind === 'service-account' ? credentials.project : undefined;

  const obtain = (_scope: string, probe: Probe): Promise<BearerToken | NotYet | Never> => {
    switch (credentials.kind) {
      case 'metadata':
        return fromMetadata(credentials, probe);
      case 'service-account':
        return fromKey(credentials, probe);
      case 'external-account':
      default:
        return fromAnother(credentials, probe);
    }
  };
  const tokens = new BearerTokens(clock, async (wanted, probe) => {
    const found = await obtain(wanted, probe);
    if (found.state !== 'token' || expected === undefined || account === expected) return found;
    return never(
      exitStatus.refused,
      `the credentials are those of ${account === '' ? 'an account that is not told' : account}, not of ${expected}`,
      metadataHint,
    );
  });

  /** What the metadata server says below a path, or why it does not. */
  async function askMetadata(
    server: URL,
    path: string,
    probe: Probe,
  ): Promise<HttpResponse | NotYet | Never> {
    const name = `the metadata server at ${server.host}`;
    const answer = await near.send(
      {
        method: 'GET',
        url: new URL(`computeMetadata/v1/${path}`, server),
        headers: { 'Metadata-Flavor': 'Google' },
        maxBody: mostOfTokens,
        maxBodyOrigin: 'the limit for the metadata server',
      },
      probe,
    );
    if (answer.state !== 'response')
      return { ...answer, reason: `${name}: ${answer.reason}`, hint: metadataHint };
    // Another cloud's has the same address.
    if (answer.headers['metadata-flavor'] !== 'Google' && answer.status < 500)
      return never(
        exitStatus.refused,
        `${name} is not Google's: it answered ${answer.status} without Metadata-Flavor`,
        metadataHint,
      );
    const passing = passingFault(answer, 'look at GCE_METADATA_HOST');
    if (passing !== undefined) return { ...passing, reason: `${name} ${passing.reason}` };
    if (answer.status === 200) return answer;
    const said = tokenRefusal(answer, redactor.redact);
    return never(
      exitStatus.refused,
      `${name} answered ${answer.status}${said === '' ? '' : `: ${said}`}`,
      metadataHint,
    );
  }

  async function fromMetadata(
    { server }: Extract<GoogleCredentials, { kind: 'metadata' }>,
    probe: Probe,
  ): Promise<BearerToken | NotYet | Never> {
    const own = 'instance/service-accounts/default';
    const answer = await askMetadata(server, `${own}/token`, probe);
    if (answer.state !== 'response') return answer;
    const token = tokenIn(answer, clock.date(), redactor);
    if (token.state !== 'token')
      return { ...token, reason: `the metadata server at ${server.host} ${token.reason}` };
    const email = await askMetadata(server, `${own}/email`, probe);
    const text = email.state === 'response' ? email.body.toString().trim() : '';
    // For people; a token without a name is a token all the same.
    account = /^[\w.@:+-]{1,200}$/.test(text) ? text : '';
    if (account === '' && expected !== undefined && email.state !== 'response') return email;
    return token;
  }

  async function fromKey(
    key: Extract<GoogleCredentials, { kind: 'service-account' }>,
    probe: Probe,
  ): Promise<BearerToken | NotYet | Never> {
    account = key.email;
    const now = Math.floor(time.now().getTime() / 1000);
    const claims = {
      iss: key.email,
      scope,
      aud: key.tokenUrl.href,
      iat: now,
      exp: now + assertionLife,
    };
    const head = { alg: 'RS256', typ: 'JWT', ...(key.keyId === undefined ? {} : { kid: key.keyId }) };
    const signed = [head, claims]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.');
    const signature = sign('sha256', Buffer.from(signed), key.key).toString('base64url');
    const assertion = redactor.secret(`${signed}.${signature}`).reveal();
    const form = { grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', assertion };
    return exchange(key.tokenUrl, form, 'has the key been deleted or disabled, and the account?', probe);
  }

  async function fromAnother(
    other: Extract<GoogleCredentials, { kind: 'external-account' }>,
    probe: Probe,
  ): Promise<BearerToken | NotYet | Never> {
    // Each time: a projected token is renewed while we wait.
    const subject = subjectToken(other, redactor);
    if (typeof subject !== 'string') return subject;
    const form = {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      audience: other.audience,
      scope,
      requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      subject_token: subject,
      subject_token_type: other.tokenType,
    };
    const hint =
      'does the workload identity pool’s provider trust this cluster’s issuer, and is the token’s audience one that it allows?';
    const token = await exchange(other.tokenUrl, form, hint, probe);
    if (token.state !== 'token' || other.impersonation === undefined) return token;
    return impersonate(other.impersonation, other.seconds, token, probe);
  }

  async function impersonate(
    { url, account: email }: { readonly url: URL; readonly account: string },
    seconds: number,
    { value }: BearerToken,
    probe: Probe,
  ): Promise<BearerToken | NotYet | Never> {
    const answer = await http.send(
      {
        method: 'POST',
        url,
        headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${value}` },
        body: JSON.stringify({ scope: [scope], lifetime: `${seconds}s` }),
        maxBody: mostOfTokens,
        maxBodyOrigin: 'the limit for tokens',
      },
      probe,
    );
    const hint = `allow it: gcloud iam service-accounts add-iam-policy-binding ${email} --role roles/iam.workloadIdentityUser --member PRINCIPAL`;
    const fault = faultOfTokens(answer, url, hint);
    if (fault.state !== 'response') return fault;
    const said = objectOf(fault);
    const ends = new Date(asString(said?.['expireTime']) ?? Number.NaN);
    account = email;
    return named(bearerToken(asString(said?.['accessToken']), ends, redactor), url);
  }

  async function exchange(
    url: URL,
    form: Readonly<Record<string, string>>,
    hint: string,
    probe: Probe,
  ): Promise<BearerToken | NotYet | Never> {
    const answer = await http.send(
      {
        method: 'POST',
        url,
        headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
        body: new URLSearchParams(form).toString(),
        maxBody: mostOfTokens,
        maxBodyOrigin: 'the limit for tokens',
      },
      probe,
    );
    const fault = faultOfTokens(answer, url, hint);
    return fault.state === 'response' ? named(tokenIn(fault, clock.date(), redactor), url) : fault;
  }

  /** The answer, where it is 200. */
  function faultOfTokens(
    answer: HttpResponse | NotYet | Never,
    url: URL,
    hint: string,
  ): HttpResponse | NotYet | Never {
    if (
      credentials.kind === 'service-account' &&
      answer.state === 'response' &&
      answer.status === 400 &&
      time.corrects(answer)
    )
      return notYet(`${url.host} refused the clock of this node; asking with the time of Google`);
    const misled = 'look at the credentials’ file: its URLs should name Google itself';
    return givenToken(answer, { name: url.host, hint, misled, redact: redactor.redact });
  }

  return {
    name: 'Google',
    get account() {
      return account;
    },
    token: (probe) => tokens.get(scope, probe),
    async logIn(probe) {
      probe.phase('getting a token of Google');
      const token = await tokens.get(scope, probe);
      if (token.state !== 'token') return token;
      return satisfied(`credentials from ${providerOf(credentials)}${account === '' ? '' : `, ${account}`}`);
    },
    async project(probe) {
      if (project !== undefined) return { state: 'project', id: project };
      if (credentials.kind !== 'metadata')
        return never(
          exitStatus.usage,
          'names no project, and neither do its credentials',
          'write gcp-sm:PROJECT/NAME, or set GOOGLE_CLOUD_PROJECT',
        );
      const answer = await askMetadata(credentials.server, 'project/project-id', probe);
      if (answer.state !== 'response') return answer;
      const id = answer.body.toString().trim();
      if (!/^[a-z0-9][a-z0-9.:-]{0,99}$/.test(id))
        return notYet('the metadata server answered 200 with a broken body: it is not the ID of a project');
      project = id;
      return { state: 'project', id };
    },
  };
}

function named<T extends { readonly state: string }>(answer: T, url: URL): T {
  return answer.state === 'not-yet' || answer.state === 'never'
    ? { ...answer, reason: `${url.host}: ${(answer as unknown as NotYet).reason}` }
    : answer;
}

function providerOf({ kind }: GoogleCredentials): string {
  if (kind === 'metadata') return 'the metadata server';
  return kind === 'service-account' ? 'a service account’s key' : 'workload identity federation';
}

/** The token of the pod, or why there is none. */
function subjectToken(
  { tokenFile, tokenKey }: Extract<GoogleCredentials, { kind: 'external-account' }>,
  redactor: Redactor,
): string | Never {
  let token: string | undefined;
  try {
    const text = readInput(tokenFile, longestToken).toString().trim();
    redactor.secret(text);
    token = tokenKey === undefined ? text : asString(asObject(parseJson(text))?.[tokenKey]);
  } catch (error) {
    return never(
      exitStatus.usage,
      `has no token to log in with: ${tokenFile} ${error instanceof JsonFault ? 'is not JSON' : whyUnread(error)}`,
      'is the projected token mounted in this init container, and may this user read it (runAsUser, fsGroup)?',
    );
  }
  if (token !== undefined) redactor.secret(token);
  // The third part alone is what makes a JWT valid.
  redactor.secret(token?.split('.')[2] ?? '');
  return token === undefined || !/^[\x21-\x7e]+$/.test(token)
    ? never(
        exitStatus.usage,
        `has no token to log in with: ${tokenFile} does not hold one`,
        'credential_source in the file that GOOGLE_APPLICATION_CREDENTIALS names must lead to the projected token',
      )
    : token;
}
