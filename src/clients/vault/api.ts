import nodeVault from 'node-vault';

import { asObject, asString, parseJson } from '../../config/json.ts';
import type { FieldValue } from '../../config/source.ts';
import { excerpt } from '../../core/excerpt.ts';
import { exitStatus } from '../../core/exit-status.ts';
import type { Secret } from '../../core/redaction/redactor.ts';
import { SaidText } from '../../core/said-text.ts';
import { formatBytes } from '../../core/size.ts';
import { never, notYet, type Busy, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import { sendFollowing, type RedirectPolicy } from '../http/redirect.ts';
import type { HttpAnswer, HttpClient, HttpRequest, HttpResponse } from '../http/transport.ts';

/** What Vault answered, whatever its status. */
export interface VaultReply {
  readonly state: 'reply';
  readonly status: number;
  /** The JSON object of the body; empty where there is none. */
  readonly body: { readonly [key: string]: FieldValue };
  /** For words of it that are cut. */
  readonly redact: (text: string) => string;
  /** A cache in between answered, with what Vault once said to somebody, or to an earlier run. */
  readonly cached: boolean;
  /** It wants fewer requests. */
  readonly busy?: Busy | undefined;
}

/** An attempt without a reply. */
export type NoVaultReply = (NotYet | Never) & {
  /** Vault may have done what was asked all the same: the request went out, and no whole answer came back. */
  readonly mayBeDone?: boolean;
};

export type VaultAnswer = VaultReply | NoVaultReply;

/** The most bytes of an answer that are taken, and the setting behind it, for people. */
export interface AnswerLimit {
  readonly bytes: number;
  readonly origin: string;
}

/** Vault's API by path and verb; one attempt each. Paths are encoded already. */
export interface VaultApi {
  /** @param limit for answers that hold secrets of any size */
  read(path: string, token: Secret | undefined, probe: Probe, limit?: AnswerLimit): Promise<VaultAnswer>;
  write(path: string, body: unknown, token: Secret | undefined, probe: Probe): Promise<VaultAnswer>;
}

/** What tells of a token, a login or a mount has some kB; the names of policies may be many. */
const usualLimit: AnswerLimit = {
  bytes: 2 ** 20,
  origin: "the limit for Vault's answers about tokens and mounts",
};

/** Bytes of an answer other than 200 that are read. */
const longestError = 2 ** 16;

/** What node-vault hands to its transport. */
interface Options {
  readonly uri: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly probe: Probe;
  readonly limit: AnswerLimit;
  /** For what the head of the answer says, which node-vault does not hand on. */
  readonly heard: { busy?: Busy | undefined; status?: number; cached?: boolean };
}

/** An attempt without a reply, thrown through node-vault. */
class NoReply extends Error {
  readonly answer: NoVaultReply;

  constructor(answer: NoVaultReply) {
    super(answer.reason);
    this.answer = answer;
  }
}

/**
 * node-vault for paths, verbs and headers, over our own transport: its own has no timeouts, sends a token after a
 * redirect to any host, and logs login bodies on request.
 */
export function createVaultApi(
  http: HttpClient,
  address: URL,
  namespace: string | undefined,
  redact: (text: string) => string,
): VaultApi {
  /** Behind a Service each connection leads to one of several servers: the next one is a new one. */
  let astray = false;
  const toLeader: RedirectPolicy = {
    most: 1,
    tooMany: 'it redirects to itself again',
    crossOrigin: false,
    elsewhere: () => ({}),
    identified: true,
    hint: 'VAULT_ADDR should be the address that Vault itself uses (its api_addr)',
    answer(from, to, response) {
      const answer = redirectAnswer(from, to, response.status);
      astray ||= answer?.state === 'not-yet';
      return answer;
    },
  };
  const send = async (
    options: Options,
  ): Promise<{ statusCode: number; body: unknown; request: { path: string } }> => {
    const body = options.json === undefined ? undefined : JSON.stringify(options.json);
    const url = new URL(options.uri);
    const sent = trackSent(http, url);
    const answer = await sendFollowing(
      sent.http,
      {
        method: options.method,
        url,
        headers: {
          ...options.headers,
          // Vault Agent and Proxy refuse requests without it: https://developer.hashicorp.com/vault/api-docs#the-x-vault-request-header
          'X-Vault-Request': 'true',
          ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body }),
        closing: astray,
        maxBody: options.limit.bytes,
        maxBodyOrigin: options.limit.origin,
      },
      options.probe,
      toLeader,
    );
    if (answer.state !== 'response') throw new NoReply({ ...answer, mayBeDone: sent.unanswered });
    astray = false;
    options.heard.busy = answer.busy;
    options.heard.status = answer.status;
    options.heard.cached = isCached(answer);
    return { statusCode: answer.status, body: readBody(answer, redact), request: { path: url.pathname } };
  };
  const client = nodeVault({
    'request-promise': { defaults: () => send },
    debug: () => {},
    tv4: { validate: () => true },
    mustache: {},
    // Its ready-made calls are made from templates at start-up; paths and verbs are all that is used here.
    commands: {},
    endpoint: address.href.replace(/\/+$/, ''),
  } as never) as ReturnType<typeof nodeVault> & { namespace: string; pathPrefix: string };
  // It fills these from the environment; a login must not carry a token, and prefixes are not Vault's own setting.
  client.token = '';
  client.pathPrefix = '';
  client.namespace = namespace ?? '';

  const call = async (ask: (heard: Options['heard']) => Promise<unknown>): Promise<VaultAnswer> => {
    const heard: Options['heard'] = {};
    try {
      const body = asObject((await ask(heard)) as FieldValue) ?? {};
      return { state: 'reply', status: heard.status ?? 200, body, redact, cached: heard.cached ?? false };
    } catch (error) {
      if (error instanceof NoReply) return error.answer;
      const response = (error as { response?: { statusCode: number; body: FieldValue } }).response;
      if (response === undefined) throw error;
      return {
        state: 'reply',
        status: response.statusCode,
        body: asObject(response.body) ?? {},
        redact,
        cached: heard.cached ?? false,
        busy: heard.busy,
      };
    }
  };
  const headers = (token: Secret | undefined): Record<string, string> =>
    token === undefined ? {} : { 'X-Vault-Token': token.reveal() };
  return {
    read: (path, token, probe, limit = usualLimit) =>
      call((heard) => client.read(path, { headers: headers(token), probe, limit, heard })),
    write: (path, body, token, probe) =>
      call((heard) => client.write(path, body, { headers: headers(token), probe, limit: usualLimit, heard })),
  };
}

