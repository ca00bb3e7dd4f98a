import { createHmac, pbkdf2Sync } from 'node:crypto';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** The password of every role. */
export const password = 'password';

/** The types of columns, by pg_type.oid. */
const types = { boolean: 16, integer: 23, text: 25 } as const;

type Cell = readonly [name: string, type: keyof typeof types, text: string];

const int16 = (value: number): Buffer => Buffer.from([value >> 8, value & 0xff]);
const int32 = (value: number): Buffer =>
  Buffer.from([value >> 24, value >> 16, value >> 8, value].map((byte) => byte & 0xff));
const message = (type: string, ...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body]);
};
const text = (value: string): Buffer => Buffer.from(`${value}\0`);
const ready = message('Z', Buffer.from('I'));

/**
 * As much of a PostgreSQL server as a login with a password and questions of one row take
 * (https://www.postgresql.org/docs/current/protocol-message-formats.html): there is none where this runs.
 * @param rowFor what is answered to a question
 */
export async function startDatabase(
  rowFor: (question: string) => readonly Cell[],
): Promise<{ readonly port: number; readonly server: Server }> {
  const server = createServer((socket) => new Conversation(socket, rowFor));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { port: (server.address() as AddressInfo).port, server };
}

class Conversation {
  readonly #socket: Socket;
  readonly #rowFor: (question: string) => readonly Cell[];
  #heard = Buffer.alloc(0);
  #startedUp = false;
  /** The first messages of SCRAM (RFC 5802, 3), without the header of the client's. */
  #exchanged: readonly string[] = [];

  constructor(socket: Socket, rowFor: (question: string) => readonly Cell[]) {
    this.#socket = socket;
    this.#rowFor = rowFor;
    socket.on('error', () => {});
    socket.on('data', (bytes: Buffer) => {
      this.#heard = Buffer.concat([this.#heard, bytes]);
      this.#read();
    });
  }

  #read(): void {
    for (;;) {
      // What begins a connection has no type.
      const head = this.#startedUp ? 1 : 0;
      if (this.#heard.length < head + 4) return;
      const end = head + this.#heard.readUInt32BE(head);
      if (this.#heard.length < end) return;
      const type = this.#heard.toString('latin1', 0, head);
      const body = this.#heard.subarray(head + 4, end);
      this.#heard = this.#heard.subarray(end);
      if (this.#startedUp) this.#answer(type, body);
      else this.#begin(body);
    }
  }

  /** SSLRequest is code 80877103; anything else begins a session. */
  #begin(body: Buffer): void {
    if (body.readUInt32BE(0) === 80_877_103) {
      this.#socket.write('N');
      return;
    }
    this.#startedUp = true;
    this.#socket.write(message('R', int32(10), text('SCRAM-SHA-256'), Buffer.alloc(1)));
  }

  #answer(type: string, body: Buffer): void {
    if (type === 'X') this.#socket.end();
    else if (type === 'p') this.#logIn(body);
    else if (type === 'Q') {
      const row = this.#rowFor(body.toString('utf8', 0, body.length - 1));
      this.#socket.write(Buffer.concat([...this.#row(row), ready]));
    }
  }

  #logIn(body: Buffer): void {
    if (this.#exchanged.length === 0) {
      const sent = body.toString('latin1');
      const bare = sent.slice(sent.indexOf('n=,r=') < 0 ? sent.indexOf('n=') : sent.indexOf('n=,r='));
      const first = `r=${/r=([^,]+)/.exec(bare)?.[1]}server,s=${Buffer.from('salt').toString('base64')},i=4096`;
      this.#exchanged = [bare, first];
      this.#socket.write(message('R', int32(11), Buffer.from(first)));
      return;
    }
    const [without = ''] = body.toString('latin1').split(',p=');
    const salted = pbkdf2Sync(password, 'salt', 4096, 32, 'sha256');
    const key = createHmac('sha256', salted).update('Server Key').digest();
    const proof = createHmac('sha256', key)
      .update([...this.#exchanged, without].join(','))
      .digest('base64');
    this.#socket.write(
      Buffer.concat([
        message('R', int32(12), Buffer.from(`v=${proof}`)),
        message('R', int32(0)),
        ...Object.entries({ server_version: '18.0', client_encoding: 'UTF8', in_hot_standby: 'off' }).map(
          ([name, value]) => message('S', text(name), text(value)),
        ),
        message('K', int32(process.pid), int32(1)),
        ready,
      ]),
    );
  }

  #row(cells: readonly Cell[]): readonly Buffer[] {
    const columns = cells.map(([name, type]) =>
      Buffer.concat([text(name), int32(0), int16(0), int32(types[type]), int16(-1), int32(-1), int16(0)]),
    );
    const values = cells.map(([, , value]) =>
      Buffer.concat([int32(Buffer.byteLength(value)), Buffer.from(value)]),
    );
    return [
      message('T', int16(cells.length), ...columns),
      message('D', int16(cells.length), ...values),
      message('C', text('SELECT 1')),
    ];
  }
}
