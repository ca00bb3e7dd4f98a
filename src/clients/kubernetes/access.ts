import { join } from 'node:path';

import type { Context } from '../../core/context.ts';
import { shownHostPort } from '../../core/host-port.ts';
import { UsageError } from '../../core/outcome.ts';
import { refuseUnexpanded, refuseUnexpandedVariables } from '../../core/template-variables.ts';
import { readInput, readNamedFile, readSecretFile } from '../../fs/input-file.ts';
import type { TlsSettings } from '../http/tls.ts';
import { readKubeconfig } from './kubeconfig.ts';

/** How the API server is reached, and as whom. */
export interface ClusterAccess {
  readonly server: URL;
  readonly tls: TlsSettings;
  /** The namespace that is meant where none is written. */
  readonly namespace: string | undefined;
  /** Read for each request: the kubelet replaces a projected token long before it expires. */
  readonly tokenFile?: string;
  /** A header that stays the same. */
  readonly authorization?: string;
  /** Where all this comes from, for people. */
  readonly origin: string;
  readonly proxy?: URL;
}

/** What is said about where the cluster is. */
export interface AccessOptions {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
}

type AccessContext = Pick<Context, 'environment' | 'paths' | 'redactor'>;

/**
 * Finds the cluster: the file of `--kubeconfig`, those of KUBECONFIG, the pod's service account, `~/.kube/config`.
 * @param parse parses YAML
 * @throws UsageError
 */
export async function findCluster(
  options: AccessOptions,
  { environment, paths, redactor }: AccessContext,
  parse: () => Promise<(text: string) => unknown>,
): Promise<ClusterAccess> {
  const secret = (value: string): void => void redactor.secret(value);
  const { context } = options;
  const read = async (files: readonly string[], origin: string): Promise<ClusterAccess> =>
    readKubeconfig({ paths: files, origin, context, secret, parse: await parse() });
  if (options.kubeconfig !== undefined) return read([options.kubeconfig], '--kubeconfig');
  const listed = (environment['KUBECONFIG'] ?? '').split(':').filter((path) => path !== '');
  for (const path of listed) refuseUnexpanded('path', path, 'KUBECONFIG');
  if (listed.length > 0) return read(listed, 'KUBECONFIG');
  refuseUnexpandedVariables(
    { KUBERNETES_SERVICE_HOST: 'word', KUBERNETES_SERVICE_PORT: 'word' },
    environment,
  );
  const host = environment['KUBERNETES_SERVICE_HOST'];
  if (host) return inCluster(host, environment['KUBERNETES_SERVICE_PORT'] || '443', paths.serviceAccount);
  const home = environment['HOME'];
  if (home && exists(join(home, '.kube/config')))
    return read([join(home, '.kube/config')], join(home, '.kube/config'));
  throw new UsageError(
    'no cluster is known: this is no pod (KUBERNETES_SERVICE_HOST is not set), and neither --kubeconfig nor KUBECONFIG names a file',
  );
}

function exists(path: string): boolean {
  try {
    readInput(path, 16 * 2 ** 20);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

/** https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/#directly-accessing-the-rest-api */
function inCluster(host: string, port: string, folder: string): ClusterAccess {
  const origin = "the pod's service account";
  const tokenFile = join(folder, 'token');
  try {
    readSecretFile({ text: tokenFile, origin });
  } catch (error) {
    throw new UsageError(
      `${(error as Error).message}; is automountServiceAccountToken off? The service account’s token must be mounted to ask the API server`,
      { cause: error },
    );
  }
  const address = `https://${shownHostPort(host, port)}`;
  if (!/^[\w.:-]+$/.test(host) || !URL.canParse(address))
    throw new UsageError(
      'KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not an address and a port; Kubernetes sets both, as 10.96.0.1 and 443',
    );
  return {
    server: new URL(address),
    tls: {
      verify: true,
      authorities: readNamedFile({ text: join(folder, 'ca.crt'), origin }).toString(),
    },
    namespace: podNamespace(folder),
    tokenFile,
    origin,
  };
}

/** The namespace that the pod itself is in; undefined outside a pod. */
export function podNamespace(serviceAccount: string): string | undefined {
  try {
    return readInput(join(serviceAccount, 'namespace'), 1024).toString().trim() || undefined;
  } catch {
    return undefined;
  }
}
