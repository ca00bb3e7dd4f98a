import type { SourceAddress } from '../../config/source.ts';
import type { Context } from '../../core/context.ts';
import { blobFolder, blobReader, blobResource } from '../azure/blobs.ts';
import { keyVaultReader, vaultResource } from '../azure/key-vault.ts';
import { createAzureLogin } from '../azure/login.ts';
import { readAzureSettings } from '../azure/settings.ts';
import { azureOptionsOf } from './azure-options.ts';
import { openHttp } from './http-client.ts';
import type { CloudSources, SourceSettings } from './open.ts';

/** @throws UsageError where a variable or an option is wrong or missing */
export async function openAzure(
  addresses: readonly SourceAddress[],
  { options, http: said, sink, tls: { verify, authorities } }: SourceSettings,
  context: Context,
  stack: DisposableStack,
): Promise<CloudSources> {
  const { environment, redactor, clock, log } = context;
  const settings = readAzureSettings(addresses, azureOptionsOf(options), environment, redactor);
  const { cloud, vaultUrl, blobUrl } = settings;
  // A client certificate is for web servers.
  const tls = { verify, ...(authorities === undefined ? {} : { authorities }) };
  const http = stack.use(await openHttp(tls, context));
  // What speaks for the node is on the node.
  const near = stack.use(await openHttp(tls, context, () => undefined));
  const first = addresses.some(({ scheme }) => scheme === 'azure-kv') ? vaultResource(cloud) : blobResource;
  const login = createAzureLogin(settings, first, { http, near, clock, redactor });
  const blobs = { login, http, redactor, cloud, url: blobUrl, settings: said };
  return {
    login,
    reader(address) {
      if (address.scheme === 'azure-kv')
        return keyVaultReader(address, { login, http, redactor, cloud, url: vaultUrl, clock, log });
      const secret = !(address.public ?? said.saidSecret === false);
      return blobReader(address, { ...blobs, secret, sink });
    },
    folder: (address, mostEntries) =>
      blobFolder(address, { ...blobs, secret: false }, { count: mostEntries, origin: '--max-entries' }),
  };
}
