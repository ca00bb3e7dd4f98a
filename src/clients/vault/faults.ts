import { asObject, asString, asText } from '../../config/json.ts';
import type { FieldValue } from '../../config/source.ts';
import { excerpt } from '../../core/excerpt.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { never, notYet, type Never, type NotYet } from '../../wait/attempt.ts';
import { messagesOf, type VaultReply } from './api.ts';

/** Characters of Vault's own words that are shown. */
const shown = 300;

/** Vault's own words, for the end of a sentence. */
export function said(reply: VaultReply): string {
  const text = messagesOf(reply)
    .map((message) => message.replace(/\s*\n\s*[\t*]*\s*/g, ' ').trim())
    .join('; ');
  return text === '' ? '' : `: ${excerpt(text, shown, reply.redact)}`;
}

/** Statuses of Vault as a whole, whatever was asked: https://developer.hashicorp.com/vault/api-docs#http-status-codes. */
export function stateFault(reply: VaultReply): NotYet | Never | undefined {
  const fault = stateWords(reply);
  return fault?.state === 'not-yet' && reply.busy !== undefined ? { ...fault, busy: reply.busy } : fault;
}

function stateWords(reply: VaultReply): NotYet | Never | undefined {
  const { status } = reply;
  const words = messagesOf(reply).join(' ');
  if (status === 429)
    return notYet(`answered 429, too many requests${said(reply)}`, {
      hint: 'a quota or a limit of the listener: vault read sys/quotas/config',
    });
  if (status === 412) {
    if (/X-Vault-Request/i.test(words)) return never(exitStatus.refused, `answered 412${said(reply)}`);
    return notYet('answered 412: this standby has not caught up yet');
  }
  if (status === 472 || status === 473)
    return notYet(`answered ${status}: a standby of a replica that serves no reads`);
  if (status === 501 || /not initialized/i.test(words)) {
    return notYet('is not initialised', { hint: 'run vault operator init, then unseal it' });
  }
  if (status === 503 && /sealed/i.test(words)) {
    return notYet('is sealed', {
      hint: 'unseal it (vault operator unseal), or look at what its auto-unseal uses',
    });
  }
  if (/active cluster node not found|no active/i.test(words)) return notYet('has no leader at the moment');
  if (status === 400 && /HTTP request to an HTTPS server/i.test(words)) {
    return never(
      exitStatus.refused,
      'speaks https there, and was asked by http',
      'write https:// in VAULT_ADDR',
    );
  }
  if (status === 500 && /could not load backend configuration/i.test(words)) return undefined;
  if (status >= 500) return notYet(`answered ${status}${said(reply)}`);
  return undefined;
}

/** What the claims of a service account's token say. */
export interface TokenSubject {
  readonly account: { readonly namespace: string; readonly name: string } | undefined;
  readonly audience: readonly string[];
  readonly ends?: Date;
}

/** Who logs in, for words about it. */
export interface LoginScene {
  readonly method: string;
  /** The mount, without `auth/`. */
  readonly mount: string;
  readonly role: string | undefined;
  readonly namespace: string | undefined;
  /** What the service account's token says of itself. */
  readonly subject: TokenSubject | undefined;
  /** What the clock here says. */
  readonly now: Date;
  /** A SecretID or a wrapping token may serve once only. */
  readonly mayBeSpent: boolean;
}

