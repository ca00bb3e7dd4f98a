// Answers as servers send them, byte by byte, and what curl makes of each.

/** What a client makes of an answer: its status and body, or undefined where it reports an error. */
export type Verdict = { readonly status: number; readonly body: string } | undefined;

export interface RawAnswer {
  readonly name: string;
  /** In latin1, so that every byte can be written. */
  readonly bytes: string;
  /** curl's verdict. */
  readonly curl: Verdict;
  /** True where versions of curl differ. */
  readonly varies?: boolean;
  /** Ours, where it is another one, with the reason. */
  readonly ours?: { readonly verdict: Verdict; readonly why: string };
  /** The server leaves the connection open. */
  readonly stays?: boolean;
}

const ok = { status: 200, body: 'ok' } as const;
const refused = undefined;
const start = 'HTTP/1.1 200 OK\r\n';
const rest = 'Content-Length: 2\r\n\r\nok';
const chunked = 'Transfer-Encoding: chunked\r\n\r\n';
const header = (bytes: number): string => `X-A: ${'y'.repeat(bytes)}\r\n`;

/** [name, bytes, curl's verdict, more] */
type Row = readonly [string, string, Verdict, Omit<RawAnswer, 'name' | 'bytes' | 'curl'>?];

const rows: readonly Row[] = [
  // Heads
  [
    'a folded header (nginx add_header over two lines)',
    `${start}Content-Security-Policy: a;\r\n b\r\n${rest}`,
    ok,
  ],
  ['a header folded by a tab', `${start}Content-Security-Policy: a;\r\n\tb\r\n${rest}`, ok, { stays: true }],
  ['lines that end with LF (CGI scripts, netcat)', `${start}X: y\r\n${rest}`.replaceAll('\r\n', '\n'), ok],
  ['LF after the status line alone', `HTTP/1.1 200 OK\nX: y\r\n${rest}`, ok],
  ['LF in the empty line alone', `${start}Content-Length: 2\r\n\nok`, ok],
  ['a header of 20 KiB (a cookie, a token, a policy)', `${start}${header(20_000)}${rest}`, ok],
  ['60 headers of 1 KiB', `${start}${header(1000).repeat(60)}${rest}`, ok],
  ['290 KiB of headers', `${start}${header(1000).repeat(285)}${rest}`, ok],
  ['310 KiB of headers', `${start}${header(1000).repeat(310)}${rest}`, refused, { varies: true }],
  ['4,000 headers, the length behind them', `${start}${'X: y\r\n'.repeat(4000)}${rest}`, ok, { stays: true }],
  ['an empty value', `${start}X-Empty:\r\n${rest}`, ok],
  ['a value of blanks', `${start}X-Empty:   \r\n${rest}`, ok],
  ['a value in Latin-1', `${start}X: \xe9\xff\r\n${rest}`, ok],
  ['a value in UTF-8', `${start}X: \xc3\xa9\r\n${rest}`, ok],
  ['a control character in a value', `${start}X: a\x01b\x7f\r\n${rest}`, ok],
  ['a CR in a value', `${start}X: a\rb\r\n${rest}`, ok],
  ['a NUL in a value', `${start}X: a\0b\r\n${rest}`, refused],
  ['a blank before the colon', `${start}X-A : y\r\n${rest}`, ok],
  ['a blank in a name', `${start}X A: y\r\n${rest}`, ok],
  ['a name in UTF-8', `${start}X-\xc3\xa9: y\r\n${rest}`, ok],
  ['a name with brackets', `${start}X(a): y\r\nX/b: y\r\n${rest}`, ok],
  ['an empty name', `${start}: x\r\n${rest}`, ok, { varies: true }],
  ['a line without a colon', `${start}garbage\r\n${rest}`, refused],
  ['a first header that begins with a blank', `${start} X: y\r\n${rest}`, refused, { varies: true }],
  ['no header at all', `${start}\r\nok`, ok],
  ['fifty cookies', `${start}${'Set-Cookie: a=b\r\n'.repeat(50)}${rest}`, ok],
  // Status lines
  ['no reason', `HTTP/1.1 200 \r\n${rest}`, ok],
  ['no reason and no blank', `HTTP/1.1 200\r\n${rest}`, ok],
  ['two blanks before the status', `HTTP/1.1  200 OK\r\n${rest}`, ok],
  ['a reason in UTF-8', `HTTP/1.1 200 \xc3\xa9t\xe9\r\n${rest}`, ok],
  ['HTTP/2 in the status line', `HTTP/2 200 OK\r\n${rest}`, ok],
  ['HTTP/2.0 in the status line', `HTTP/2.0 200 OK\r\n${rest}`, ok],
  ['http in small letters', `http/1.1 200 OK\r\n${rest}`, ok, { varies: true }],
  ['HTTP/1.2', `HTTP/1.2 200 OK\r\n${rest}`, refused],
  ['HTTP/3', `HTTP/3 200\r\n${rest}`, refused, { varies: true }],
  ['a status of four digits', `HTTP/1.1 2000 OK\r\n${rest}`, refused],
  ['a status of two digits', `HTTP/1.1 99 OK\r\n${rest}`, refused],
  ['status 000', `HTTP/1.1 000 OK\r\n${rest}`, refused],
  ['status 600', `HTTP/1.1 600 Odd\r\n${rest}`, { status: 600, body: 'ok' }],
  ['status 999', `HTTP/1.1 999 Odd\r\n${rest}`, { status: 999, body: 'ok' }],
  ['a streaming server (ICY)', `ICY 200 OK\r\n\r\nok`, refused],
  ['HTTP/0.9', 'ok', refused, { varies: true }],
  ['SSH', 'SSH-2.0-OpenSSH_9.2\r\n', refused, { stays: true }],
  [
    'an empty line before it',
    `\r\n${start}${rest}`,
    refused,
    {
      ours: {
        verdict: ok,
        why: 'RFC 9112, 2.2: left over from the answer before on a connection that is kept',
      },
    },
  ],
  // Interim answers
  ['100 before it', `HTTP/1.1 100 Continue\r\n\r\n${start}${rest}`, ok, { stays: true }],
  ['102 before it', `HTTP/1.1 102 Processing\r\nX: y\r\n\r\n${start}${rest}`, ok],
  [
    '103 twice before it',
    `${'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n'.repeat(2)}${start}${rest}`,
    ok,
    { stays: true },
  ],
  [
    'more interim answers than a head may have bytes',
    `${`HTTP/1.1 103 Early Hints\r\nLink: ${'x'.repeat(3000)}\r\n\r\n`.repeat(110)}${start}${rest}`,
    refused,
    { varies: true },
  ],
  [
    '101 that nobody asked for',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n',
    refused,
  ],
  [
    'an offer to upgrade (Apache with h2)',
    `${start}Upgrade: h2,h2c\r\nConnection: Upgrade\r\n${rest}`,
    ok,
    { stays: true },
  ],
  // Lengths
  [
    'chunks beside a length',
    `${start}Content-Length: 2\r\n${chunked}2\r\nok\r\n0\r\n\r\n`,
    ok,
    { stays: true },
  ],
  ['chunks beside a wrong length', `${start}Content-Length: 99\r\n${chunked}2\r\nok\r\n0\r\n\r\n`, ok],
  ['the same length twice', `${start}Content-Length: 2\r\n${rest}`, ok, { stays: true }],
  ['the same length in a list', `${start}Content-Length: 2, 2\r\n\r\nok`, ok, { stays: true }],
  [
    'two lengths that differ',
    `${start}Content-Length: 1\r\n${rest}`,
    ok,
    {
      ours: {
        verdict: refused,
        why: 'RFC 9112, 6.3: it has two meanings, and curl takes either by its version',
      },
      varies: true,
    },
  ],
  ['a length with a unit', `${start}Content-Length: 2 bytes\r\n\r\nok`, ok, { varies: true }],
  ['a length with a sign', `${start}Content-Length: +2\r\n\r\nok`, ok, { varies: true }],
  ['a negative length', `${start}Content-Length: -2\r\n\r\nok`, refused],
  ['a length in words', `${start}Content-Length: two\r\n\r\nok`, refused],
  ['an empty length', `${start}Content-Length:\r\n\r\nok`, refused],
  ['a length beyond 2^53, of 2 bytes', `${start}Content-Length: 9100000000000000000\r\n\r\nok`, refused],
  ['a length beyond 2^64', `${start}Content-Length: 99999999999999999999999\r\n\r\nok`, ok],
  [
    'a folded length',
    `${start}Content-Length:\r\n 2\r\n\r\nok`,
    refused,
    {
      ours: { verdict: ok, why: 'RFC 9112, 5.2: a fold stands for a blank in every header alike' },
      varies: true,
    },
  ],
  ['more than the length', `${start}${rest}okok`, ok, { stays: true }],
  ['another answer behind the length', `${start}${rest}${start}${rest}`, ok, { stays: true }],
  [
    'another answer behind the last chunk',
    `${start}${chunked}2\r\nok\r\n0\r\n\r\n${start}${rest}`,
    ok,
    { stays: true },
  ],
  ['less than the length', `${start}Content-Length: 9\r\n\r\nok`, refused],
  ['no length', `${start}X: y\r\n\r\nok`, ok],
  ['HTTP/1.0 without length', 'HTTP/1.0 200 OK\r\n\r\nok', ok],
  [
    'HTTP/1.0 that keeps the connection',
    `HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n${rest}`,
    ok,
    { stays: true },
  ],
  ['HTTP/1.0 in chunks', `HTTP/1.0 200 OK\r\n${chunked}2\r\nok\r\n0\r\n\r\n`, ok],
  ['204 with a body', `HTTP/1.1 204 No Content\r\n${rest}`, { status: 204, body: '' }],
  [
    '304 with a length and no body',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\n',
    { status: 304, body: '' },
    { stays: true },
  ],
  [
    'an end behind the status line',
    'HTTP/1.1 200 OK\r\n',
    { status: 200, body: '' },
    { ours: { verdict: refused, why: 'nobody knows what would have followed' }, varies: true },
  ],
  [
    'an end inside the headers',
    `${start}X: y\r\n`,
    { status: 200, body: '' },
    { ours: { verdict: refused, why: 'nobody knows what would have followed' }, varies: true },
  ],
  // Chunks
  ['an extension of a chunk', `${start}${chunked}2;a=b;c="d"\r\nok\r\n0\r\n\r\n`, ok],
  ['blanks behind the size of a chunk', `${start}${chunked}2  \r\nok\r\n0\r\n\r\n`, ok],
  ['zeros before the size of a chunk', `${start}${chunked}00002\r\nok\r\n0\r\n\r\n`, ok],
  ['chunks that end with LF', `${start}${chunked}2\nok\n0\n\n`, ok, { stays: true }],
  ['Chunked with a capital', `${start}Transfer-Encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`, ok],
  ['blanks around chunked', `${start}Transfer-Encoding:  chunked \r\n\r\n2\r\nok\r\n0\r\n\r\n`, ok],
  [
    'chunked twice',
    `${start}Transfer-Encoding: chunked\r\n${chunked}2\r\nok\r\n0\r\n\r\n`,
    ok,
    { varies: true },
  ],
  ['trailers', `${start}${chunked}2\r\nok\r\n0\r\nX-T: y\r\nX-U:\r\n\r\n`, ok, { stays: true }],
  ['chunks without their end', `${start}${chunked}2\r\nok\r\n`, refused],
  ['chunks without the last line end', `${start}${chunked}2\r\nok\r\n0\r\n`, refused],
  ['a chunk whose size is not a number', `${start}${chunked}zz\r\nok\r\n0\r\n\r\n`, refused],
  ['a hexadecimal size as C has it', `${start}${chunked}0x2\r\nok\r\n0\r\n\r\n`, refused],
  ['a blank inside the size of a chunk', `${start}${chunked}0 2\r\nok\r\n0\r\n\r\n`, refused],
  ['a trailer without a colon', `${start}${chunked}2\r\nok\r\n0\r\nno trailer\r\n\r\n`, refused],
  ['a NUL in a trailer', `${start}${chunked}2\r\nok\r\n0\r\nX: a\0b\r\n\r\n`, refused],
  ['a chunk that is longer than its size', `${start}${chunked}2\r\nokok\r\n0\r\n\r\n`, refused],
  ['the coding identity', `${start}Transfer-Encoding: identity\r\n${rest}`, ok],
  ['a coding that nobody knows', `${start}Transfer-Encoding: foo\r\n\r\nok`, refused, { varies: true }],
  [
    'a coding that nobody asked for',
    `${start}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`,
    refused,
  ],
];

export const rawAnswers: readonly RawAnswer[] = rows.map(([name, bytes, curl, more]) => ({
  name,
  bytes,
  curl,
  ...more,
}));
