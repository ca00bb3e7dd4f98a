import { asObject, asString, asText } from '../../config/json.ts';
import type { FieldValue } from '../../config/source.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { SaidText } from '../../core/said-text.ts';
import { never, nonexistent, notYet, type Never, type NotYet } from '../../wait/attempt.ts';
import { messagesOf, type VaultReply } from './api.ts';

/** Characters of Vault's own words that are shown. */
const shown = 300;

function wordsOf(reply: VaultReply): string {
  return SaidText.shown(messagesOf(reply), shown, reply.redact);
}

/** Vault's own words, for the end of a sentence. */
export function said(reply: VaultReply): string {
  const text = wordsOf(reply);
  return text === '' ? '' : `: ${text}`;
}

/** Messages that decisions look at. */
const lookedAt = 16;

function saysOf(messages: readonly SaidText[], pattern: RegExp): boolean {
  return messages.slice(0, lookedAt).some((message) => message.says(pattern));
}

/** Statuses of Vault as a whole, whatever was asked: https://developer.hashicorp.com/vault/api-docs#http-status-codes. */
export function stateFault(reply: VaultReply): NotYet | Never | undefined {
  const fault = stateWords(reply);
  return fault?.state === 'not-yet' && reply.busy !== undefined ? { ...fault, busy: reply.busy } : fault;
}

