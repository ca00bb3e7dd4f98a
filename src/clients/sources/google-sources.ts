import type { SourceAddress } from '../../config/source.ts';
import type { Context } from '../../core/context.ts';
import { readGoogleCredentials } from '../google/credentials.ts';
import { createGoogleLogin } from '../google/login.ts';
import { cloudStorageFolder, cloudStorageReader } from '../google/objects.ts';
import { googleSecretReader } from '../google/secret-manager.ts';
import { checkGoogleVariables, googleEndpoint, namedProject, storageEmulator } from '../google/variables.ts';
import { openHttp } from './http-client.ts';
import type { CloudSources, SourceSettings } from './open.ts';

/** @throws UsageError where a variable, or the file that one names, is wrong */
export async function openGoogle(
  addresses: readonly SourceAddress[],
  { options, http: said, sink, tls: { verify, authorities } }: SourceSettings,
  context: Context,
  stack: DisposableStack,
): Promise<CloudSources> {
  const { environment, redactor, clock } = context;
  checkGoogleVariables(environment);
  // A client certificate is for web servers.
  const tls = { verify, ...(authorities === undefined ? {} : { authorities }) };
  const http = stack.use(await openHttp(tls, context));
  // What speaks for the node is on the node.
  const near = stack.use(await openHttp(tls, context, () => undefined));
  const emulator = storageEmulator(environment);
  const anonymous = emulator !== undefined && addresses.every(({ scheme }) => scheme === 'gs');
  const login = anonymous
    ? undefined
    : createGoogleLogin(readGoogleCredentials(environment, redactor), options['expect-account'], {
        http,
        near,
        clock,
        redactor,
      });
  const secretAt = googleEndpoint('secretmanager', environment);
  const project = namedProject(environment);
  const storage = {
    login: emulator === undefined ? login : undefined,
    http,
    redactor,
    endpoint: emulator ?? googleEndpoint('storage', environment),
    settings: said,
  };
  return {
    login,
    reader(address) {
      if (address.scheme === 'gcp-sm' && login !== undefined)
        return googleSecretReader(address, { login, http, redactor, endpoint: secretAt, project });
      const secret = !(address.public ?? said.saidSecret === false);
      return cloudStorageReader(address, { ...storage, secret, sink });
    },
    folder: (address, mostEntries) =>
      cloudStorageFolder(
        address,
        { ...storage, secret: false },
        { count: mostEntries, origin: '--max-entries' },
      ),
  };
}
