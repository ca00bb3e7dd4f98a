import {
  choiceParser,
  flag,
  integer,
  secret,
  text,
  value,
  valueOr,
  type Values,
} from '../../core/options/option.ts';
import { intervalOption } from '../../core/options/shared-options.ts';
import { parseSize } from '../../core/size.ts';
import { requestOptions } from '../http/options.ts';
import { clusterOptions } from '../kubernetes/options.ts';
import { vaultMethods, type VaultMethod } from '../vault/settings.ts';

/** How to log in to Vault. */
export const vaultOptions = {
  'vault-addr': text({ description: 'the address of Vault; unset, VAULT_ADDR', placeholder: 'URL' }),
  'vault-namespace': text({
    description: 'the namespace in Vault; unset, VAULT_NAMESPACE',
    placeholder: 'NAME',
  }),
  'vault-auth': value<VaultMethod>({
    description:
      'how to log in; unset, it follows from what is given: a token, --vault-role-id, --vault-user, or --vault-role (kubernetes)',
    placeholder: vaultMethods.join('|'),
    choices: vaultMethods,
    parse: choiceParser(vaultMethods),
  }),
  'vault-mount': text({
    description: 'the path of the auth method; unset, the method’s name',
    placeholder: 'MOUNT',
  }),
  'vault-role': text({ description: 'the role to log in as (kubernetes, jwt, cert)', placeholder: 'NAME' }),
  'vault-jwt-file': text({
    description: 'the token to log in with (kubernetes, jwt); unset, the service account’s',
    placeholder: 'PATH',
  }),
  'vault-role-id': text({ description: 'the role ID to log in with (approle)', placeholder: 'ID' }),
  'vault-secret-id': secret({ description: 'the SecretID to log in with (approle)' }),
  'vault-user': text({ description: 'the user to log in as (userpass)', placeholder: 'NAME' }),
  'vault-password': secret({ description: 'the password to log in with (userpass)' }),
  'vault-token': secret({ description: 'an existing token; unset, VAULT_TOKEN' }),
  'vault-unwrap': flag({
    description: 'the token or SecretID given is a wrapping token, to be unwrapped first',
  }),
};

const awsOptions = {
  'expect-role': text({
    description: 'stop unless the credentials are those of this role',
    placeholder: 'NAME|ARN',
  }),
  'aws-imds': flag({
    description: 'use the role of the node (IMDS) if no other credentials are configured',
  }),
};

const googleOptions = {
  'expect-account': text({
    description: 'stop unless the credentials are those of this service account of Google',
    placeholder: 'EMAIL',
  }),
};

const azureOptions = {
  'azure-client-secret': secret({
    description: 'the client secret to log in to Azure with; unset, AZURE_CLIENT_SECRET',
  }),
  'azure-imds': flag({
    description:
      'use the managed identity of the node (IMDS) if no other credentials of Azure are configured',
  }),
  'azure-vault-url': text({
    description: 'the address of the key vault, where it is not https://VAULT.vault.azure.net',
    placeholder: 'URL',
  }),
  'azure-blob-url': text({
    description: 'the address of the blob service, where it is not https://ACCOUNT.blob.core.windows.net',
    placeholder: 'URL',
  }),
};

const httpOptions = {
  ...requestOptions,
  'max-size': valueOr({
    description: 'the largest body or file that is accepted',
    placeholder: 'SIZE',
    parse: parseSize,
    fallback: '16Mi',
  }),
  redirects: valueOr({
    description: 'how many redirects to follow',
    placeholder: 'COUNT',
    parse: integer({ min: 0, max: 20 }),
    fallback: '1',
  }),
  'cross-origin': flag({
    description:
      'follow redirects, and fetch submodules, of other origins (scheme, host, port) too, without the credentials',
  }),
};

/** How sources are reached, for every command that reads them. */
export const sourceOptions = {
  ...vaultOptions,
  ...awsOptions,
  ...googleOptions,
  ...azureOptions,
  ...clusterOptions,
  ...httpOptions,
  secret: flag({
    description: 'what is written is a secret, for example because a variable or a plain URL holds one',
    insteadOf: ['public'],
  }),
  public: flag({
    description:
      'what file:, env:, http:, https:, s3:, gs:, azure-blob:, aws-ssm: and kubernetes:configmap sources give is no secret: any volume, mode 0444',
    insteadOf: ['secret'],
  }),
  interval: intervalOption,
};
export type SourceOptions = Values<typeof sourceOptions>;
export type VaultOptions = Values<typeof vaultOptions>;
