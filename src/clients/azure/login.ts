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
import { BearerTokens, givenToken, mostOfTokens, tokenIn, type BearerToken } from '../http/bearer-tokens.ts';
import type { HttpClient, HttpResponse } from '../http/transport.ts';
import type { AzureCredentials, AzureSettings } from './settings.ts';

/** In bytes; a Kubernetes token has about 1 KiB. */
const longestToken = 1 << 20;

export interface AzureParts {
  readonly http: HttpClient;
  /** Without a proxy: what speaks for the node is on the node. */
  readonly near: HttpClient;
  readonly clock: Clock;
  readonly redactor: Redactor;
}

/** Who the sources of Azure are read as, the same for all its services. */
export interface AzureLogin {
  readonly name: string;
  logIn(probe: Probe): Promise<Answer>;
  /** A token for a service, such as `https://vault.azure.net`, that is good for some time; or why there is none. */
  token(resource: string, probe: Probe): Promise<BearerToken | NotYet | Never>;
  /** The client ID of the identity; empty where the node has one of its own. */
  readonly client: string;
}

const trustHint =
  'does the identity have a federated credential for this cluster’s issuer, this namespace and service account (subject) and the audience api://AzureADTokenExchange?';

/**
 * Tokens of Microsoft Entra by plain requests, one attempt each: the loop above repeats, under one deadline
 * (https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow).
 * @param first what is asked for at the login
 */
export function createAzureLogin(
  { credentials, cloud }: Pick<AzureSettings, 'credentials' | 'cloud'>,
  first: string,
  { http, near, clock, redactor }: AzureParts,
): AzureLogin {
  const tokens = new BearerTokens(clock, (resource, probe) =>
    credentials.kind === 'node'
      ? fromNode(credentials, resource, probe)
      : fromEntra(credentials, resource, probe),
  );

  const tokenOf = (answer: HttpResponse | NotYet | Never, name: string): BearerToken | NotYet | Never => {
    if (answer.state !== 'response') return answer;
    const token = tokenIn(answer, clock.date(), redactor);
    return token.state === 'token' ? token : { ...token, reason: `${name} ${token.reason}` };
  };

  async function fromEntra(
    given: Exclude<AzureCredentials, { kind: 'node' }>,
    resource: string,
    probe: Probe,
  ): Promise<BearerToken | NotYet | Never> {
    let proof: Readonly<Record<string, string>>;
    if (given.kind === 'client-secret') proof = { client_secret: given.secret.reveal() };
    else {
      // Each time: the kubelet renews it while we wait.
      const token = federatedToken(given.tokenFile, redactor);
      if (typeof token !== 'string') return token;
      proof = {
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: token,
      };
    }
    const url = new URL(`${encodeURIComponent(given.tenant)}/oauth2/v2.0/token`, cloud.authority);
    const form = {
      client_id: given.client,
      scope: `${resource}/.default`,
      grant_type: 'client_credentials',
      ...proof,
    };
    const answer = await http.send(
      {
        method: 'POST',
        url,
        headers: { 'Content-Type': 'application/x-www-form-urlencoded', Accept: 'application/json' },
        body: new URLSearchParams(form).toString(),
        maxBody: mostOfTokens,
        maxBodyOrigin: 'the limit for tokens',
      },
      probe,
    );
    const hint =
      given.kind === 'workload' ? trustHint : 'has the secret ended, and is it the value of it, not its ID?';
    const misled = 'look at AZURE_AUTHORITY_HOST and the proxy variables: they should name Microsoft itself';
    return tokenOf(givenToken(answer, { name: url.host, hint, misled, redact: redactor.redact }), url.host);
  }

  async function fromNode(
    { server, client }: Extract<AzureCredentials, { kind: 'node' }>,
    resource: string,
    probe: Probe,
  ): Promise<BearerToken | NotYet | Never> {
    const url = new URL('metadata/identity/oauth2/token', server);
    url.search = new URLSearchParams({
      'api-version': '2018-02-01',
      resource,
      ...(client === undefined ? {} : { client_id: client }),
    }).toString();
    const answer = await near.send(
      {
        method: 'GET',
        url,
        headers: { Metadata: 'true' },
        maxBody: mostOfTokens,
        maxBodyOrigin: 'the limit for the metadata server',
      },
      probe,
    );
    const name = `the node's metadata server (IMDS) at ${url.host}`;
    // While it is being updated (https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token).
    if (answer.state === 'response' && (answer.status === 404 || answer.status === 410))
      return notYet(`${name} answered ${answer.status}`, { busy: answer.busy });
    const given = givenToken(answer, {
      name,
      hint: 'which identity is assigned to the node? of several, AZURE_CLIENT_ID names one',
      misled: 'look at AZURE_POD_IDENTITY_AUTHORITY_HOST',
      redact: redactor.redact,
    });
    return tokenOf(given, name);
  }

  const client = credentials.client ?? '';
  return {
    name: 'Azure',
    client,
    token: (resource, probe) => tokens.get(resource, probe),
    async logIn(probe) {
      probe.phase('getting a token of Microsoft Entra');
      const token = await tokens.get(first, probe);
      if (token.state !== 'token') return token;
      return satisfied(
        `credentials from ${providers[credentials.kind]}${client === '' ? '' : `, ${client}`}`,
      );
    },
  };
}

const providers: Readonly<Record<AzureCredentials['kind'], string>> = {
  workload: 'workload identity',
  'client-secret': 'a client secret',
  node: 'the node’s managed identity (IMDS)',
};

/** The token of the pod, or why there is none. */
function federatedToken(path: string, redactor: Redactor): string | Never {
  let token: string;
  try {
    token = readInput(path, longestToken).toString().trim();
  } catch (error) {
    return never(
      exitStatus.usage,
      `has no token to log in with: ${path} ${whyUnread(error)}`,
      'is the projected token mounted in this init container, and may this user read it (runAsUser, fsGroup)?',
    );
  }
  redactor.secret(token);
  // The third part alone is what makes it valid.
  redactor.secret(token.split('.')[2] ?? '');
  return /^[\w-]+\.[\w-]+\.[\w-]*$/.test(token)
    ? token
    : never(
        exitStatus.usage,
        `has no token to log in with: ${path} does not hold one`,
        'AZURE_FEDERATED_TOKEN_FILE must name the projected token of the service account',
      );
}
