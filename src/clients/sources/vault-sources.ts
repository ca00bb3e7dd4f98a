import type { Context } from '../../core/context.ts';
import { readProxies } from '../http/proxy.ts';
import type { AnswerLimit } from '../vault/api.ts';
import type { Vault } from '../vault/client.ts';
import type { VaultSources } from '../vault/settings.ts';
import { openHttp } from './http-client.ts';
import type { VaultOptions } from './options.ts';

/** What the options and the surroundings say about Vault. */
export function vaultSources(
  options: VaultOptions,
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

/** Prepares one Vault; nothing is asked yet. @param largest answer with secrets @throws UsageError where a setting is wrong or missing */
export async function openVault(
  options: VaultOptions,
  largest: AnswerLimit,
  context: Context,
  stack: DisposableStack,
): Promise<Vault> {
  const { readVaultSettings } = await import('../vault/settings.ts');
  const vault = readVaultSettings(vaultSources(options, context));
  if (!vault.tls.verify)
    context.log.warn(
      'VAULT_SKIP_VERIFY is on: whoever answers is taken for Vault, or for the https proxy before it, and gets the credentials',
    );
  const { createVault } = await import('../vault/client.ts');
  const http = stack.use(await openHttp(vault.tls, context, readProxies(context, [vault.address])));
  return createVault(vault, {
    http,
    clock: context.clock,
    redactor: context.redactor,
    largest,
  });
}
