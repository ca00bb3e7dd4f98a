import { asObject, asString, parseJson } from '../../config/json.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { secretAsPath } from '../../core/misplaced-secret.ts';
import type { Redactor, Secret } from '../../core/redaction/redactor.ts';
import { unexpandedInSecret } from '../../core/template-variables.ts';
import { readInput, whyUnread } from '../../fs/input-file.ts';
import { never, type Never, type Probe } from '../../wait/attempt.ts';
import {
  messagesOf,
  succeeded,
  type NoVaultReply,
  type VaultAnswer,
  type VaultApi,
  type VaultReply,
} from './api.ts';
import { loginFault, said, stateFault, type LoginScene } from './faults.ts';
import { encodePath } from './path.ts';
import type { VaultLogin } from './settings.ts';

/** A token and what came with it. */
export interface Login {
  readonly state: 'logged-in';
  readonly token: Secret;
  /** What Vault calls the token by; empty for batch tokens, which have none, and where that is not known. */
  readonly accessor: string;
  readonly policies: readonly string[];
  /** Seconds that the token lives; 0 where it does not expire or where that is not known. */
  readonly lifetime: number;
  /** True where the token was made for us, so that we may revoke it. */
  readonly own: boolean;
  /** It came out of a wrapping token, which cannot be unwrapped again. */
  readonly unwrapped: boolean;
}

/** What a login needs to know beside itself. */
export interface LoginPlace {
  readonly namespace: string | undefined;
  readonly redactor: Redactor;
  /** The wall clock, for words about tokens that have ended. */
  readonly now: Date;
}

/** Logs in once. Tokens and credentials are registered with the redactor as they are read. */
export async function logIn(
  api: VaultApi,
  login: VaultLogin,
  { namespace, redactor, now }: LoginPlace,
  probe: Probe,
): Promise<Login | NoVaultReply> {
  if (login.method === 'token') {
    const reply = await unwrap(api, login.token, probe);
    return reply.state === 'reply' ? loginOf(reply, { own: false, unwrapped: true }, redactor) : reply;
  }
  const body = await loginBody(api, login, redactor, probe);
  if ('state' in body) return body;
  const { fields, subject } = body;
  const user = login.method === 'userpass' ? `/${encodeURIComponent(login.user)}` : '';
  const reply = await api.write(`auth/${encodePath(login.mount)}/login${user}`, fields, undefined, probe);
  if (reply.state !== 'reply') return reply;
  if (succeeded(reply)) return loginOf(reply, { own: true, unwrapped: false }, redactor);
  const scene: LoginScene = {
    method: login.method,
    mount: login.mount,
    role: 'role' in login ? login.role : undefined,
    namespace,
    subject,
    now,
    mayBeSpent: login.method === 'approle',
  };
  return loginFault(reply, scene);
}

function loginOf(
  reply: VaultReply,
  kind: Pick<Login, 'own' | 'unwrapped'>,
  redactor: Redactor,
): Login | Never {
  const auth = asObject(reply.body['auth']);
  const token = asString(auth?.['client_token']);
  if (token === undefined || token === '') {
    const why = asObject(auth?.['mfa_requirement']) === undefined ? '' : ': it asks for a second factor';
    return never(
      exitStatus.refused,
      `answered the login without a token${why}`,
      'is that Vault? look at VAULT_ADDR',
    );
  }
  const accessor = asString(auth?.['accessor']) ?? '';
  redactor.secret(accessor);
  const policies = auth?.['policies'];
  return {
    state: 'logged-in',
    token: redactor.secret(token),
    accessor,
    policies: Array.isArray(policies) ? policies.map(String) : [],
    lifetime: Number(auth?.['lease_duration'] ?? 0),
    ...kind,
  };
}

interface Body {
  readonly fields: Record<string, string>;
  readonly subject: LoginScene['subject'];
}