/** Tells whether the last request got as far as its server, and no whole answer came back. */
function trackSent(
  http: HttpClient,
  { protocol }: URL,
): { readonly http: Pick<HttpClient, 'send'>; unanswered: boolean } {
  const tracked = {
    unanswered: false,
    http: {
      async send(request: HttpRequest, probe: Probe): Promise<HttpAnswer> {
        let out = false;
        const answer = await http.send(request, {
          ...probe,
          reached(stage) {
            out ||= stage !== (protocol === 'https:' ? 'tcp' : 'tls');
            probe.reached?.(stage);
          },
        });
        tracked.unanswered = out && answer.state !== 'response';
        return answer;
      },
    },
  };
  return tracked;
}

/**
 * Vault's own client follows one 307 of a standby to whatever address it names, with the token and the login. Here they
 * go to the address that was configured and to no other; only the very same path there is asked again.
 */
function redirectAnswer(from: URL, to: URL, status: number): NotYet | Never | undefined {
  const samePath = to.pathname === from.pathname && to.search === from.search;
  if (to.origin === from.origin) {
    if (samePath && status === 307) return undefined;
    const why = samePath ? 'a Vault that sends to its leader answers 307' : 'it is another path';
    return never(exitStatus.refused, `${status} to ${to.origin}${to.pathname}: not followed, ${why}`);
  }
  const reason = `${from.origin} redirects to ${to.origin} (${status}); no token and no login is sent there`;
  if (to.protocol !== from.protocol) {
    const up = to.protocol === 'https:' && to.hostname === from.hostname;
    return never(
      exitStatus.refused,
      up ? reason : `${reason}: it leaves ${from.protocol.slice(0, -1)}`,
      up ? `set VAULT_ADDR to ${to.origin}` : 'look at VAULT_ADDR, and at the api_addr of that server',
    );
  }
  if (!samePath || status !== 307) {
    return never(
      exitStatus.refused,
      reason,
      'is that Vault? set VAULT_ADDR to the address of Vault itself, not of what redirects to it',
    );
  }
  // A standby: it may be elected, or the next connection may lead to the leader.
  return notYet(reason, {
    hint: 'a standby sends to the active node: set VAULT_ADDR to that node, or to a Service that selects it (vault-active in Vault’s Helm chart), or let standbys forward requests',
  });
}

/**
 * `X-Cache: HIT` of Vault Agent and Proxy (https://developer.hashicorp.com/vault/docs/agent-and-proxy/agent/caching), and the Age of
 * any cache (RFC 9111, 5.1).
 */
function isCached({ headers }: HttpResponse): boolean {
  const { age = '', 'x-cache': cache = [] } = headers;
  return /\bhit\b/i.test([cache].flat().join(' ')) || /[1-9]/.test(age);
}

/** Characters of a media type that are shown. */
const shownOfType = 100;

function readBody(response: HttpResponse, redact: (text: string) => string): FieldValue {
  const ok = response.status === 200;
  // It is shown by its size alone, and no decision looks at so much.
  if (!ok && response.body.length > longestError)
    return { errors: [`(${formatBytes(response.body.length)} of text)`] };
  const type = response.headers['content-type'] ?? 'no Content-Type';
  if (response.body.length === 0) return {};
  if (!/^application\/json\b/i.test(type)) {
    // A proxy's page in place of an error: the status tells enough.
    if (!ok) return response.body.length < 1000 ? { errors: [pageOrText(response.body.toString())] } : {};
    throw new NoReply(
      never(
        exitStatus.refused,
        `answered 200 with ${excerpt(type, shownOfType, redact)} in place of JSON`,
        /^application\/(x-)?(pem|pkix)/i.test(type)
          ? 'this path returns raw bytes; the certificate of pki/ca/pem, for example, is in JSON at vault:pki/cert/ca#certificate'
          : 'that is not Vault: a login page or a proxy in between? look at VAULT_ADDR and at the proxy variables',
      ),
    );
  }
  try {
    return parseJson(response.body.toString());
  } catch (error) {
    if (!ok) return {};
    throw new NoReply({
      ...never(
        exitStatus.refused,
        `answered ${response.status} with a broken body: ${(error as Error).message}`,
      ),
      mayBeDone: true,
    });
  }
}

function pageOrText(text: string): string {
  return /<html|<!doctype/i.test(text) ? 'an HTML page' : text;
}

/** Where 204 says that there is nothing to say (https://developer.hashicorp.com/vault/api-docs#http-status-codes). */
export function succeeded({ status }: VaultReply): boolean {
  return status === 200 || status === 204;
}

/** The messages in a reply's `errors` and `warnings`. */
export function messagesOf(reply: VaultReply, key: 'errors' | 'warnings' = 'errors'): SaidText[] {
  const list = reply.body[key];
  return Array.isArray(list)
    ? list
        .map((item: FieldValue) => asString(item) ?? '')
        .filter((text) => text !== '')
        .map((text) => new SaidText(text))
    : [];
}
