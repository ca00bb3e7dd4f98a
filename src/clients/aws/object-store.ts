import type { IncomingHttpHeaders } from 'node:http';
import { crc32 } from 'node:zlib';

import type { ReadSource, SourceAddress } from '../../config/source.ts';
import { exitStatus } from '../../core/exit-status.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { SaidText } from '../../core/said-text.ts';
import { never, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import { elementIn, encodedName, objectAt, storedObject } from '../http/object-folder.ts';
import { httpReader, type HttpSourceSettings, type SignedSource, type SourceSink } from '../http/source.ts';
import { type KeptSum, SumCheck } from '../http/sum-check.ts';
import type { HttpClient, HttpRequest, HttpResponse } from '../http/transport.ts';
import { refusalBy, type AwsClock } from './asking.ts';
import { namedEndpoint } from './endpoint.ts';
import type { AwsService } from './faults.ts';
import type { AwsLogin, AwsPlace } from './login.ts';
import { signedHeaders } from './signature.ts';

export const objectStore: AwsService = {
  title: 'S3',
  missing: new Set(['NoSuchKey', 'NoSuchVersion']),
  list: (id, region) => `aws s3 ls s3:${id} --region ${region} shows what is there`,
  allow(id) {
    const { bucket, key } = objectAt(id);
    const statement =
      key.endsWith('/') || key === ''
        ? `{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::${bucket}"}, and s3:GetObject for arn:aws:s3:::${bucket}/${key}*`
        : `{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::${bucket}/${key}"}`;
    return `allow it in the role's policy: ${statement}; of an object that is not there, S3 says so only to whoever may list the bucket (s3:ListBucket)`;
  },
  variable: 'AWS_ENDPOINT_URL_S3',
};

export interface ObjectParts {
  readonly login: AwsLogin;
  readonly http: HttpClient;
  readonly time: AwsClock;
  readonly redactor: Redactor;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly settings: HttpSourceSettings;
  readonly secret: boolean;
  readonly sink: SourceSink | undefined;
  /** Of the version that is meant; unset, any. */
  readonly etag?: string;
}

/** Reads an object of S3, or of what speaks as it does, to where any download goes. */
export function objectReader(address: SourceAddress, parts: ObjectParts): ReadSource {
  const { http, redactor, sink, secret, etag } = parts;
  const { key } = objectAt(address.path);
  const requests = new ObjectRequests(address, parts);
  const version = address.options.get('version');
  const signed: SignedSource = {
    secret,
    check: new SumCheck(sumIn, (name) => `came with another ${name} than S3 keeps of it`),
    urlOf: (probe) => requests.urlOf(key, version === undefined ? {} : { versionId: version }, probe),
    async send(request, probe) {
      const { 'If-Range': same, ...headers } = request.headers;
      const asked = {
        ...headers,
        // Of a version that is gone, S3 says 412 and sends nothing.
        ...((same ?? etag) === undefined ? {} : { 'If-Match': (same ?? etag) as string }),
        'x-amz-checksum-mode': 'ENABLED',
      };
      const tooLong = etag === undefined ? {} : { tooLong: changed };
      const answer = await requests.send({ ...request, headers: asked, ...tooLong }, probe);
      if (answer.state !== 'response' || answer.status >= 300) return answer;
      // What speaks as S3 does need not obey If-Match, nor versionId.
      if (etag !== undefined && answer.headers.etag !== etag)
        return never(
          exitStatus.refused,
          'has changed since it was listed: its ETag is another one',
          'run it again',
        );
      // What was put before versions were kept has the version null, which need not be said.
      if (version !== undefined && (answer.headers['x-amz-version-id'] ?? 'null') !== version)
        return never(exitStatus.refused, 'is not the version that was asked for: its ID is another one');
      return answer;
    },
    faultOf: (answer) => requests.faultOf(answer),
  };
  return httpReader(address, storedObject(parts.settings), { client: http, redactor, sink, signed });
}

const changed = never(exitStatus.refused, 'has changed since it was listed', 'run it again');

type RequestParts = Pick<ObjectParts, 'login' | 'http' | 'time' | 'environment' | 'redactor'>;

/** Signed requests to one bucket. */
export class ObjectRequests {
  readonly #address: SourceAddress;
  readonly #parts: RequestParts;
  #region = 'the region';

  constructor(address: SourceAddress, parts: RequestParts) {
    this.#address = address;
    this.#parts = parts;
  }

  get region(): string {
    return this.#region;
  }

  /** The address of a key, or of the bucket itself. */
  async urlOf(
    key: string,
    query: Readonly<Record<string, string>>,
    probe: Probe,
  ): Promise<URL | NotYet | Never> {
    const { bucket } = objectAt(this.#address.path);
    // A region may be a profile's, which is read with the login.
    const keys = await this.#parts.login.keys(this.#address, probe);
    if ('state' in keys) return keys;
    const place = await this.#parts.login.placeOf('s3', this.#address);
    this.#region = place.region;
    const own = namedEndpoint('s3', this.#parts.environment) !== undefined;
    const url = bucketUrl(bucket, place, own);
    url.pathname = `${url.pathname}${encodedName(key)}`;
    url.search = new URLSearchParams(query).toString().replaceAll('+', '%20');
    return url;
  }

  async send(request: HttpRequest, probe: Probe): Promise<HttpResponse | NotYet | Never> {
    const keys = await this.#parts.login.keys(this.#address, probe);
    if ('state' in keys) return keys;
    const headers = await signedHeaders(
      { method: 'GET', url: request.url, headers: request.headers },
      keys,
      { service: 's3', region: this.#region },
      this.#parts.time.now(),
    );
    return this.#parts.http.send({ ...request, headers }, probe);
  }

  /** What an answer that is not what was asked for means. */
  faultOf(answer: HttpResponse): NotYet | Never {
    const { status, headers, body } = answer;
    const text = body.toString();
    const code = elementIn(text, 'Code') ?? '';
    const there = String(headers['x-amz-bucket-region'] ?? elementIn(text, 'Region') ?? '');
    if (
      (status === 301 || status === 307 || status === 400 || status === 403) &&
      /^[a-z0-9-]{2,40}$/.test(there) &&
      there !== this.#region
    )
      return never(
        exitStatus.refused,
        `is in the region ${there}, and ${this.#region} was asked (${status})`,
        `write ?region=${there} behind it, or set AWS_REGION`,
      );
    if (status === 412) return changed;
    if (code === 'NoSuchBucket')
      return never(
        exitStatus.refused,
        `has a bucket that does not exist (${status})`,
        'look at the name of the bucket, and at AWS_ENDPOINT_URL_S3',
      );
    if (code === 'InvalidObjectState')
      return never(
        exitStatus.refused,
        'is archived, and cannot be read before it is restored',
        'aws s3api restore-object brings it back for some days',
      );
    // Redacted as it came: where a `<` of a secret stands in it, only its beginning would be left of that.
    const whole = SaidText.shown([new SaidText(text)], Number.POSITIVE_INFINITY, this.#parts.redactor.redact);
    const words = elementIn(whole, 'Message') ?? '';
    const error =
      code === '' ? new SyntaxError('it is not XML') : Object.assign(new Error(words), { name: code });
    const corrected = this.#parts.time.corrects(code, answer);
    return this.#parts.login.faulty(
      refusalBy(error, status, headers, corrected),
      this.#address,
      this.#region,
      objectStore,
    );
  }
}

/**
 * With the bucket in the host's name, or in the path: a name with dots fits no certificate of AWS, and other servers seldom have
 * a name for each bucket (https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html).
 */
function bucketUrl(bucket: string, { endpoint }: AwsPlace, own: boolean): URL {
  const url = new URL(endpoint);
  if (own || bucket.includes('.')) url.pathname = `${url.pathname.replace(/\/$/, '')}/${bucket}/`;
  else url.hostname = `${bucket}.${url.hostname}`;
  return url;
}

/**
 * The sum that S3 keeps of an object, where that is of the whole and of a kind that Node knows
 * (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html).
 */
function sumIn(headers: IncomingHttpHeaders): KeptSum | undefined {
  if (headers['x-amz-checksum-type'] === 'COMPOSITE') return undefined;
  const kinds: readonly (readonly [name: string, header: string, kind: KeptSum['kind']])[] = [
    ['SHA-256', 'sha256', 'sha256'],
    ['SHA-1', 'sha1', 'sha1'],
    ['CRC-32', 'crc32', crc32],
  ];
  return (
    kinds
      .map(([name, header, kind]) => ({ name, sum: String(headers[`x-amz-checksum-${header}`] ?? ''), kind }))
      // Of an upload in parts there may be a sum of sums, with their number behind it.
      .find(({ sum }) => /^[A-Za-z0-9+/]+={0,2}$/.test(sum))
  );
}
