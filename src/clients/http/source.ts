import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

import { decompressed, NotDecompressed, notDecompressed } from '../../config/decompress.ts';
import { pickFromBytes, registerContent } from '../../config/fields.ts';
import {
  signingValues,
  type FetchAnswer,
  type Provenance,
  type ReadSource,
  type SourceAddress,
} from '../../config/source.ts';
import { excerpt } from '../../core/excerpt.ts';
import { exitStatus } from '../../core/exit-status.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { never, nonexistent, notYet, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import { notStored } from './body.ts';
import { ownAuthorization } from './credentials.ts';
import type { Netrc } from './netrc.ts';
import { sendFollowing } from './redirect.ts';
import { sourceUrl } from './source-urls.ts';
import type { BodySink, HttpAnswer, HttpClient, HttpRequest, HttpResponse } from './transport.ts';

/** How http and https sources are read. */
export interface HttpSourceSettings {
  /** Sent to the source's own origin and to no other. */
  readonly headers: Readonly<Record<string, string>>;
  /** Users and passwords by host, where no other credentials are given. */
  readonly netrc: Netrc | undefined;
  /** A client certificate is shown. */
  readonly identified: boolean;
  readonly maxSize: number;
  readonly redirects: number;
  readonly crossOrigin: boolean;
  /** Of the whole body, in lower-case hexadecimal. */
  readonly sha256: string | undefined;
  /** The media type that the body must have. */
  readonly contentType: string | undefined;
  /** The body is one compressed file, and what it unpacks to is wanted. */
  readonly decompress: boolean;
  /** A web page is what is wanted: its file is named .html. */
  readonly htmlExpected: boolean;
  /** What the user says of all sources that may be secret or not: true, they are. */
  readonly saidSecret: boolean | undefined;
}

/** What an earlier run got from the same source. */
export interface Earlier {
  /** Undefined where it is too large for memory: then it stays where it is. */
  readonly body: Uint8Array | undefined;
  /** The body's, where it was asked for. */
  readonly sum: string;
  /** The body's, where it was kept, and the `addressSum` of what gave it: it is told to nobody else. */
  readonly etag?: { readonly value: string; readonly of: string };
  /** Whether what stays where it is, since it is too large for memory, is still what was found there. */
  readonly stands?: () => boolean;
}

/** Takes a body in place of the answer. */
export interface SourceSink extends BodySink {
  /** The option that bounds it. */
  readonly limit: string;
  /** Whether a Content-Encoding does not matter: what it is shows when it is read. */
  readonly anyEncoding: boolean;
  /** Bytes that it has. */
  readonly size: number;
  /** The SHA-256 of the body. */
  sum(): string;
  /** All of the body has come. @throws NotDecompressed, or what it cannot be stored with */
  finish?(): Promise<void>;
  /** The whole body, unpacked where it is to be, if it is small enough for memory. */
  kept(): Uint8Array | undefined;
}

/** A source whose requests are signed, each for itself: no redirect of it is followed. */
export interface SignedSource {
  readonly secret: boolean;
  readonly check: BodyCheck;
  /** The header of a number that tells versions apart, in small letters; unset, a strong ETag does. */
  readonly versionHeader?: string;
  /** Where it is asked, which its credentials may tell. */
  urlOf(probe: Probe): Promise<URL | NotYet | Never>;
  send(request: HttpRequest, probe: Probe): Promise<HttpAnswer>;
  /** What an answer means that is not what was asked for. */
  faultOf(answer: HttpResponse): NotYet | Never;
}

/** Compares a body, however many parts it came in, with what the server keeps of it. */
export interface BodyCheck {
  start(headers: IncomingHttpHeaders): void;
  update(bytes: Uint8Array): void;
  /** What is wrong with the body, after its name. */
  wrong(): string | undefined;
  /** Whether the server keeps a sum of it that was compared. */
  readonly compares: boolean;
}

