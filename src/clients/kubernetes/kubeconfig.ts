import { Buffer } from 'node:buffer';
import { dirname, resolve } from 'node:path';

import { hideMisplacedInDocument, quoted, shownPath } from '../../core/misplaced-secret.ts';
import { UsageError } from '../../core/outcome.ts';
import { refuseUnexpanded, type Meaning } from '../../core/template-variables.ts';
import { isWebUrl } from '../../core/web-url.ts';
import { readNamedFile, readSecretFile } from '../../fs/input-file.ts';
import { checkClientPair, type TlsSettings } from '../http/tls.ts';
import type { ClusterAccess } from './access.ts';
import { objectIn, objectsIn, textAt, valueIn, type ApiObject, type Json } from './api-object.ts';

/** One file of KUBECONFIG. */
interface ConfigFile {
  readonly path: string;
  readonly content: Json;
}

/** Where the files are, and how they are read. */
export interface KubeconfigSource {
  /** Paths of the files; those that are not there are left out where there is more than one. */
  readonly paths: readonly string[];
  /** Names them in messages: `--kubeconfig`, `KUBECONFIG`. */
  readonly origin: string;
  /** The context to use; undefined for the current one. */
  readonly context: string | undefined;
  /** Parses YAML; throws Error with line and column. */
  readonly parse: (text: string) => unknown;
  readonly secret: (value: string) => void;
}

/**
 * Reads what kubectl reads (https://kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig/): of
 * several files the first that names a thing wins. Client certificates, tokens and files of tokens are taken; programs
 * that make tokens (`exec`) are not run: a pod has its service account, and what they print is valid for minutes.
 * @throws UsageError
 */
export function readKubeconfig(source: KubeconfigSource): ClusterAccess {
  const { origin } = source;
  const files = source.paths.flatMap((path) => readFile(path, source));
  if (files.length === 0)
    throw new UsageError(`${origin}: there is no file ${source.paths.map(shownPath).join(', ')}`);
  const current = files.map(({ content }) => textAt(content, 'current-context')).find((name) => name !== '');
  const name = source.context ?? current;
  if (name === undefined)
    throw new UsageError(`${origin}: no current-context is set; name a context with --context`);
  const context = named(files, 'contexts', 'context', name, origin).value;
  refuseReferences(context, read.context, origin);
  const clusterName = textAt(context, 'cluster');
  const cluster = named(files, 'clusters', 'cluster', clusterName, origin);
  const userName = textAt(context, 'user');
  const user =
    userName === '' ? { value: {}, path: cluster.path } : named(files, 'users', 'user', userName, origin);
  refuseReferences(cluster.value, read.cluster, origin);
  refuseReferences(user.value, read.user, origin);
  const server = textAt(cluster.value, 'server');
  if (!/^https?:\/\/[^/]/.test(server) || !URL.canParse(server))
    throw new UsageError(
      `${origin}: the server of the cluster ${clusterName} is not a URL; write for example https://10.0.0.1:6443`,
    );
  const proxy = textAt(cluster.value, 'proxy-url');
  if (proxy !== '' && !isWebUrl(proxy))
    throw new UsageError(
      `${origin}: the proxy-url of the cluster ${clusterName} is not an http or https URL; write for example http://proxy.internal:3128`,
    );
  const url = new URL(server);
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw new UsageError(
      `${origin}: the server of the cluster ${clusterName} has a user, a query or a fragment in its URL; write for example https://10.0.0.1:6443`,
    );
  return {
    server: url,
    namespace: textAt(context, 'namespace') || undefined,
    tls: tlsOf(cluster, user, origin, source.secret),
    // As kubectl: who can listen gets no credentials. `kubectl proxy` wants none.
    ...(url.protocol === 'https:' ? credentialsOf(user, userName, origin, source.secret) : {}),
    origin: `${origin} (context ${name})`,
    ...(proxy === '' ? {} : { proxy: new URL(proxy) }),
  };
}

/** What is read of each part, and as what. */
const read = {
  context: { cluster: 'name', user: 'name', namespace: 'name' },
  cluster: {
    server: 'url',
    'proxy-url': 'url',
    'certificate-authority': 'path',
    'tls-server-name': 'word',
  },
  user: {
    token: 'token',
    tokenFile: 'path',
    'client-certificate': 'path',
    'client-key': 'path',
    username: 'name',
    password: 'secret',
  },
} satisfies Readonly<Record<string, Readonly<Record<string, Meaning>>>>;

