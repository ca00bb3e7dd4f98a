import nodeVault from 'node-vault';
import { exitStatus } from '../../kernel/exit-status.ts';
import { asObject, asString, parseJson } from '../../kernel/json.ts';
import { never, type Never, type NotYet, type Probe } from '../../kernel/loop/attempt.ts';
import type { Secret } from '../../kernel/secrets.ts';
import type { FieldValue } from '../../kernel/source.ts';
import { sendFollowing, type RedirectPolicy } from '../http/redirect.ts';
import type { HttpClient, HttpResponse } from '../http/transport.ts';

/** What Vault answered, whatever its status. */
export interface VaultReply {
  readonly state: 'reply';
  readonly status: number;
  /** The JSON object of the body; empty where there is none. */
  readonly body: { readonly [key: string]: FieldValue };
  /** For words of it that are cut. */
  readonly redact: (text: string) => string;
}

export type VaultAnswer = VaultReply | NotYet | Never;

/** Vault's API by path and verb; one attempt each. Paths are encoded already. */
export interface VaultApi {
  read(path: string, token: Secret | undefined, probe: Probe): Promise<VaultAnswer>;
  write(path: string, body: unknown, token: Secret | undefined, probe: Probe): Promise<VaultAnswer>;
}

/** Secrets are small; Vault's own limit for a request is 32 MiB. */
const maxBody = 32 * 2 ** 20;

/** What node-vault hands to its transport. */
interface Options {
  readonly uri: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly probe: Probe;
}

/** An attempt without a reply, thrown through node-vault. */
class NoReply extends Error {
  readonly answer: NotYet | Never;

  constructor(answer: NotYet | Never) {
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
  const send = async (
    options: Options,
  ): Promise<{ statusCode: number; body: unknown; request: { path: string } }> => {
    const body = options.json === undefined ? undefined : JSON.stringify(options.json);
    const url = new URL(options.uri);
    const answer = await sendFollowing(
      http,
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
        maxBody,
        maxBodyOrigin: "Vault's own limit",
      },
      options.probe,
      toLeader,
    );
    if (answer.state !== 'response') throw new NoReply(answer);
    return { statusCode: answer.status, body: readBody(answer), request: { path: url.pathname } };
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

  const call = async (ask: () => Promise<unknown>): Promise<VaultAnswer> => {
    try {
      return { state: 'reply', status: 200, body: asObject((await ask()) as FieldValue) ?? {}, redact };
    } catch (error) {
      if (error instanceof NoReply) return error.answer;
      const response = (error as { response?: { statusCode: number; body: FieldValue } }).response;
      if (response === undefined) throw error;
      return { state: 'reply', status: response.statusCode, body: asObject(response.body) ?? {}, redact };
    }
  };
  const headers = (token: Secret | undefined): Record<string, string> =>
    token === undefined ? {} : { 'X-Vault-Token': token.reveal() };
  return {
    read: (path, token, probe) => call(() => client.read(path, { headers: headers(token), probe })),
    write: (path, body, token, probe) =>
      call(() => client.write(path, body, { headers: headers(token), probe })),
  };
}

/** As Vault's own client does: one 307 from a standby, never down to http, and to the very same path. */
const toLeader: RedirectPolicy = {
  refuse(from, to, { status }, hop) {
    if (hop > 1) return 'Vault sends to its leader once';
    if (status !== 307) return `a Vault that sends to its leader answers 307`;
    if (to.protocol !== from.url.protocol) return `it leaves ${from.url.protocol.slice(0, -1)}`;
    if (to.pathname !== from.url.pathname || to.search !== from.url.search) return 'it is another path';
    return undefined;
  },
  hint: 'VAULT_ADDR should be the address that Vault itself uses (its api_addr)',
  elsewhere: 'same',
};

function readBody(response: HttpResponse): FieldValue {
  const ok = response.status === 200;
  const type = response.headers['content-type'] ?? 'no Content-Type';
  if (response.body.length === 0) return {};
  if (!/^application\/json\b/i.test(type)) {
    // A proxy's page in place of an error: the status tells enough.
    if (!ok) return response.body.length < 1000 ? { errors: [firstLine(response.body.toString())] } : {};
    throw new NoReply(
      never(
        exitStatus.refused,
        `answered 200 with ${type.split(';')[0]} in place of JSON`,
        /^application\/(x-)?(pem|pkix)/i.test(type)
          ? 'this path gives bare bytes; the certificate of pki/ca/pem, say, is in JSON at vault:pki/cert/ca#certificate'
          : 'that is not Vault: a login page or a proxy in between? look at VAULT_ADDR and at the proxy variables',
      ),
    );
  }
  try {
    return parseJson(response.body.toString());
  } catch (error) {
    if (!ok) return {};
    throw new NoReply(
      never(
        exitStatus.refused,
        `answered ${response.status} with a broken body: ${(error as Error).message}`,
      ),
    );
  }
}

function firstLine(text: string): string {
  return /<html|<!doctype/i.test(text) ? 'an HTML page' : text.trim().split('\n', 1)[0]!;
}

/** The messages in a reply's `errors` and `warnings`. */
export function messagesOf(reply: VaultReply, key: 'errors' | 'warnings' = 'errors'): string[] {
  const list = reply.body[key];
  return Array.isArray(list)
    ? list.map((item: FieldValue) => asString(item) ?? '').filter((text) => text !== '')
    : [];
}