export const redirectHint =
  'name the address that it leads to, or allow it: --redirects for more of them, --cross-origin for other hosts (credentials are not sent there)';

/** Reads an http or https source by GET. */
export function httpReader(
  address: SourceAddress,
  settings: HttpSourceSettings,
  {
    client,
    redactor,
    earlier,
    sink,
    signed: signer,
  }: {
    readonly client: HttpClient;
    readonly redactor: Redactor;
    readonly earlier?: Earlier | undefined;
    readonly sink?: SourceSink | undefined;
    readonly signed?: SignedSource | undefined;
  },
): ReadSource {
  // Of a signed one it follows, with its credentials.
  const url = signer === undefined ? sourceUrl(address) : new URL('https://unknown');
  const authorization = signer === undefined ? ownAuthorization(address, settings) : undefined;
  const headers = {
    ...settings.headers,
    ...(authorization === undefined ? {} : { Authorization: authorization }),
  };
  const signed = signer === undefined && signingValues(address.path).length > 0;
  const identified =
    settings.identified || signed || authorization !== undefined || Object.keys(settings.headers).length > 0;
  const secret = signer?.secret ?? (address.public ? false : (settings.saidSecret ?? identified));
  const accept = settings.contentType ?? '*/*';
  const partial = new Partial(sink, signer);
  const request: HttpRequest = {
    method: 'GET',
    url,
    headers: { Accept: accept, ...headers },
    maxBody: settings.maxSize,
    maxBodyOrigin: sink?.limit ?? '--max-size',
    sink: sink && partial,
  };
  return async (probe) => {
    if (
      earlier !== undefined &&
      settings.sha256 !== undefined &&
      earlier.sum === settings.sha256 &&
      stands(earlier)
    ) {
      return found(address, earlier.body, secret, { reused: earlier.body === undefined });
    }
    let last = request;
    let known = earlier?.etag;
    const ask = async (): Promise<HttpAnswer> => {
      if (signer === undefined) return followed();
      const place = await signer.urlOf(probe);
      if (!(place instanceof URL)) return place;
      last = partial.goOn({ ...request, url: place });
      return signer.send(last, probe);
    };
    const followed = (): Promise<HttpAnswer> =>
      sendFollowing(client, request, probe, {
        most: settings.redirects,
        tooMany: `--redirects allows ${settings.redirects}`,
        crossOrigin: settings.crossOrigin,
        elsewhere: () => ({ Accept: accept }),
        atAddress(at) {
          last = partial.goOn(unlessMatching(at, known));
          return last;
        },
        identified: settings.identified,
        hint: redirectHint,
      });
    let answer = await ask();
    if (
      answer.state === 'response' &&
      (isAboutAnother(answer, known, last) || (answer.status === 304 && !stands(earlier)))
    ) {
      // A cache that mixes answers up says nothing of what is here (RFC 9111, 4.3.4), and no answer does of what is not
      // there any more: asked for without a condition.
      known = undefined;
      answer = await ask();
    }
    if (answer.state !== 'response') return answer;
    // Another version has come meanwhile (RFC 9110, 13.1.1).
    if (signer !== undefined && partial.isAsked && answer.status === 412) {
      partial.forget();
      return notYet('has changed while it came; once more, from the start');
    }
    if (partial.isAsked && answer.resumed !== true && (answer.status === 206 || answer.status === 416)) {
      partial.forget();
      return notYet(`answered ${answer.status}, and not with the rest of the body`);
    }
    const unchanged = earlier !== undefined && answer.status === 304 && ifNoneMatch in last.headers;
    const fault = unchanged
      ? undefined
      : ((signer !== undefined && answer.status !== 200 && answer.resumed !== true
          ? signer.faultOf(answer)
          : undefined) ??
        statusFault(answer, identified) ??
        (sink?.anyEncoding === true || settings.decompress || signer !== undefined
          ? undefined
          : encodingFault(answer, settings, url, redactor)) ??
        typeFault(answer, settings, url, redactor));
    if (fault !== undefined) return fault;
    if (signer !== undefined && sink === undefined) {
      signer.check.start(answer.headers);
      signer.check.update(answer.body);
    }
    const damaged = signer?.check.wrong();
    if (damaged !== undefined) {
      partial.forget();
      return notYet(damaged);
    }
    if (signer !== undefined && !signer.check.compares && !unchanged && !hasKnownEnd(answer.headers)) {
      partial.forget();
      return notYet(
        'ended with its connection, and has no length or sum by which it would be known for whole',
      );
    }
    const wrong = sumFault(unchanged ? earlier : (sink ?? answer.body), settings.sha256);
    if (wrong !== undefined) {
      if (answer.resumed !== true) return wrong;
      // Its parts may be of two versions under one ETag: once more, from the start.
      partial.forget();
      return notYet(wrong.reason);
    }
    const body = unchanged ? earlier.body : await bodyOf(answer, settings, sink, probe.signal);
    if (body !== undefined && 'state' in body) {
      if (answer.resumed !== true) return body;
      partial.forget();
      return notYet(body.reason);
    }
    // What is too large for memory is not shown either.
    const isShown = secret && (sink === undefined || sink.kept() !== undefined);
    if (isShown && body !== undefined) registerContent(redactor, { kind: 'value', value: body });
    const modified = answer.headers['last-modified'];
    // A 304 is about what was asked for (RFC 9110, 15.4.5): what stays is what that ETag came with, whatever it says now.
    const etag = unchanged ? earlier.etag?.value : plainEtag(answer.headers);
    const fetched = found(address, body, secret, {
      ...(modified === undefined ? {} : { time: modified }),
      ...(etag === undefined ? {} : { etag, etagOf: addressSum(last.url) }),
      reused: unchanged && body === undefined,
    });
    if (isShown && fetched.state === 'fetched') registerContent(redactor, fetched.fetched.content);
    return fetched;
  };
}

