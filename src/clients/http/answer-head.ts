import type { ClientRequest } from 'node:http';

/** What is wrong with an answer, told by its bytes alone. Nothing of the server's own words is in it. */
export class AnswerFault extends Error {
  /**
   * `not-http` and `http2`: another protocol; `tls`: an encrypted port; `broken`: HTTP that has two meanings or none;
   * `cut`: the connection ended inside the headers.
   */
  readonly kind: 'not-http' | 'http2' | 'tls' | 'broken' | 'cut';

  constructor(kind: AnswerFault['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Where the body of an answer ends. */
export type Framing =
  | { readonly by: 'nothing' }
  | { readonly by: 'length'; readonly length: number }
  | { readonly by: 'chunks' }
  | { readonly by: 'close' }
  /** What follows is not HTTP: a tunnel. */
  | { readonly by: 'tunnel' };

/** An answer's head, read. */
export interface Head {
  readonly status: number;
  readonly framing: Framing;
  /** The same head as RFC 9112 wants it written, for Node's parser. */
  readonly bytes: Buffer;
}

/** Bytes of a head that are read, as curl does (its MAX_HTTP_RESP_HEADER_SIZE). */
export const mostHead = 300 * 1024;

/** Given with each request: Node's own limit counts names and values of the head that we hand it. */
export const headLimits = { maxHeaderSize: 2 * mostHead } as const;

/** Node leaves out what comes after 2,000 headers, and says nothing; the bytes are bounded as it is. */
export function takeAllHeaders(request: ClientRequest): void {
  request.maxHeadersCount = 0;
}

const statusLine = /^HTTP\/(1\.[01]|2(?:\.0)?)[ \t]+(\d{3})(?:[ \t]([^]*))?$/i;

/** RFC 9110, 5.6.2. */
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

interface Field {
  readonly name: string;
  readonly key: string;
  value: string;
}

/**
 * Reads a head as curl does: lines end with LF or CRLF, a line that begins with a blank goes on where the one before
 * ended, a reason may be missing, a name that is no token is left out. This is safe for a client that sends one request
 * at a time and hands answers on to nobody: an answer with liberties is the last one of its connection, and one whose
 * end has two meanings is refused.
 * @param text the head up to its empty line, in latin1
 * @param method of the request
 * @throws AnswerFault
 */
export function readHead(text: string, method: string): Head {
  const lines = text.split('\n').map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line));
  const [, version = '', code = '', reason = ''] = statusLine.exec(lines[0] ?? '') ?? [];
  const status = Number(code);
  if (status < 100) throw new AnswerFault('not-http', 'its first line is not a status line of HTTP');
  const fields = fieldsOf(lines.slice(1));
  const liberties = !/^HTTP\/1\.[01] \d{3} /.test(text) || /[^\r]\n|\n[ \t]/.test(text);
  const values = (key: string): string[] =>
    fields
      .filter((field) => field.key === key)
      .flatMap(({ value }) => value.split(','))
      .map((value) => value.trim().toLowerCase());
  const coded = codingsOf(values('transfer-encoding'));
  const length = coded ? undefined : lengthOf(fields);
  const framing = framingOf(status, method, coded, length);
  const connection = values('connection');
  const counts = fields.filter(({ key }) => key === 'content-length' || key === 'transfer-encoding');
  const ends =
    liberties ||
    counts.length > 1 ||
    framing.by === 'close' ||
    (version === '1.0' && !connection.includes('keep-alive'));
  const framed =
    coded && framing.by === 'chunks'
      ? ['Transfer-Encoding: chunked']
      : length === undefined || framing.by === 'tunnel'
        ? []
        : [`Content-Length: ${length}`];
  const written = [
    `HTTP/1.1 ${code} ${clean(reason)}`,
    // The first ones: Node reads no more than 2,000.
    ...framed,
    ...(ends && framing.by !== 'tunnel' ? ['Connection: close'] : []),
    ...fields
      .filter(({ key }) => key !== 'content-length' && key !== 'transfer-encoding' && token.test(key))
      .map(({ name, value }) => `${name}: ${value}`),
  ];
  return { status, framing, bytes: Buffer.from(`${written.join('\r\n')}\r\n\r\n`, 'latin1') };
}

function fieldsOf(lines: readonly string[]): Field[] {
  const fields: Field[] = [];
  for (const line of lines) {
    if (line === '') continue;
    if (line.includes('\0')) throw new AnswerFault('broken', 'a header has a NUL character in it');
    if (/^[ \t]/.test(line)) {
      const last = fields.at(-1);
      if (last === undefined)
        throw new AnswerFault('broken', 'the first header begins with a blank, as if it continued another');
      // RFC 9112, 5.2: each fold stands for a blank.
      last.value = `${last.value} ${clean(line)}`.trim();
      continue;
    }
    const colon = line.indexOf(':');
    if (colon < 0) throw new AnswerFault('broken', 'a header line has no colon');
    const name = line.slice(0, colon).trim();
    fields.push({ name, key: name.toLowerCase(), value: clean(line.slice(colon + 1)) });
  }
  return fields;
}

/** RFC 9110, 5.5: a control character is replaced by a blank. */
function clean(value: string): string {
  // oxlint-disable-next-line no-control-regex -- these are what it is about
  return value.replaceAll(/[\u0000-\u0008\u000a-\u001f\u007f]/g, ' ').trim();
}

/** Whether the body comes in chunks. @throws AnswerFault for a coding that nobody asked for */
function codingsOf(codings: readonly string[]): boolean {
  const named = codings.filter((coding) => coding !== '' && coding !== 'identity');
  if (named.some((coding) => coding !== 'chunked'))
    throw new AnswerFault('broken', 'its Transfer-Encoding is not chunked, and no other was requested');
  return named.length > 0;
}

/**
 * The length that all Content-Length headers agree on (RFC 9112, 6.3); undefined where there is none, or one beyond
 * 64 bits, for which curl reads until the end. What is beyond exact numbers is more than comes: it is cut off, or too long.
 * @throws AnswerFault
 */
function lengthOf(fields: readonly Field[]): number | undefined {
  const given = fields
    .filter(({ key }) => key === 'content-length')
    .flatMap(({ value }) => value.split(',').map((part) => part.trim()));
  if (given.length === 0) return undefined;
  const lengths = given.map((text) => /^\+?(\d+)(?=\s|;|$)/.exec(text)?.[1]);
  if (lengths.includes(undefined)) throw new AnswerFault('broken', 'its Content-Length is not a number');
  const [length = Number.NaN, ...others] = new Set(lengths.map(Number));
  if (others.length > 0) throw new AnswerFault('broken', 'it has several Content-Length headers that differ');
  return length < 2 ** 63 ? Math.min(length, Number.MAX_SAFE_INTEGER) : undefined;
}

function framingOf(status: number, method: string, coded: boolean, length: number | undefined): Framing {
  if (method === 'CONNECT' && status >= 200 && status < 300) return { by: 'tunnel' };
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return { by: 'nothing' };
  if (coded) return { by: 'chunks' };
  return length === undefined ? { by: 'close' } : { by: 'length', length };
}
