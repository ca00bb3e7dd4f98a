import type { Context } from '../../core/context.ts';
import type { VaultSources } from '../vault/settings.ts';
import type { SourceOptions } from './options.ts';

/** What the options and the surroundings say about Vault. */
export function vaultSources(
  options: SourceOptions,
  { environment, paths, redactor }: Pick<Context, 'environment' | 'paths' | 'redactor'>,
): VaultSources {
  return {
    flags: {
      address: options['vault-addr'],
      namespace: options['vault-namespace'],
      method: options['vault-auth'],
      mount: options['vault-mount'],
      role: options['vault-role'],
      jwtFile: options['vault-jwt-file'],
      token: options['vault-token'],
      roleId: options['vault-role-id'],
      secretId: options['vault-secret-id'],
      user: options['vault-user'],
      password: options['vault-password'],
      unwrap: options['vault-unwrap'],
    },
    environment,
    paths,
    redactor,
  };
}