function stateWords(reply: VaultReply): NotYet | Never | undefined {
  const { status } = reply;
  const says = (pattern: RegExp): boolean => saysOf(messagesOf(reply), pattern);
  if (status === 429)
    return notYet(`answered 429, too many requests${said(reply)}`, {
      hint: 'a quota or a limit of the listener: vault read sys/quotas/config',
    });
  if (status === 412) {
    if (says(/X-Vault-Request/i)) return never(exitStatus.refused, `answered 412${said(reply)}`);
    return notYet('answered 412: this standby has not caught up yet');
  }
  if (status === 472 || status === 473)
    return notYet(`answered ${status}: a standby of a replica that serves no reads`);
  if (status === 501 || says(/not initialized/i)) {
    return notYet('is not initialised', { hint: 'run vault operator init, then unseal it' });
  }
  if (status === 503 && says(/sealed/i)) {
    return notYet('is sealed', {
      hint: 'unseal it (vault operator unseal), or look at what its auto-unseal uses',
    });
  }
  if (says(/active cluster node not found|no active/i)) return notYet('has no leader at the moment');
  if (status === 400 && says(/HTTP request to an HTTPS server/i)) {
    return never(
      exitStatus.refused,
      'speaks https there, and was asked by http',
      'write https:// in VAULT_ADDR',
    );
  }
  if (status === 500 && says(/could not load backend configuration/i)) return undefined;
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
  const says = (pattern: RegExp): boolean => saysOf(messagesOf(reply), pattern);
  const refused = (what: string, hint: string): Never =>
    never(
      exitStatus.refused,
      `refused the ${method} login${role === undefined ? '' : ` as role ${JSON.stringify(role)}`}: ${what}`,
      hint,
    );
  const account = subject?.account?.name ?? 'NAME';
  const namespace = subject?.account?.namespace ?? 'NAMESPACE';
  if (reply.status === 404 || says(/no handler for route|unsupported path/i)) {
    return refused(
      `there is no auth method at auth/${mount}${inNamespace(scene.namespace)}`,
      `enable it (vault auth enable -path=${mount} ${method}), or name its path with --vault-mount, and its namespace with VAULT_NAMESPACE`,
    );
  }
  if (says(/could not load backend configuration/i)) {
    return refused(
      `auth/${mount} is not configured`,
      `vault write auth/${mount}/config kubernetes_host=https://kubernetes.default.svc`,
    );
  }
  if (says(/service account name not authorized/i)) {
    return refused(
      `its bound_service_account_names lack ${JSON.stringify(account)}`,
      `vault write auth/${mount}/role/${role} bound_service_account_names=${account} …, or set serviceAccountName in the pod's spec`,
    );
  }
  if (says(/namespace not authorized/i)) {
    return refused(
      `its bound_service_account_namespaces lack ${JSON.stringify(namespace)}`,
      `vault write auth/${mount}/role/${role} bound_service_account_namespaces=${namespace} …`,
    );
  }
  if (says(/invalid role name|role .* could not be found|invalid role ID|missing role/i)) {
    return refused(
      `there is no such role${said(reply)}`,
      `vault list auth/${mount}/role shows the roles; --vault-role names one`,
    );
  }
  if (says(/expired|not valid yet|in the future|\b(exp|nbf|iat)\b/i) && subject !== undefined) {
    const ends = subject.ends === undefined ? '' : `; it ends at ${subject.ends.toISOString()}`;
    return refused(
      `the token is not valid at this time${ends}, and the clock here says ${scene.now.toISOString()}${said(reply)}`,
      'the kubelet renews a projected token in its file, and one that was copied ends; or the clock of this node, or of Vault’s, is off',
    );
  }
  if (says(/audience/i)) {
    return refused(
      `the token is for another audience (${subject?.audience.join(', ') ?? 'unknown'})${said(reply)}`,
      "set the role's audience (bound_audiences), or project a token with `serviceAccountToken.audience` and give it with --vault-jwt-file",
    );
  }
  if (scene.mayBeSpent && says(/invalid secret.?id|invalid role or secret|wrapping token/i)) {
    return refused(
      wordsOf(reply),
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
    `look at vault read auth/${mount}/${entryOf(method, role)} and at Vault's audit log`,
  );
}

/** Where an auth method keeps what decides about a login. */
function entryOf(method: string, role: string | undefined): string {
  if (method === 'userpass') return 'users/NAME';
  return method === 'cert' ? `certs/${role ?? 'NAME'}` : `role/${role ?? 'ROLE'}`;
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
  /** Something was sent there. */
  readonly written: boolean;
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
  if (reply.status === 405 && !scene.written)
    return {
      answer: never(
        exitStatus.refused,
        `answered 405: this path cannot be read${said(reply)}`,
        'a source is read, and paths that make something (pki/issue, pki/sign, transit/encrypt) are written to: let cert-manager make it, write a template for render --language consul-template, or store the result in a KV engine',
      ),
      confirm: false,
    };
  return { answer: never(exitStatus.refused, `answered ${reply.status}${said(reply)}`), confirm: false };
}

/** Policies that are named. */
const mostPolicies = 20;

function denied({ apiPath, policies, namespace, guessed, secretPath, written }: ReadScene): Never {
  const own = policies.filter((policy) => policy !== 'default');
  const more = policies.length > mostPolicies ? ` and ${policies.length - mostPolicies} more` : '';
  const held =
    policies.length === 0 ? '' : ` (policies: ${policies.slice(0, mostPolicies).join(', ')}${more})`;
  const line = (path: string): string =>
    `path "${path}" { capabilities = ["${written ? 'update' : 'read'}"] }`;
  // Told nothing of the engine, we must not name a line that would change nothing.
  const lines = guessed
    ? `${line(apiPath)} if a KV version 2 engine is there, else ${line(secretPath)}`
    : line(apiPath);
  const place = `${guessed ? secretPath : apiPath}${inNamespace(namespace)}`;
  return never(
    exitStatus.refused,
    written
      ? `permission denied on ${place}: the token${held} may not write to it, or is not valid`
      : `permission denied on ${place}: the token${held} may not read it, or is not valid`,
    `add to ${own.length > 0 ? `the policy ${own.slice(0, mostPolicies).join(' or ')}` : 'a policy of the role'}: ${lines}`,
  );
}

function absent(reply: VaultReply, scene: ReadScene): Never {
  const { secretPath, mount, version } = scene;
  const metadata = asObject(asObject(reply.body['data'])?.['metadata']);
  if (metadata !== undefined) return deleted(metadata, scene);
  const messages = [...messagesOf(reply), ...messagesOf(reply, 'warnings')];
  if (saysOf(messages, /no handler for route|unsupported path/i)) {
    return never(
      exitStatus.refused,
      `there is no secrets engine at ${secretPath.split('/')[0]}/${inNamespace(scene.namespace)}`,
      'vault secrets list shows the mounts; VAULT_NAMESPACE names another namespace',
    );
  }
  if (saysOf(messages, /versioned K\/V/i)) {
    return never(
      exitStatus.refused,
      `${secretPath} is not the path of a secret in a KV version 2 engine`,
      'write ?kv=2, and no data/ in the path',
    );
  }
  if (secretPath.includes('*'))
    return never(
      exitStatus.refused,
      `there is no secret at ${secretPath}${inNamespace(scene.namespace)}`,
      'a * is taken as it is here: nothing expands it; name each secret by its path',
    );
  const inside = mount === undefined ? secretPath : secretPath.slice(mount.length);
  const misspelt = inside.startsWith('data/') && scene.kv === 2;
  const hint = misspelt
    ? `write the path as vault kv get takes it, without data/: vault:${mount}${inside.slice('data/'.length)}`
    : `${scene.namespace === undefined ? '' : `is there such a namespace? `}vault kv list ${parentOf(secretPath)} shows what is there${version === undefined ? '' : `, vault kv metadata get ${secretPath} the versions`}`;
  // Vault says it with a list of no errors; whatever else is at that address does not.
  const { errors } = reply.body;
  const isVaults = Array.isArray(errors) && errors.length === 0;
  return (isVaults && !misspelt ? nonexistent : never)(
    exitStatus.refused,
    `there is no ${version === undefined ? 'secret' : `version ${version}`} at ${secretPath}${inNamespace(scene.namespace)}`,
    hint,
  );
}

function deleted(metadata: { readonly [key: string]: FieldValue }, { secretPath, mount }: ReadScene): Never {
  const version = asText(metadata['version']) ?? '?';
  const at = `-mount=${(mount ?? '').replace(/\/$/, '')} -versions=${version} ${secretPath.slice(mount?.length ?? 0)}`;
  if (metadata['destroyed'] === true) {
    return nonexistent(
      exitStatus.refused,
      `version ${version} of ${secretPath} is destroyed`,
      'write it anew (vault kv put), or name another version with ?version=N',
    );
  }
  const when = asString(metadata['deletion_time']) ?? '';
  return nonexistent(
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

/** Why an engine made nothing, and what to change. */
export function makeFault(reply: VaultReply, path: string, policies: readonly string[]): NotYet | Never {
  const state = stateFault(reply);
  if (state !== undefined) return state;
  if (reply.status === 403)
    return never(
      exitStatus.refused,
      `answered 403: the token may not update ${path}${policies.length === 0 ? '' : ` (its policies: ${policies.join(', ')})`}`,
      `one of its policies needs: path "${path}" { capabilities = ["update"] }`,
    );
  if (reply.status === 404)
    return never(
      exitStatus.refused,
      `answered 404: nothing is at ${path}${said(reply)}`,
      'is the engine mounted there, in that namespace? vault secrets list',
    );
  return never(exitStatus.refused, `answered ${reply.status}${said(reply)}`);
}
