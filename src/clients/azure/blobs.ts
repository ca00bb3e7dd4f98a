import type { IncomingHttpHeaders } from 'node:http';

import type { FetchAnswer, ReadSource, SourceAddress } from '../../config/source.ts';
import { exitStatus } from '../../core/exit-status.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { SaidText } from '../../core/said-text.ts';
import { never, nonexistent, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import { passingFault, shownWords } from '../http/bearer-tokens.ts';
import {
  brokenList,
  elementIn,
  encodedName,
  listedPages,
  listRoot,
  mostListed,
  objectAt,
  storedObject,
  type ListedObject,
  type MostObjects,
  type ObjectFolder,
  type ObjectPage,
} from '../http/object-folder.ts';
import { httpReader, type HttpSourceSettings, type SignedSource, type SourceSink } from '../http/source.ts';
import { type KeptSum, SumCheck } from '../http/sum-check.ts';
import type { HttpClient, HttpRequest, HttpResponse } from '../http/transport.ts';
import type { XmlElement } from '../xml.ts';
import type { AzureLogin } from './login.ts';
import type { AzureCloud } from './settings.ts';

export interface BlobParts {
  readonly login: AzureLogin;
  readonly http: HttpClient;
  readonly redactor: Redactor;
  readonly cloud: AzureCloud;
  /** Another address than Azure's own, ending with a slash: the account is in the path there. */
  readonly url: URL | undefined;
  readonly settings: HttpSourceSettings;
  readonly secret: boolean;
}

/** What a token for blobs is for, the same in all clouds. */
export const blobResource = 'https://storage.azure.com';

/** Of the REST API; tokens are taken since 2017. */
const apiVersion = '2021-12-02';

/** Where a blob is: `//ACCOUNT/CONTAINER/BLOB`, whose form is checked already. */
function blobAt(path: string): {
  readonly account: string;
  readonly container: string;
  readonly blob: string;
} {
  const { bucket: account, key } = objectAt(path);
  const [, container = '', blob = ''] = /^([^/]*)\/?(.*)$/s.exec(key) ?? [];
  return { account, container, blob };
}

/** Requests to one container (https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api). */
class ContainerRequests {
  readonly #address: SourceAddress;
  readonly #parts: BlobParts;

  constructor(address: SourceAddress, parts: BlobParts) {
    this.#address = address;
    this.#parts = parts;
  }

  /** The address of a blob, or of the container itself. */
  urlOf(blob: string, query: Readonly<Record<string, string>>): URL {
    const { account, container } = blobAt(this.#address.path);
    const { url: own, cloud } = this.#parts;
    const url = new URL(own === undefined ? `https://${account}.${cloud.blobs}/` : `${own.href}${account}/`);
    url.pathname = `${url.pathname}${encodedName(container)}${blob === '' ? '' : `/${encodedName(blob)}`}`;
    url.search = new URLSearchParams(query).toString().replaceAll('+', '%20');
    return url;
  }

  async send(request: HttpRequest, probe: Probe): Promise<HttpResponse | NotYet | Never> {
    const { login, http } = this.#parts;
    const token = await login.token(blobResource, probe);
    if (token.state !== 'token') return token;
    const headers = {
      ...request.headers,
      'x-ms-version': apiVersion,
      Authorization: `Bearer ${token.value}`,
    };
    return http.send({ ...request, headers }, probe);
  }

  /** What an answer that is not what was asked for means. */
  faultOf(answer: HttpResponse): NotYet | Never {
    const { status, headers } = answer;
    const { redact } = this.#parts.redactor;
    const { account, container, blob } = blobAt(this.#address.path);
    const version = this.#address.options.get('version');
    const passing = passingFault(
      answer,
      'look at --azure-blob-url and the proxy variables: they should name the account itself',
    );
    if (passing !== undefined) return passing;
    const refused = (what: string, hint?: string): Never => never(exitStatus.refused, what, hint);
    if (status === 412) return refused('has changed since it was listed', 'run it again');
    const text = answer.body.toString();
    const code = String(headers['x-ms-error-code'] ?? elementIn(text, 'Code') ?? '');
    if (!/^[A-Z]\w{2,60}$/.test(code))
      return refused(
        `gave an answer that is not from Blob Storage (${status}): it cannot be read`,
        'look at --azure-blob-url and the proxy variables',
      );
    // Redacted as it came: where a `<` of a secret stands in it, only its beginning would be left of that.
    const whole = SaidText.shown([new SaidText(text)], Number.POSITIVE_INFINITY, redact);
    const said = shownWords(elementIn(whole, 'Message') ?? '', redact);
    const words = said === '' ? code : `${code}: ${said}`;
    const client = this.#parts.login.client;
    const as = client === '' ? '' : ` (as ${client})`;
    const list = `az storage blob list --auth-mode login --account-name ${account} --container-name ${container} shows what is there`;
    if (code === 'ContainerNotFound')
      return refused(
        `has a container that does not exist (${status})`,
        `az storage container list --auth-mode login --account-name ${account} shows what is there`,
      );
    if (status === 404)
      return nonexistent(
        exitStatus.refused,
        version === undefined
          ? `does not exist${as}`
          : `has no version ${JSON.stringify(version)}${as}, or does not exist`,
        list,
      );
    if (code === 'BlobArchived')
      return refused(
        'is archived, and cannot be read before it is rehydrated',
        `az storage blob set-tier --auth-mode login --account-name ${account} --container-name ${container} --name ${blob} --tier Hot`,
      );
    if (status === 401)
      return refused(
        `was refused: Azure rejected the credentials${as}: ${words}`,
        'is the account of the tenant that AZURE_TENANT_ID names?',
      );
    if (status === 403)
      return refused(
        `access is denied${as}: ${words}`,
        `allow it: az role assignment create --role "Storage Blob Data Reader" --assignee ${client || 'CLIENT_ID'} --scope ID_OF_ACCOUNT/blobServices/default/containers/${container}; and look at the network rules of the account`,
      );
    return refused(`was refused (${status}): ${words}`);
  }
}

/**
 * Reads a blob of Azure, as it is stored, to where any download goes.
 * @param etag of the version that is meant; unset, any
 */
export function blobReader(
  address: SourceAddress,
  parts: BlobParts & { readonly sink: SourceSink | undefined },
  etag?: string,
): ReadSource {
  const { http, redactor, sink, secret } = parts;
  const { blob } = blobAt(address.path);
  const requests = new ContainerRequests(address, parts);
  const version = address.options.get('version');
  const url = requests.urlOf(blob, version === undefined ? {} : { versionid: version });
  const signed: SignedSource = {
    secret,
    check: new SumCheck(sumIn, () => 'came with another MD5 than Blob Storage keeps of it'),
    urlOf: () => Promise.resolve(url),
    async send(request, probe) {
      const { 'If-Range': same, ...headers } = request.headers;
      const wanted = same ?? etag;
      const asked = { ...headers, ...(wanted === undefined ? {} : { 'If-Match': wanted }) };
      const answer = await requests.send({ ...request, headers: asked }, probe);
      if (answer.state !== 'response' || answer.status >= 300) return answer;
      // An emulator need not obey If-Match, nor versionid.
      if (etag !== undefined && answer.headers.etag !== etag)
        return never(exitStatus.refused, 'is not the version that was listed: its ETag is another one');
      if (version !== undefined && answer.headers['x-ms-version-id'] !== version)
        return never(exitStatus.refused, 'is not the version that was asked for: its ID is another one');
      return answer;
    },
    faultOf: (answer) => requests.faultOf(answer),
  };
  return httpReader(address, storedObject(parts.settings), { client: http, redactor, sink, signed });
}

/** All blobs below a prefix (https://learn.microsoft.com/rest/api/storageservices/list-blobs). */
export function blobFolder(address: SourceAddress, parts: BlobParts, most: MostObjects): ObjectFolder {
  const requests = new ContainerRequests(address, parts);
  const { account, container, blob: prefix } = blobAt(address.path);

  const page = async (marker: string | undefined, probe: Probe): Promise<ObjectPage | NotYet | Never> => {
    const url = requests.urlOf('', {
      restype: 'container',
      comp: 'list',
      prefix,
      maxresults: '1000',
      ...(marker === undefined ? {} : { marker }),
    });
    const answer = await requests.send(
      { method: 'GET', url, headers: {}, maxBody: mostListed, maxBodyOrigin: 'the limit for a list' },
      probe,
    );
    if (answer.state !== 'response') return answer;
    if (answer.status !== 200) return requests.faultOf(answer);
    const root = await listRoot(answer, 'EnumerationResults', probe);
    const entries = root?.at('Blobs')?.all('Blob');
    if (root === undefined || entries === undefined) return brokenList('it is not a whole list of blobs');
    if ((root.attributes['ContainerName'] ?? container) !== container)
      return brokenList('it is the list of another container');
    if ((root.at('Prefix')?.text ?? prefix) !== prefix) return brokenList('it is the list of another prefix');
    const objects: ListedObject[] = [];
    for (const entry of entries) {
      const object = blobIn(entry, prefix);
      if (typeof object === 'string') return brokenList(object);
      objects.push(object);
    }
    // At the end it is there, too, and is empty.
    const next = root.at('NextMarker')?.text;
    if (next === undefined) return brokenList('it has no NextMarker');
    return { state: 'page', objects, next: next === '' ? undefined : next };
  };

  return {
    list: listedPages(page, most, () =>
      nonexistent(
        exitStatus.refused,
        'has no object below it',
        `az storage blob list --auth-mode login --account-name ${account} --container-name ${container} shows what is there`,
      ),
    ),
    addressOf: ({ name }) => ({
      ...address,
      path: `//${account}/${container}/${prefix}${name}`,
      text: `azure-blob://${account}/${container}/${prefix}${name}`,
    }),
    reader(object, sink, maxSize): (probe: Probe) => Promise<FetchAnswer> {
      const settings = { ...parts.settings, maxSize };
      return blobReader(this.addressOf(object), { ...parts, settings, sink }, object.etag);
    },
  };
}

/** What a list says of a blob, or what is wrong with it. */
function blobIn(entry: XmlElement, prefix: string): ListedObject | string {
  // Encoded where XML cannot have it.
  const said = entry.at('Name');
  const property = (key: string): string => entry.at('Properties', key)?.text ?? '';
  const etag = property('Etag').replaceAll('"', '');
  const size = property('Content-Length');
  const time = Date.parse(property('Last-Modified'));
  if (said === undefined) return 'a blob has no name';
  let name = said.text;
  if (said.attributes['Encoded'] === 'true') {
    try {
      name = decodeURIComponent(name);
    } catch {
      return 'a name is not encoded as it says';
    }
  }
  if (!name.startsWith(prefix)) return 'it has a blob of another prefix';
  if (!/^[\x21\x23-\x7e]{1,200}$/.test(etag)) return 'a blob has no ETag';
  if (!/^\d{1,15}$/.test(size)) return 'a blob has no size';
  // Of an account with folders of its own (Data Lake), they are listed as well.
  const isFolder = property('ResourceType') === 'directory' && !name.endsWith('/');
  return {
    name: `${name.slice(prefix.length)}${isFolder ? '/' : ''}`,
    etag: `"${etag}"`,
    size: Number(size),
    time: Number.isNaN(time) ? 0 : time,
  };
}

/** The MD5 that is kept of a blob, where it was put in one request, or whoever put it gave one. */
function sumIn(headers: IncomingHttpHeaders): KeptSum | undefined {
  const sum = String(headers['content-md5'] ?? '');
  return /^[A-Za-z0-9+/]{22}==$/.test(sum) ? { name: 'MD5', sum, kind: 'md5' } : undefined;
}