async function loginBody(
  api: VaultApi,
  login: Exclude<VaultLogin, { method: 'token' }>,
  redactor: Redactor,
  probe: Probe,
): Promise<Body | NoVaultReply> {
  switch (login.method) {
    case 'kubernetes':
    case 'jwt': {
      const jwt = readJwt(login.jwtFile, redactor);
      if (typeof jwt !== 'string') return jwt;
      return { fields: { role: login.role, jwt }, subject: subjectOf(jwt) };
    }
    case 'approle': {
      if (login.secretId === undefined) return { fields: { role_id: login.roleId }, subject: undefined };
      let secretId = login.secretId;
      if (login.wrapped) {
        const reply = await unwrap(api, login.secretId, probe);
        // A SecretID is no token.
        if (reply.state !== 'reply') return { ...reply, mayBeDone: false };
        const inner = asString(asObject(reply.body['data'])?.['secret_id']);
        if (inner === undefined) {
          return never(
            exitStatus.refused,
            'the wrapping token holds no SecretID',
            'wrap it with: vault write -wrap-ttl=5m -f auth/approle/role/ROLE/secret-id',
          );
        }
        secretId = redactor.secret(inner);
      }
      return { fields: { role_id: login.roleId, secret_id: secretId.reveal() }, subject: undefined };
    }
    case 'userpass':
      return { fields: { password: login.password.reveal() }, subject: undefined };
    case 'cert':
    default: // the certificate says it all
      return { fields: login.role === undefined ? {} : { name: login.role }, subject: undefined };
  }
}

/** In bytes; a Kubernetes token has about 1 KiB. */
const longestToken = 1 << 20;

/** Read anew for each login: the kubelet renews a projected token. */
function readJwt(path: string, redactor: Redactor): string | Never {
  let jwt: string;
  try {
    jwt = readInput(path, longestToken).toString().trim();
  } catch (error) {
    return never(
      exitStatus.usage,
      `has no token to log in with: ${secretAsPath(path) ?? `${path} ${whyUnread(error)}`}`,
      'is automountServiceAccountToken off? mount a projected serviceAccountToken and name its file with --vault-jwt-file',
    );
  }
  const why = unexpandedInSecret(jwt);
  if (why !== undefined)
    return never(exitStatus.usage, `has no token to log in with: that in ${path} cannot be used: ${why}`);
  redactor.secret(jwt);
  // The third part alone is what makes it valid.
  redactor.secret(jwt.split('.')[2] ?? '');
  if (!/^[\w-]+\.[\w-]+\.[\w-]*$/.test(jwt)) return never(exitStatus.usage, `${path} does not hold a JWT`);
  return jwt;
}

/** Whose token it is and until when, by its own claims; not verified, for words alone. */
function subjectOf(jwt: string): LoginScene['subject'] {
  try {
    const claims = asObject(parseJson(Buffer.from(jwt.split('.')[1] ?? '', 'base64url').toString()));
    const [, namespace, account] =
      /^system:serviceaccount:([^:]+):([^:]+)$/.exec(asString(claims?.['sub']) ?? '') ?? [];
    const expiry = Number(claims?.['exp'] ?? Number.NaN);
    return {
      account: namespace === undefined || account === undefined ? undefined : { namespace, name: account },
      audience: [claims?.['aud'] ?? []].flat().map(String),
      ...(Number.isFinite(expiry) ? { ends: new Date(expiry * 1000) } : {}),
    };
  } catch {
    return undefined;
  }
}

async function unwrap(api: VaultApi, token: Secret, probe: Probe): Promise<VaultAnswer> {
  const reply = await api.write('sys/wrapping/unwrap', undefined, token, probe);
  if (reply.state !== 'reply' || succeeded(reply)) return reply;
  const state = stateFault(reply);
  if (state !== undefined) return state;
  const gone = messagesOf(reply).some((message) =>
    message.says(/not valid|does not exist|permission denied/i),
  );
  return never(
    exitStatus.refused,
    `the wrapping token could not be unwrapped${said(reply)}`,
    gone
      ? 'it has expired or was unwrapped before: by an earlier run of this container, which the kubelet may repeat, or by somebody else, which would be a leak'
      : undefined,
  );
}