/** Why a login was refused, and what to change. */
export function loginFault(reply: VaultReply, scene: LoginScene): NotYet | Never {
  const state = stateFault(reply);
  if (state !== undefined) return state;
  const { method, mount, role, subject } = scene;
  const words = messagesOf(reply).join(' ');
  const refused = (what: string, hint: string): Never =>
    never(
      exitStatus.refused,
      `refused the ${method} login${role === undefined ? '' : ` as role ${JSON.stringify(role)}`}: ${what}`,
      hint,
    );
  const account = subject?.account?.name ?? 'NAME';
  const namespace = subject?.account?.namespace ?? 'NAMESPACE';
  if (reply.status === 404 || /no handler for route|unsupported path/i.test(words)) {
    return refused(
      `there is no auth method at auth/${mount}${inNamespace(scene.namespace)}`,
      `enable it (vault auth enable -path=${mount} ${method}), or name its path with --vault-mount, and its namespace with VAULT_NAMESPACE`,
    );
  }
  if (/could not load backend configuration/i.test(words)) {
    return refused(
      `auth/${mount} is not configured`,
      `vault write auth/${mount}/config kubernetes_host=https://kubernetes.default.svc`,
    );
  }
  if (/service account name not authorized/i.test(words)) {
    return refused(
      `its bound_service_account_names lack ${JSON.stringify(account)}`,
      `vault write auth/${mount}/role/${role} bound_service_account_names=${account} …, or set serviceAccountName in the pod's spec`,
    );
  }
  if (/namespace not authorized/i.test(words)) {
    return refused(
      `its bound_service_account_namespaces lack ${JSON.stringify(namespace)}`,
      `vault write auth/${mount}/role/${role} bound_service_account_namespaces=${namespace} …`,
    );
  }
  if (/invalid role name|role .* could not be found|invalid role ID|missing role/i.test(words)) {
    return refused(
      `there is no such role${said(reply)}`,
      `vault list auth/${mount}/role shows the roles; --vault-role names one`,
    );
  }
  if (/expired|not valid yet|in the future|\b(exp|nbf|iat)\b/i.test(words) && subject !== undefined) {
    const ends = subject.ends === undefined ? '' : `; it ends at ${subject.ends.toISOString()}`;
    return refused(
      `the token is not valid at this time${ends}, and the clock here says ${scene.now.toISOString()}${said(reply)}`,
      'the kubelet renews a projected token in its file, and one that was copied ends; or the clock of this node, or of Vault’s, is off',
    );
  }
  if (/audience/i.test(words)) {
    return refused(
      `the token is for another audience (${subject?.audience.join(', ') ?? 'unknown'})${said(reply)}`,
      "set the role's audience (bound_audiences), or project a token with `serviceAccountToken.audience` and give it with --vault-jwt-file",
    );
  }
  if (scene.mayBeSpent && /invalid secret.?id|invalid role or secret|wrapping token/i.test(words)) {
    return refused(
      excerpt(words, shown, reply.redact),
      'a SecretID may be wrong, expired, or used up: the kubelet may have run this container before; give it more uses (secret_id_num_uses) or a new one for each run',
    );
  }
  if (method === 'kubernetes' && reply.status === 403) {
    return refused(
      'Vault could not confirm the service account’s token (permission denied)',
      `may Vault's own service account review tokens (ClusterRole system:auth-delegator), is kubernetes_host in auth/${mount}/config this cluster's, and does the role's audience match (${subject?.audience.join(', ') ?? 'unknown'})?`,
    );
  }
  return refused(
    `${reply.status}${said(reply)}`,
    `look at vault read auth/${mount}/role/${role ?? 'ROLE'} and at Vault's audit log`,
  );
}

/** What was read, for words about it. */
export interface ReadScene {
  /** The path of the API, such as `secret/data/api-server`: what a policy names. */
  readonly apiPath: string;
  readonly mount: string | undefined;
  readonly kv: 1 | 2 | undefined;
  /** Vault would not say which engine it is, so that both paths were tried. */
  readonly guessed: boolean;
  readonly secretPath: string;
  readonly version: string | undefined;
  readonly namespace: string | undefined;
  readonly policies: readonly string[];
}

