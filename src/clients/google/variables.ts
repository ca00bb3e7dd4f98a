import type { Environment } from '../../core/context.ts';
import { UsageError } from '../../core/outcome.ts';
import { refuseUnexpandedVariables } from '../../core/template-variables.ts';
import { isWebUrl } from '../../core/web-url.ts';
import { checkTokenUrl } from '../http/bearer-tokens.ts';

/** Variables of gcloud that name another endpoint, such as one of Private Service Connect. */
const endpoints = {
  secretmanager: 'CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER',
  storage: 'CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE',
} as const;

/** Where the metadata server listens (https://cloud.google.com/compute/docs/metadata/querying-metadata). */
const metadataHost = '169.254.169.254';

/** The endpoint that a variable names for a service, ending with a slash; undefined where it is Google's own. */
export function googleEndpoint(service: keyof typeof endpoints, environment: Environment): URL | undefined {
  const named = environment[endpoints[service]];
  return named ? new URL(named.replace(/\/*$/, '/')) : undefined;
}

/** The server that stands in for Cloud Storage, which wants no token, as Google's libraries take it. */
export function storageEmulator(environment: Environment): URL | undefined {
  const named = environment['STORAGE_EMULATOR_HOST'];
  if (!named) return undefined;
  return new URL((named.includes('://') ? named : `http://${named}`).replace(/\/*$/, '/'));
}

/** Where the metadata server is: of a GKE node with Workload Identity, it speaks for the pod's own account. */
export function metadataServer(environment: Environment): URL {
  const named = environment['GCE_METADATA_HOST'] || environment['GCE_METADATA_IP'] || metadataHost;
  return new URL(`http://${named}/`);
}

/** The project that variables name, in the order of Google's libraries. */
export function namedProject(environment: Environment): string | undefined {
  return (
    environment['GOOGLE_CLOUD_PROJECT'] ||
    environment['GCLOUD_PROJECT'] ||
    environment['CLOUDSDK_CORE_PROJECT'] ||
    undefined
  );
}

/**
 * Looks at what the variables say by themselves: no file is read.
 * @throws UsageError naming the variable
 */
export function checkGoogleVariables(environment: Environment): void {
  refuseUnexpandedVariables(
    {
      GOOGLE_APPLICATION_CREDENTIALS: 'path',
      GOOGLE_CLOUD_PROJECT: 'word',
      GCLOUD_PROJECT: 'word',
      CLOUDSDK_CORE_PROJECT: 'word',
      GCE_METADATA_HOST: 'word',
      GCE_METADATA_IP: 'word',
      STORAGE_EMULATOR_HOST: 'url',
      CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER: 'url',
      CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE: 'url',
    },
    environment,
  );
  for (const name of Object.values(endpoints)) checkTokenUrl(name, environment[name] ?? '');
  const emulator = environment['STORAGE_EMULATOR_HOST'] ?? '';
  if (emulator !== '' && !isWebUrl(emulator.includes('://') ? emulator : `http://${emulator}`))
    throw new UsageError('STORAGE_EMULATOR_HOST is not HOST:PORT or an http or https URL');
  for (const name of ['GCE_METADATA_HOST', 'GCE_METADATA_IP'])
    if (environment[name] && !/^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i.test(environment[name]))
      throw new UsageError(`${name} is not a host, or HOST:PORT`);
  const project = namedProject(environment);
  if (project !== undefined && !/^[a-z0-9][a-z0-9.:-]{0,99}$/.test(project))
    throw new UsageError(`GOOGLE_CLOUD_PROJECT is ${JSON.stringify(project)}, not the ID of a project`);
}
