import type { SourceAddress } from '../../config/source.ts';
import type { Context } from '../../core/context.ts';
import { UsageError } from '../../core/outcome.ts';
import type { Secret } from '../../core/redaction/redactor.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { readNamedFile } from '../../fs/input-file.ts';
import { knownHostIn, type KnownHost } from '../ssh/known-hosts.ts';
import { readSshKey, type SshKey, type SshPlace } from '../ssh/program.ts';
import { sshEndpoint, sshUser } from './ssh-address.ts';

/** How servers are reached by SSH, as it was given. */
export interface SshOptions {
  readonly 'ssh-key': Secret | undefined;
  readonly 'ssh-key-env': string | undefined;
  readonly 'ssh-passphrase': Secret | undefined;
  readonly 'known-hosts-file': string | undefined;
}

export interface SshSettings {
  readonly key: SshKey;
  readonly knownHosts: string;
  readonly knownFrom: string;
}

/** @throws UsageError where something is missing or cannot be read */
export function readSshSettings(
  options: SshOptions,
  { environment, redactor }: Pick<Context, 'environment' | 'redactor'>,
): SshSettings {
  const file = options['known-hosts-file'] ?? '';
  const knownHosts = readNamedFile({ text: file, origin: '--known-hosts-file' }).toString('utf8');
  const variable = options['ssh-key-env'];
  const origin = variable === undefined ? '--ssh-key-file' : `--ssh-key-env: the variable ${variable}`;
  const text =
    variable === undefined ? options['ssh-key']?.reveal() : environment[variable]?.replaceAll('\\n', '\n');
  if (!text?.trim()) throw new UsageError(`${origin} is not set, or empty`);
  if (variable !== undefined) {
    refuseUnexpanded('secret', text, variable);
    redactor.secret(text);
  }
  try {
    return {
      key: readSshKey(text, options['ssh-passphrase']?.reveal()),
      knownHosts,
      knownFrom: file,
    };
  } catch (error) {
    throw new UsageError(`${origin}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Where a repository is, and who asks for it.
 * @throws UsageError where its host's key is not known: a key that comes over the network is not taken for it
 */
export function sshPlaceOf(address: SourceAddress, { key, knownHosts, knownFrom }: SshSettings): SshPlace {
  const { host, port } = sshEndpoint(address);
  const known = knownHostIn(knownHosts, host, port);
  if (known.keys.length === 0) throw new UsageError(unknownHost(known, { host, port, knownFrom }));
  return { host, port, user: sshUser(address), key, known, knownFrom };
}

function unknownHost(
  { name, hasAuthority }: KnownHost,
  { host, port, knownFrom }: { readonly host: string; readonly port: number; readonly knownFrom: string },
): string {
  const scan = `ssh-keyscan ${port === 22 ? '' : `-p ${port} `}${host}`;
  return `--known-hosts-file: ${knownFrom} has no key of ${name}${
    hasAuthority ? ' but an authority’s (@cert-authority), whose certificates are not supported' : ''
  }; write into it what \`${scan}\` prints, once you have compared that with what the server’s owner publishes`;
}
