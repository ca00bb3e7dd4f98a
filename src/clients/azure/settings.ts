import { existsSync } from 'node:fs';

import type { SourceAddress } from '../../config/source.ts';
import type { Environment } from '../../core/context.ts';
import { hideSecretAsPath, secretAsPath } from '../../core/misplaced-secret.ts';
import { UsageError } from '../../core/outcome.ts';
import type { Redactor, Secret } from '../../core/redaction/redactor.ts';
import { refuseUnexpanded, refuseUnexpandedVariables } from '../../core/template-variables.ts';
import { isWebUrl } from '../../core/web-url.ts';
import { checkTokenUrl } from '../http/bearer-tokens.ts';

/** Who the sources of Azure are read as. */
export type AzureCredentials =
  | {
      readonly kind: 'client-secret';
      readonly tenant: string;
      readonly client: string;
      readonly secret: Secret;
    }
  /** The pod's own token for one of Entra's: AKS Workload Identity. */
  | {
      readonly kind: 'workload';
      readonly tenant: string;
      readonly client: string;
      readonly tokenFile: string;
    }
  /** The managed identity of the node, which one where it has several. */
  | { readonly kind: 'node'; readonly server: URL; readonly client: string | undefined };

/** Where a cloud of Azure has its services, without the name of a vault or account in front. */
export interface AzureCloud {
  readonly authority: URL;
  readonly vaults: string;
  readonly blobs: string;
}

export interface AzureSettings {
  readonly credentials: AzureCredentials;
  readonly cloud: AzureCloud;
  /** Another address than Azure's own, ending with a slash. */
  readonly vaultUrl: URL | undefined;
  readonly blobUrl: URL | undefined;
}

/** What options say. */
export interface AzureOptions {
  readonly clientSecret: Secret | undefined;
  readonly imds: boolean;
  readonly vaultUrl: string | undefined;
  readonly blobUrl: string | undefined;
}

/** By the host that logs in (https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud). */
const clouds: readonly (readonly [host: RegExp, vaults: string, blobs: string])[] = [
  [/^login\.microsoftonline\.us$/, 'vault.usgovcloudapi.net', 'blob.core.usgovcloudapi.net'],
  [/^login\.(?:chinacloudapi|partner\.microsoftonline)\.cn$/, 'vault.azure.cn', 'blob.core.chinacloudapi.cn'],
];

const usualAuthority = 'https://login.microsoftonline.com/';

/** Where a virtual machine asks for its own tokens. */
const imds = 'http://169.254.169.254/';

const named = /^[\w.-]{1,100}$/;

/**
 * Looks at what the variables and options say by themselves: no file is read.
 * @throws UsageError naming the variable or option
 */
export function checkAzure(
  addresses: readonly SourceAddress[],
  options: AzureOptions,
  environment: Environment,
): void {
  azureSettings(addresses, options, environment);
}

/** @throws UsageError naming the variable or option that is wrong or missing */
export function readAzureSettings(
  addresses: readonly SourceAddress[],
  options: AzureOptions,
  environment: Environment,
  redactor: Redactor,
): AzureSettings {
  hideSecretAsPath(environment['AZURE_FEDERATED_TOKEN_FILE'] ?? '', redactor);
  const secret = environment['AZURE_CLIENT_SECRET']?.trim();
  const given = options.clientSecret ?? (secret ? redactor.secret(secret) : undefined);
  return azureSettings(addresses, { ...options, clientSecret: given }, environment);
}