/** @throws UsageError where something in a part was not replaced by a value */
function refuseReferences(
  part: ApiObject,
  meanings: Readonly<Record<string, Meaning>>,
  origin: string,
): void {
  for (const [key, meaning] of Object.entries(meanings)) {
    const text = textAt(part, key);
    if (text !== '') refuseUnexpanded(meaning, text, `${origin}: ${key}`);
  }
}

function readFile(path: string, { paths, origin, parse, secret }: KubeconfigSource): readonly ConfigFile[] {
  let text: string;
  try {
    text = readNamedFile({ text: path, origin }).toString();
  } catch (error) {
    if (paths.length > 1 && ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT')
      return [];
    throw error;
  }
  try {
    const content = parse(text) as Json;
    hideMisplacedInDocument(content, { secret });
    return [{ path, content }];
  } catch (error) {
    throw new UsageError(`${origin}: ${path}:${(error as Error).message}`, { cause: error });
  }
}

interface Entry {
  readonly value: ApiObject;
  /** The file it is in: relative paths are meant from there. */
  readonly path: string;
}

function named(files: readonly ConfigFile[], list: string, key: string, name: string, origin: string): Entry {
  for (const { path, content } of files) {
    const found = objectsIn(content, list).find((entry) => textAt(entry, 'name') === name);
    if (found !== undefined) return { value: objectIn(found, key), path };
  }
  const names = files.flatMap(({ content }) =>
    objectsIn(content, list).map((entry) => textAt(entry, 'name')),
  );
  throw new UsageError(
    `${origin}: there is no ${key} named ${quoted(name)}; there ${names.length === 0 ? 'is none' : `are: ${names.join(', ')}`}`,
  );
}

/** What stands in the file itself (`NAME-data`, base64), or in the file that it names. */
function pemOf(entry: Entry, key: string, origin: string): string | undefined {
  const data = textAt(entry.value, `${key}-data`);
  const file = textAt(entry.value, key);
  if (data === '' && file === '') return undefined;
  const text =
    data === ''
      ? readNamedFile({ text: resolve(dirname(entry.path), file), origin: `${origin}: ${key}` }).toString()
      : Buffer.from(data, 'base64').toString();
  if (!text.includes('-----BEGIN '))
    throw new UsageError(`${origin}: ${data === '' ? key : `${key}-data`} is not in PEM format`);
  return text;
}

function originOf({ value }: Entry, key: string, origin: string): string {
  return `${origin}: ${textAt(value, `${key}-data`) === '' ? key : `${key}-data`}`;
}

function tlsOf(cluster: Entry, user: Entry, origin: string, secret: (value: string) => void): TlsSettings {
  const authorities = pemOf(cluster, 'certificate-authority', origin);
  const certificate = pemOf(user, 'client-certificate', origin);
  const key = pemOf(user, 'client-key', origin);
  if ((certificate === undefined) !== (key === undefined))
    throw new UsageError(`${origin}: client-certificate and client-key must both be there, or neither`);
  if (certificate !== undefined && key !== undefined) {
    secret(key);
    checkClientPair(
      { certificate, key },
      {
        certificate: originOf(user, 'client-certificate', origin),
        key: originOf(user, 'client-key', origin),
      },
    );
  }
  const serverName = textAt(cluster.value, 'tls-server-name');
  return {
    verify: valueIn(cluster.value, 'insecure-skip-tls-verify') !== true,
    ...(authorities === undefined ? {} : { authorities }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(key === undefined ? {} : { key }),
    ...(serverName === '' ? {} : { serverName }),
  };
}

function credentialsOf(
  { value, path }: Entry,
  name: string,
  origin: string,
  secret: (value: string) => void,
): Pick<ClusterAccess, 'tokenFile' | 'authorization'> {
  for (const key of ['exec', 'auth-provider'])
    if (valueIn(value, key) !== undefined)
      throw new UsageError(
        `${origin}: the user ${name} gets its credentials from a program (${key}), which initbox does not run; use a token: kubectl create token SERVICEACCOUNT, and the key token or tokenFile of the user`,
      );
  const tokenFile = textAt(value, 'tokenFile');
  if (tokenFile !== '') {
    const found = resolve(dirname(path), tokenFile);
    readSecretFile({ text: found, origin: `${origin}: tokenFile` });
    return { tokenFile: found };
  }
  const token = textAt(value, 'token');
  if (token !== '') {
    secret(token);
    return { authorization: `Bearer ${token}` };
  }
  const [user, password] = [textAt(value, 'username'), textAt(value, 'password')];
  if (user === '' || password === '') return {};
  secret(password);
  const pair = Buffer.from(`${user}:${password}`).toString('base64');
  secret(pair);
  return { authorization: `Basic ${pair}` };
}
