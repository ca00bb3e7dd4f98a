import { asObject, asString } from '../../config/json.ts';
import type { Secret } from '../../core/redaction/redactor.ts';
import type { Never, NotYet, Probe } from '../../wait/attempt.ts';
import { succeeded, type VaultApi } from './api.ts';
import { stateFault } from './faults.ts';
import { encodePath } from './path.ts';

/** The engine that serves a path. */
export interface SecretsMount {
  readonly state: 'mount';
  /** With its slash: `secret/`. */
  readonly path: string;
  /** The version of a KV engine; undefined for other engines. */
  readonly kv: 1 | 2 | undefined;
}

/** Vault will not say; the caller has to guess. */
export interface UnknownMount {
  readonly state: 'unknown';
}

export interface Mounts {
  of(path: string, token: Secret, probe: Probe): Promise<SecretsMount | UnknownMount | NotYet | Never>;
}

/**
 * The mount's path as the one that was asked for begins. Vault tells it from the root namespace on, and `b/secret/app` in the
 * namespace `a` lies on `a/b/secret/`; as `vault kv get` does it (addPrefixToKVPath in command/kv_helpers.go).
 */
function relativeTo(path: string, mountPath: string): string {
  let mount = mountPath;
  while (mount !== '' && !`${path}/`.startsWith(mount))
    mount = mount.slice(mount.indexOf('/') + 1 || mount.length);
  return mount;
}

/**
 * Finds which engine serves a path, as `vault kv get` does (sys/internal/ui/mounts), and remembers: Vault allows no
 * mount below another, so that one answer serves all paths below it.
 */
export function createMounts(api: VaultApi): Mounts {
  const known: SecretsMount[] = [];
  /** Questions under way, by first segment: fifty secrets of one mount ask once. */
  const asking = new Map<string, Promise<unknown>>();
  const find = (path: string): SecretsMount | undefined =>
    known.find((mount) => `${path}/`.startsWith(mount.path));

  const ask = async (
    path: string,
    token: Secret,
    probe: Probe,
  ): Promise<SecretsMount | UnknownMount | NotYet | Never> => {
    const reply = await api.read(`sys/internal/ui/mounts/${encodePath(path)}`, token, probe);
    if (reply.state !== 'reply') return reply;
    if (!succeeded(reply)) return stateFault(reply) ?? { state: 'unknown' };
    const data = asObject(reply.body['data']);
    const mountPath = relativeTo(path, asString(data?.['path']) ?? '');
    if (mountPath === '') return { state: 'unknown' };
    const type = asString(data?.['type']);
    const version = asString(asObject(data?.['options'])?.['version']);
    const kv = type === 'kv' || type === 'generic' ? (version === '2' ? 2 : 1) : undefined;
    const mount: SecretsMount = { state: 'mount', path: mountPath, kv };
    known.push(mount);
    return mount;
  };

  return {
    async of(path, token, probe) {
      const first = path.split('/')[0] ?? '';
      for (let found = find(path); ; found = find(path)) {
        if (found !== undefined) return found;
        const other = asking.get(first);
        if (other === undefined) break;
        await other;
      }
      const question = ask(path, token, probe);
      asking.set(first, question);
      try {
        return await question;
      } finally {
        if (asking.get(first) === question) asking.delete(first);
      }
    },
  };
}
