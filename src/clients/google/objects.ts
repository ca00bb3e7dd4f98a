import type { IncomingHttpHeaders } from 'node:http';

import { asObject, asString, asText } from '../../config/json.ts';
import type { FetchAnswer, FieldValue, ReadSource, SourceAddress } from '../../config/source.ts';
import { exitStatus } from '../../core/exit-status.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { never, nonexistent, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import { objectOf } from '../http/bearer-tokens.ts';
import {
  brokenList,
  encodedPart,
  listedPages,
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
import { crc32c } from './crc32c.ts';
import { googleFault, isGoogleRefusal } from './faults.ts';
import type { GoogleLogin } from './login.ts';
import { memberOf } from './secret-manager.ts';

export interface CloudStorageParts {
  /** Undefined where an emulator is asked, which wants no token. */
  readonly login: GoogleLogin | undefined;
  readonly http: HttpClient;
  readonly redactor: Redactor;
  /** Another endpoint than Google's own, ending with a slash. */
  readonly endpoint: URL | undefined;
  readonly settings: HttpSourceSettings;
  readonly secret: boolean;
}

/** Tells the versions of an object apart (https://cloud.google.com/storage/docs/metadata#generation-number). */
const generationHeader = 'x-goog-generation';

/** Statuses that say all there is to say without words. */
const wordless: ReadonlySet<number> = new Set([408, 412, 416, 429]);

/** Requests to one bucket, by the JSON API (https://cloud.google.com/storage/docs/json_api/v1/objects). */
class BucketRequests {
  readonly #address: SourceAddress;
  readonly #parts: CloudStorageParts;

  constructor(address: SourceAddress, parts: CloudStorageParts) {
    this.#address = address;
    this.#parts = parts;
  }

  /** The address of an object, or of the list of all. */
  urlOf(key: string, query: Readonly<Record<string, string>>): URL {
    const { bucket } = objectAt(this.#address.path);
    const url = new URL(this.#parts.endpoint ?? 'https://storage.googleapis.com/');
    const base = url.pathname.replace(/storage\/v1\/$/, '');
    const name = key === '' ? '' : `/${encodedPart(key)}`;
    url.pathname = `${base}storage/v1/b/${encodedPart(bucket)}/o${name}`;
    url.search = new URLSearchParams(query).toString().replaceAll('+', '%20');
    return url;
  }

  async send(request: HttpRequest, probe: Probe): Promise<HttpResponse | NotYet | Never> {
    const { login, http } = this.#parts;
    const token = await login?.token(probe);
    if (token !== undefined && token.state !== 'token') return token;
    const headers = {
      ...request.headers,
      ...(token === undefined ? {} : { Authorization: `Bearer ${token.value}` }),
    };
    return http.send({ ...request, headers }, probe);
  }

  faultOf(answer: HttpResponse): NotYet | Never {
    const { path, options } = this.#address;
    const { bucket, key } = objectAt(path);
    const { login, redactor } = this.#parts;
    const account = login?.account ?? '';
    if (answer.status === 412)
      return never(exitStatus.refused, 'has changed since it was listed', 'run it again');
    const message = asString(asObject(objectOf(answer)?.['error'])?.['message']) ?? '';
    if (answer.status === 404 && /bucket does not exist/i.test(message))
      return never(
        exitStatus.refused,
        'has a bucket that does not exist (404)',
        'look at the name of the bucket, and at CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE',
      );
    const folder = key === '' || key.endsWith('/');
    return googleFault(answer, {
      service: 'Cloud Storage',
      account,
      version: options.get('version'),
      list: `gcloud storage ls gs:${path} shows what is there`,
      allow: `allow it: gcloud storage buckets add-iam-policy-binding gs://${bucket} --role roles/storage.objectViewer --member ${memberOf(account)}${folder ? '' : '; of an object that is not there, Google says so only to whoever may list the bucket'}`,
      api: 'storage.googleapis.com',
      variable: 'CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE',
      redact: redactor.redact,
    });
  }
}

/**
 * Reads an object of Cloud Storage, as it is stored, to where any download goes.
 * @param generation of the version that is meant; unset, any
 */
export function cloudStorageReader(
  address: SourceAddress,
  parts: CloudStorageParts & { readonly sink: SourceSink | undefined },
  generation?: string,
): ReadSource {
  const { http, redactor, sink, secret } = parts;
  const { key } = objectAt(address.path);
  const requests = new BucketRequests(address, parts);
  const version = address.options.get('version');
  const matching = generation === undefined ? {} : { ifGenerationMatch: generation };
  const named = version === undefined ? {} : { generation: version };
  const signed: SignedSource = {
    secret,
    check: new SumCheck(sumIn, (name) => `came with another ${name} than Cloud Storage keeps of it`),
    versionHeader: generationHeader,
    urlOf: () => Promise.resolve(requests.urlOf(key, { alt: 'media', ...named, ...matching })),
    async send(request, probe) {
      const { 'If-Range': same, ...headers } = request.headers;
      const url = new URL(request.url);
      if (same !== undefined) url.searchParams.set('ifGenerationMatch', same);
      // What is compressed would be unpacked by Google otherwise, and then has no sum and no rest to be asked for
      // (https://cloud.google.com/storage/docs/transcoding).
      const asked = { ...request, url, headers: { ...headers, 'Accept-Encoding': 'gzip' } };
      const answer = await requests.send(asked, probe);
      if (answer.state !== 'response') return answer;
      if (answer.status >= 300) return reasonOf(answer, probe);
      // An emulator need not obey ifGenerationMatch, nor generation.
      const wanted = generation ?? version;
      if (wanted === undefined || answer.headers[generationHeader] === wanted) return answer;
      const how = generation === undefined ? 'asked for' : 'listed';
      return never(exitStatus.refused, `is not the version that was ${how}: its generation is another one`);
    },
    faultOf: (answer) => requests.faultOf(answer),
  };
  return httpReader(address, storedObject(parts.settings), { client: http, redactor, sink, signed });

  /** Where a body was asked for, a refusal is a plain text: the object itself is asked about for the reason. */
  async function reasonOf(answer: HttpResponse, probe: Probe): Promise<HttpResponse> {
    const { status } = answer;
    if (status < 400 || status >= 500 || wordless.has(status) || isGoogleRefusal(answer)) return answer;
    const about = await requests.send(
      {
        method: 'GET',
        url: requests.urlOf(key, { fields: 'generation', ...named }),
        headers: {},
        maxBody: 2 ** 20,
        maxBodyOrigin: 'the limit for what is said of an object',
      },
      probe,
    );
    return about.state === 'response' && about.status === status ? about : answer;
  }
}

/** All objects below a prefix (https://cloud.google.com/storage/docs/json_api/v1/objects/list). */
export function cloudStorageFolder(
  address: SourceAddress,
  parts: CloudStorageParts,
  most: MostObjects,
): ObjectFolder {
  const requests = new BucketRequests(address, parts);
  const { bucket, key: prefix } = objectAt(address.path);

  const page = async (token: string | undefined, probe: Probe): Promise<ObjectPage | NotYet | Never> => {
    const url = requests.urlOf('', {
      prefix,
      maxResults: '1000',
      fields: 'nextPageToken,items(bucket,name,generation,size,updated)',
      ...(token === undefined ? {} : { pageToken: token }),
    });
    const answer = await requests.send(
      { method: 'GET', url, headers: {}, maxBody: mostListed, maxBodyOrigin: 'the limit for a list' },
      probe,
    );
    if (answer.state !== 'response') return answer;
    if (answer.status !== 200) return requests.faultOf(answer);
    const said = objectOf(answer);
    const items = said?.['items'] ?? [];
    if (said === undefined || !Array.isArray(items)) return brokenList('it is not a list of objects');
    const objects: ListedObject[] = [];
    for (const item of items as readonly FieldValue[]) {
      const object = objectIn(item, bucket, prefix);
      if (typeof object === 'string') return brokenList(object);
      objects.push(object);
    }
    const next = said['nextPageToken'];
    if (next !== undefined && typeof next !== 'string') return brokenList('nextPageToken is not a text');
    return { state: 'page', objects, next: next === '' ? undefined : next };
  };

  return {
    list: listedPages(page, most, () =>
      nonexistent(
        exitStatus.refused,
        'has no object below it',
        `gcloud storage ls gs:${address.path} shows what is there`,
      ),
    ),
    addressOf: ({ name }) => ({
      ...address,
      path: `//${bucket}/${prefix}${name}`,
      text: `gs://${bucket}/${prefix}${name}`,
    }),
    reader(object, sink, maxSize): (probe: Probe) => Promise<FetchAnswer> {
      const settings = { ...parts.settings, maxSize };
      return cloudStorageReader(this.addressOf(object), { ...parts, settings, sink }, object.etag);
    },
  };
}

/** What a list says of an object, or what is wrong with it. */
function objectIn(item: FieldValue, bucket: string, prefix: string): ListedObject | string {
  const said = asObject(item);
  const name = asString(said?.['name']);
  const generation = asText(said?.['generation']) ?? '';
  const size = asText(said?.['size']) ?? '';
  const time = Date.parse(asString(said?.['updated']) ?? '');
  if (name === undefined) return 'an object has no name';
  if ((said?.['bucket'] ?? bucket) !== bucket) return 'it has an object of another bucket';
  if (!name.startsWith(prefix)) return 'it has an object of another prefix';
  if (!/^\d{1,20}$/.test(generation)) return 'an object has no generation';
  if (!/^\d{1,15}$/.test(size)) return 'an object has no size';
  return {
    name: name.slice(prefix.length),
    etag: generation,
    size: Number(size),
    time: Number.isNaN(time) ? 0 : time,
  };
}

/**
 * The sum that Cloud Storage keeps of an object: MD5, or, of what was put together from parts, CRC-32C
 * (https://cloud.google.com/storage/docs/xml-api/reference-headers#xgooghash).
 */
function sumIn(headers: IncomingHttpHeaders): KeptSum | undefined {
  const said = [headers['x-goog-hash'] ?? []].flat().join(',');
  const sums = new Map(said.split(',').map((part) => part.trim().split(/=(.*)/s) as [string, string]));
  const [md5, crc] = ['md5', 'crc32c'].map((kind) => sums.get(kind) || undefined);
  if (md5 !== undefined) return { name: 'MD5', sum: md5, kind: 'md5' };
  return crc === undefined ? undefined : { name: 'CRC-32C', sum: crc, kind: crc32c };
}