/** Whether what an earlier run got can stay, as far as it is known. */
function stands(earlier: Earlier | undefined): boolean {
  return earlier?.stands?.() !== false;
}

/** Characters of an ETag that is taken; those of servers have some dozens. */
const longestEtag = 512;

/** The ETag by RFC 9110, 8.8.3, also without its quotes; one that is longer, or has blanks or controls in it, is none, and so is `*`, which stands for all of them (13.1.2). */
function plainEtag({ etag = '' }: IncomingHttpHeaders): string | undefined {
  return etag !== '*' &&
    etag.length <= longestEtag &&
    /^(?:W\/)?"?[!#-~\u0080-\u00ff]+"?$|^(?:W\/)?""$/.test(etag)
    ? etag
    : undefined;
}

/** Whether an answer says where its body ends (RFC 9112, 6.3); else it ends where the connection does, whatever is missing. */
function hasKnownEnd(headers: IncomingHttpHeaders): boolean {
  return headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined;
}

const ifNoneMatch = 'If-None-Match';

/** Asks for the body unless it is the one that an earlier run got from this very address. */
function unlessMatching(request: HttpRequest, etag: Earlier['etag']): HttpRequest {
  if (etag === undefined || etag.value === '*' || etag.of !== addressSum(request.url)) return request;
  return { ...request, headers: { ...request.headers, [ifNoneMatch]: etag.value } };
}

/** Whether an answer 304 names another version than the one that was asked for (RFC 9110, 15.4.5); weak or strong is one. */
function isAboutAnother(answer: HttpResponse, asked: Earlier['etag'], { headers }: HttpRequest): boolean {
  if (answer.status !== 304 || asked === undefined || !(ifNoneMatch in headers)) return false;
  const said = plainEtag(answer.headers);
  return said !== undefined && withoutWeakness(said) !== withoutWeakness(asked.value);
}

