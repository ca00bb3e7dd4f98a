import type { AzureOptions } from '../azure/settings.ts';
import type { SourceOptions } from './options.ts';

/** What the options say about Azure. */
export function azureOptionsOf(options: SourceOptions): AzureOptions {
  return {
    clientSecret: options['azure-client-secret'],
    imds: options['azure-imds'],
    vaultUrl: options['azure-vault-url'],
    blobUrl: options['azure-blob-url'],
  };
}