/** Why a read gave nothing, and what to change. `confirm` where a lagging standby may have said so. */
export function readFault(
  reply: VaultReply,
  scene: ReadScene,
): { readonly answer: NotYet | Never; readonly confirm: boolean; readonly denied?: boolean } {
  const state = stateFault(reply);
  if (state !== undefined) return { answer: state, confirm: false };
  if (reply.status === 403) return { answer: denied(scene), confirm: true, denied: true };
  if (reply.status === 404) return { answer: absent(reply, scene), confirm: true };
  return { answer: never(exitStatus.refused, `answered ${reply.status}${said(reply)}`), confirm: false };
}

function denied({ apiPath, policies, namespace, guessed, secretPath }: ReadScene): Never {
  const own = policies.filter((policy) => policy !== 'default');
  const held = policies.length === 0 ? '' : ` (policies: ${policies.join(', ')})`;
  const line = (path: string): string => `path "${path}" { capabilities = ["read"] }`;
  // Told nothing of the engine, we must not name a line that would change nothing.
  const lines = guessed
    ? `${line(apiPath)} if a KV version 2 engine is there, else ${line(secretPath)}`
    : line(apiPath);
  return never(
    exitStatus.refused,
    `permission denied on ${guessed ? secretPath : apiPath}${inNamespace(namespace)}: the token${held} may not read it, or is not valid`,
    `add to ${own.length > 0 ? `the policy ${own.join(' or ')}` : 'a policy of the role'}: ${lines}`,
  );
}

function absent(reply: VaultReply, scene: ReadScene): Never {
  const { secretPath, mount, version } = scene;
  const metadata = asObject(asObject(reply.body['data'])?.['metadata']);
  if (metadata !== undefined) return deleted(metadata, scene);
  const words = [...messagesOf(reply), ...messagesOf(reply, 'warnings')].join(' ');
  if (/no handler for route|unsupported path/i.test(words)) {
    return never(
      exitStatus.refused,
      `there is no secrets engine at ${secretPath.split('/')[0]}/${inNamespace(scene.namespace)}`,
      'vault secrets list shows the mounts; VAULT_NAMESPACE names another namespace',
    );
  }
  if (/versioned K\/V/i.test(words)) {
    return never(
      exitStatus.refused,
      `${secretPath} is not the path of a secret in a KV version 2 engine`,
      'write ?kv=2, and no data/ in the path',
    );
  }
  const inside = mount === undefined ? secretPath : secretPath.slice(mount.length);
  const hint =
    inside.startsWith('data/') && scene.kv === 2
      ? `write the path as vault kv get takes it, without data/: vault:${mount}${inside.slice('data/'.length)}`
      : `${scene.namespace === undefined ? '' : `is there such a namespace? `}vault kv list ${parentOf(secretPath)} shows what is there${version === undefined ? '' : `, vault kv metadata get ${secretPath} the versions`}`;
  return never(
    exitStatus.refused,
    `there is no ${version === undefined ? 'secret' : `version ${version}`} at ${secretPath}${inNamespace(scene.namespace)}`,
    hint,
  );
}

function deleted(metadata: { readonly [key: string]: FieldValue }, { secretPath, mount }: ReadScene): Never {
  const version = asText(metadata['version']) ?? '?';
  const at = `-mount=${(mount ?? '').replace(/\/$/, '')} -versions=${version} ${secretPath.slice(mount?.length ?? 0)}`;
  if (metadata['destroyed'] === true) {
    return never(
      exitStatus.refused,
      `version ${version} of ${secretPath} is destroyed`,
      'write it anew (vault kv put), or name another version with ?version=N',
    );
  }
  const when = asString(metadata['deletion_time']) ?? '';
  return never(
    exitStatus.refused,
    `version ${version} of ${secretPath} was deleted${when === '' ? '' : ` at ${when}`}`,
    `vault kv undelete ${at}, or name another version with ?version=N`,
  );
}

function parentOf(path: string): string {
  return path.replace(/\/[^/]*$/, '');
}

function inNamespace(namespace: string | undefined): string {
  return namespace === undefined ? '' : ` in namespace ${namespace}`;
}