function withoutWeakness(etag: string): string {
  return etag.replace(/^W\//, '');
}

/** Tells addresses apart without saying them: they may be signed. */
function addressSum({ href }: URL): string {
  return createHash('sha256').update(href).digest('hex');
}

/** What is written: the body, or what it unpacks to. Undefined where the sink has it, and it is too large for memory. */
async function bodyOf(
  { body }: HttpResponse,
  { decompress, maxSize }: HttpSourceSettings,
  sink: SourceSink | undefined,
  signal: AbortSignal,
): Promise<Uint8Array | Never | NotYet | undefined> {
  try {
    await sink?.finish?.();
    if (sink !== undefined) return sink.kept() ?? Buffer.alloc(0);
    return decompress ? await decompressed(body, { bytes: maxSize, origin: '--max-size' }, signal) : body;
  } catch (error) {
    if (signal.aborted) return notYet('not unpacked yet');
    return error instanceof NotDecompressed ? notDecompressed(error) : notStored(error);
  }
}

/** A body that may come in several parts, where connections end inside it. */
class Partial implements BodySink {
  readonly #sink: SourceSink | undefined;
  readonly #check: BodyCheck | undefined;
  readonly #versionHeader: string | undefined;
  /** Of the body that has begun: an ETag is strong, so that its bytes are the same (RFC 9110, 8.8.1). */
  #etag: string | undefined;
  /** The address that it comes from, after redirects: an ETag tells the versions of one resource apart (RFC 9110, 8.8.3). */
  #from = '';
  /** Bytes of the whole, where they were announced. */
  #whole: number | undefined;
  #asked = false;

  constructor(sink: SourceSink | undefined, signer: SignedSource | undefined) {
    this.#sink = sink;
    this.#check = signer?.check;
    this.#versionHeader = signer?.versionHeader;
  }

  /** Whether the last request was for the rest of a body. */
  get isAsked(): boolean {
    return this.#asked;
  }

  /**
   * The same request for what is missing still, where the server can tell that it is the rest of the same. To any other
   * address, whoever sent it there, the request goes as it is.
   */
  goOn(request: HttpRequest): HttpRequest {
    const size = this.#sink?.size ?? 0;
    const etag = request.url.href === this.#from && size > 0 ? this.#etag : undefined;
    this.#asked = etag !== undefined;
    if (etag === undefined) return request;
    const headers = { ...request.headers, Range: `bytes=${size}-`, 'If-Range': etag };
    return {
      ...request,
      headers,
      resume: { at: size, of: etag, by: this.#versionHeader ?? 'etag', size: this.#whole },
    };
  }

  forget(): void {
    this.#etag = undefined;
  }

  start(headers: IncomingHttpHeaders, from: URL): void {
    this.#from = from.href;
    const { 'content-length': length } = headers;
    const etag = plainEtag(headers);
    this.#whole = length === undefined ? undefined : Number(length);
    this.#etag = etag?.startsWith('"') === true ? etag : undefined;
    if (this.#versionHeader !== undefined) {
      const version = String(headers[this.#versionHeader] ?? '');
      this.#etag = /^\d{1,20}$/.test(version) ? version : undefined;
    }
    this.#check?.start(headers);
    this.#sink?.start(headers, from);
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    this.#check?.update(chunk);
    return this.#sink?.write(chunk);
  }
}

function found(
  address: SourceAddress,
  body: Uint8Array | undefined,
  secret: boolean,
  {
    reused,
    etagOf,
    ...more
  }: Pick<Provenance, 'time' | 'etag'> & { readonly etagOf?: string; readonly reused: boolean },
): FetchAnswer {
  const content = pickFromBytes(body ?? Buffer.alloc(0), address.field);
  if ('state' in content) return content;
  const provenance = { source: address.text, ...more };
  return { state: 'fetched', fetched: { content, secret, provenance, etagOf, ...(reused && { reused }) } };
}

/**
 * 408, 425, 429 and 5xx pass; RFC 9110 (https://www.rfc-editor.org/rfc/rfc9110#section-15).
 * @param better what to do about a status, where the source knows better
 */
export function statusFault(
  { status, busy, resumed }: HttpResponse,
  identified: boolean,
  better: Readonly<Record<number, string>> = {},
): NotYet | Never | undefined {
  if (status === 200 || resumed === true) return undefined;
  if (status === 408 || status === 425 || status === 429 || status >= 500)
    return notYet(`answered ${status}`, { busy });
  const hints: Readonly<Record<number, string>> = {
    401: identified
      ? 'it rejected the credentials that were sent'
      : 'it wants credentials: --user-file, --netrc-file, --header-file, or --cert-file and --key-file',
    403: identified
      ? 'the credentials that were sent give no access to it'
      : 'it wants credentials: --user-file, --netrc-file, --header-file, or --cert-file and --key-file',
    404: 'nothing is there: look at the path of the URL',
    407: 'the proxy requires a user and password: set them in HTTP_PROXY',
    410: 'it was there once and is gone for good',
    ...better,
  };
  const fault = status === 404 || status === 410 ? nonexistent : never;
  return fault(exitStatus.refused, `answered ${status}`, hints[status]);
}

/** Characters of a header that are shown. */
const shownOfHeader = 100;

/** Names of files that are compressed themselves, which many servers announce as an encoding. */
const compressed = /\.(gz|tgz|bz2|xz|zst|br|Z)$/i;

/** Not codings: what object stores keep of an upload (its signature by chunks), and a character set in the wrong header. */
const uncoded: ReadonlySet<string> = new Set(['', 'identity', 'aws-chunked', 'utf-8', 'utf8']);

/** We asked for the file as it is; one that was compressed on its way would be written as no reader expects it. */
function encodingFault(
  response: HttpResponse,
  settings: HttpSourceSettings,
  url: URL,
  { redact }: Redactor,
): Never | undefined {
  const said = response.headers['content-encoding'] ?? '';
  if (said.split(',').every((coding) => uncoded.has(coding.trim().toLowerCase()))) return undefined;
  // A sum says which bytes are meant.
  if (settings.sha256 !== undefined || compressed.test(url.pathname)) return undefined;
  return never(
    exitStatus.refused,
    `answered with the Content-Encoding ${excerpt(said, shownOfHeader, redact)}, though none was requested`,
    'the server always compresses: turn that off for this file, unpack it with --decompress, or give the checksum of the expected bytes with --sha256',
  );
}

/** A login page in place of the file comes with status 200. */
function typeFault(
  response: HttpResponse,
  settings: HttpSourceSettings,
  url: URL,
  { redact }: Redactor,
): Never | undefined {
  const said = response.headers['content-type'] ?? '';
  const type = said.split(';')[0]?.trim().toLowerCase() ?? '';
  if (settings.contentType !== undefined) {
    if (type === settings.contentType.toLowerCase()) return undefined;
    return never(
      exitStatus.refused,
      `answered ${response.status} with ${type === '' ? 'no Content-Type' : excerpt(said, shownOfHeader, redact)}, not ${settings.contentType}`,
      'look at what the address serves, or at --content-type',
    );
  }
  const html = type === 'text/html' || type === 'application/xhtml+xml';
  if (!html || settings.htmlExpected || settings.sha256 !== undefined || /\.x?html?$/.test(url.pathname))
    return undefined;
  return never(
    exitStatus.refused,
    `answered ${response.status} with a web page`,
    'is it a login page or a proxy’s? if you want a page, add --content-type text/html',
  );
}

function sumFault(body: Uint8Array | SourceSink | Earlier, wanted: string | undefined): Never | undefined {
  if (wanted === undefined) return undefined;
  const sum =
    body instanceof Uint8Array
      ? createHash('sha256').update(body).digest('hex')
      : typeof body.sum === 'string'
        ? body.sum
        : body.sum();
  if (sum === wanted) return undefined;
  return never(
    exitStatus.refused,
    `has the SHA-256 ${sum}, not ${wanted}`,
    'it is not the expected file: was it replaced, or is the checksum of another version?',
  );
}
