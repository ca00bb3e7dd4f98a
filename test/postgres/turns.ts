// What a client says to PostgreSQL, cut into what the server answers at once, and the server's answers, cut into messages.
import { createConnection, createServer } from 'node:net';

/** What a client says up to the point where it waits for an answer. */
export type Turn = Buffer;

const requestCodes = new Set([80_877_103, 80_877_104, 80_877_102]);

/** Cuts a client's stream: a start-up packet or a request before it, a password, a simple query, a Sync, a goodbye. */
export function createTurns(): (bytes: Buffer) => Turn[] {
  let rest: Buffer = Buffer.alloc(0);
  let said: Buffer[] = [];
  let started = false;
  return (bytes) => {
    rest = Buffer.concat([rest, bytes]);
    const turns: Turn[] = [];
    for (;;) {
      const head = started ? 1 : 0;
      if (rest.length < head + 4) return turns;
      const length = head + rest.readUInt32BE(head);
      if (rest.length < length) return turns;
      const one = rest.subarray(0, length);
      rest = rest.subarray(length);
      said.push(one);
      if (!started) {
        started = !requestCodes.has(one.readUInt32BE(4));
      } else if (!'pQSX'.includes(String.fromCharCode(one[0] ?? 0))) continue;
      turns.push(Buffer.concat(said));
      said = [];
    }
  };
}

/** A server's answer, one buffer for each message; the one byte that answers the request for TLS stands alone. */
export function messagesOf(bytes: Buffer, toRequest: boolean): Buffer[] {
  if (toRequest) return [bytes];
  const messages: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = at + 5 <= bytes.length ? 1 + bytes.readUInt32BE(at + 1) : bytes.length - at;
    messages.push(bytes.subarray(at, at + length));
    at += length;
  }
  return messages;
}

/** The same question in another run: its statement without process ids, times, tokens, random names and values. */
export function questionOf(turn: Turn): string {
  let question = '';
  // A start-up packet has no letter before its length.
  if ((turn[0] ?? 0) < 0x20) return turn.length === 8 ? 'request' : 'startup';
  for (let at = 0; at + 5 <= turn.length; at += 1 + turn.readUInt32BE(at + 1)) {
    const type = String.fromCharCode(turn[at] ?? 0);
    const text = turn.toString('latin1', at + 5, at + 1 + turn.readUInt32BE(at + 1));
    question += type === 'Q' || type === 'P' ? `${type} ${text}` : type;
  }
  return question.replaceAll(/[0-9a-f]{8,}/g, 'H').replaceAll(/\d+/g, '0');
}

export interface Recorded {
  readonly question: string;
  /** Base64 of each message of the answer. */
  readonly answer: readonly string[];
}

export interface Recorder extends AsyncDisposable {
  readonly port: number;
  /** What was said so far, connection by connection. */
  readonly connections: readonly Recorded[][];
}

/** Stands between clients on 127.0.0.1 and a server's Unix socket, and writes down who says what. */
export async function startRecorder(path: string): Promise<Recorder> {
  const connections: Recorded[][] = [];
  const server = createServer((client) => {
    const recorded: Recorded[] = [];
    connections.push(recorded);
    const turns = createTurns();
    const upstream = createConnection(path);
    let question: Turn | undefined;
    let answer: Buffer[] = [];
    const finish = (): void => {
      if (question === undefined) return;
      const toRequest = question.length === 8;
      recorded.push({
        question: questionOf(question),
        answer: messagesOf(Buffer.concat(answer), toRequest).map((one) => one.toString('base64')),
      });
      question = undefined;
      answer = [];
    };
    client
      .on('error', () => upstream.destroy())
      .on('close', () => upstream.destroy())
      .on('data', (bytes: Buffer) => {
        for (const turn of turns(bytes)) {
          finish();
          question = turn;
        }
        upstream.write(bytes);
      });
    upstream
      .on('error', () => client.destroy())
      .on('close', () => {
        finish();
        client.end();
      })
      .on('data', (bytes: Buffer) => {
        answer.push(bytes);
        client.write(bytes);
      });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: address !== null && typeof address === 'object' ? address.port : 0,
    connections,
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