function azureSettings(
  addresses: readonly SourceAddress[],
  options: AzureOptions,
  environment: Environment,
): AzureSettings {
  refuseUnexpandedVariables(
    {
      AZURE_CLIENT_ID: 'word',
      AZURE_TENANT_ID: 'word',
      AZURE_CLIENT_SECRET: 'secret',
      AZURE_FEDERATED_TOKEN_FILE: 'path',
      AZURE_AUTHORITY_HOST: 'url',
      AZURE_POD_IDENTITY_AUTHORITY_HOST: 'url',
    },
    environment,
  );
  for (const name of ['AZURE_CLIENT_ID', 'AZURE_TENANT_ID'])
    if (environment[name] && !named.test(environment[name]))
      throw new UsageError(`${name} has other characters than an ID has`);
  checkTokenUrl('AZURE_AUTHORITY_HOST', environment['AZURE_AUTHORITY_HOST'] ?? '');
  const authority = directory(environment['AZURE_AUTHORITY_HOST'] || usualAuthority);
  const [, vaults = 'vault.azure.net', blobs = 'blob.core.windows.net'] =
    clouds.find(([host]) => host.test(authority.hostname)) ?? [];
  const urls = (['vaultUrl', 'blobUrl'] as const).map((name) => {
    const flag = name === 'vaultUrl' ? '--azure-vault-url' : '--azure-blob-url';
    const text = options[name];
    if (text === undefined) return undefined;
    refuseUnexpanded('url', text, flag);
    checkTokenUrl(flag, text);
    return directory(text);
  });
  const [vaultUrl, blobUrl] = urls;
  const vaultNames = new Set(
    addresses.filter(({ scheme }) => scheme === 'azure-kv').map(({ path }) => path.split('/')[0]),
  );
  if (vaultUrl !== undefined && vaultNames.size > 1)
    throw new UsageError(
      `--azure-vault-url names one vault, and the sources name ${vaultNames.size} (${[...vaultNames].join(', ')})`,
    );
  return {
    credentials: credentialsOf(options, environment),
    cloud: { authority, vaults, blobs },
    vaultUrl,
    blobUrl,
  };
}

function directory(text: string): URL {
  return new URL(text.replace(/\/*$/, '/'));
}

/** In the order of Azure's own libraries; the node's only where it is asked for. */
function credentialsOf(options: AzureOptions, environment: Environment): AzureCredentials {
  const client = environment['AZURE_CLIENT_ID'] || undefined;
  const tenant = environment['AZURE_TENANT_ID'] || undefined;
  const tokenFile = environment['AZURE_FEDERATED_TOKEN_FILE'] || undefined;
  const hasSecret = options.clientSecret !== undefined || Boolean(environment['AZURE_CLIENT_SECRET']);
  const both = (why: string): { readonly client: string; readonly tenant: string } => {
    if (client === undefined || tenant === undefined)
      throw new UsageError(
        `${client === undefined ? 'AZURE_CLIENT_ID' : 'AZURE_TENANT_ID'} is not set, and ${why} needs it`,
      );
    return { client, tenant };
  };
  if (hasSecret) {
    const { clientSecret } = options;
    const ids = both('a client secret');
    // Of a check alone it is not read.
    return { kind: 'client-secret', ...ids, secret: clientSecret as Secret };
  }
  if (tokenFile !== undefined) {
    const instead = existsSync(tokenFile) ? undefined : secretAsPath(tokenFile);
    if (instead !== undefined) throw new UsageError(`AZURE_FEDERATED_TOKEN_FILE: ${instead}`);
    return { kind: 'workload', ...both('workload identity'), tokenFile };
  }
  if (options.imds) {
    const server = environment['AZURE_POD_IDENTITY_AUTHORITY_HOST'] || imds;
    if (!isWebUrl(server) || new URL(server).username !== '')
      throw new UsageError('AZURE_POD_IDENTITY_AUTHORITY_HOST is not an http or https URL without a user');
    return { kind: 'node', server: directory(server), client };
  }
  throw new UsageError(
    'nothing says how to log in to Azure: for AKS Workload Identity, label the pod azure.workload.identity/use: "true" and annotate its service account, so that AZURE_FEDERATED_TOKEN_FILE is set; or give --azure-client-secret-file; --azure-imds takes the node’s managed identity',
  );
}
