// An authoritative DNS server for tests, over UDP and TCP, whose answers and faults can be changed while it runs.
import { createSocket } from 'node:dgram';
import { createServer, type Socket } from 'node:net';

import {
  decodeQuestion,
  encodeReply,
  type DnsCode,
  type DnsQuestion,
  type DnsRecord,
} from './dns-message.ts';

export type { DnsRecord } from './dns-message.ts';

export interface DnsAnswer {
  /** NOERROR unless given; NOERROR without records is "no data". */
  code?: DnsCode;
  records?: readonly DnsRecord[];
  /** No reply at all. */
  silent?: boolean;
  /** Over UDP an empty reply with the TC bit; over TCP the whole one. */
  truncated?: boolean;
  /** Milliseconds before the reply. */
  delay?: number;
  /** Bytes to send instead, for replies that no honest server sends. */
  raw?: (question: DnsQuestion, query: Buffer) => Buffer;
}

/** Short forms: addresses for A and AAAA, or what goes wrong. */
export type DnsAnswerLike =
  | DnsAnswer
  | readonly string[]
  | 'NODATA'
  | 'NXDOMAIN'
  | 'SERVFAIL'
  | 'REFUSED'
  | 'silence';

export interface SeenQuery {
  name: string;
  type: string;
  transport: 'udp' | 'tcp';
  /** performance.now() when it came. */
  at: number;
}

export interface DnsServer extends AsyncDisposable {
  readonly address: string;
  readonly port: number;
  /** `127.0.0.1:5353`, as dns.Resolver#setServers takes it. */
  readonly server: string;
  /**
   * Sets what is answered for a name and a type, or with `*` for all types of the name. A name that was never set is
   * NXDOMAIN; a type that was not set of a name that was is NODATA.
   */
  answer(name: string, type: string, answer: DnsAnswerLike): void;
  /** Answers for every name that was not set; NXDOMAIN unless told otherwise. */
  answerOthers(answer: DnsAnswerLike): void;
  /** Makes a name unknown again. */
  forget(name: string): void;
  /** Every query so far, in order. */
  readonly queries: readonly SeenQuery[];
  count(name: string, type?: string): number;
  stop(): Promise<void>;
}

const canonical = (name: string) => name.toLowerCase().replace(/\.$/, '');

function normalise(type: string, answer: DnsAnswerLike): DnsAnswer {
  if (typeof answer === 'string') {
    if (answer === 'silence') return { silent: true };
    return answer === 'NODATA' ? {} : { code: answer };
  }
  if (!Array.isArray(answer)) return answer as DnsAnswer;
  if (type !== 'A' && type !== 'AAAA') throw new Error(`a list of addresses is for A and AAAA, not ${type}`);
  return { records: (answer as readonly string[]).map((address) => ({ type, address })) };
}

/** Starts a server on a loopback address; port 0 takes a free one, the same for UDP and TCP. */
export async function startDnsServer({ address = '127.0.0.1', port = 0 } = {}): Promise<DnsServer> {
  const answers = new Map<string, Map<string, DnsAnswer>>();
  let others: DnsAnswer = { code: 'NXDOMAIN' };
  const queries: SeenQuery[] = [];
  const timers = new Set<NodeJS.Timeout>();

  function find(name: string, type: string): DnsAnswer {
    const ofName = answers.get(canonical(name));
    if (ofName === undefined) return others;
    const own = ofName.get(type) ?? ofName.get('*');
    if (own !== undefined) return own;
    return ofName.get('CNAME') ?? {};
  }

  /** As servers do: what a CNAME leads to goes into the same reply, when it is known here. */
  function withTargets(answer: DnsAnswer, type: string): DnsRecord[] {
    const records = [...(answer.records ?? [])];
    const seen = new Set<string>();
    for (let last = records.at(-1); last?.type === 'CNAME' && type !== 'CNAME'; last = records.at(-1)) {
      const target = canonical(last.target);
      if (seen.has(target) || !answers.has(target)) break;
      seen.add(target);
      const next = find(target, type).records ?? [];
      if (next.length === 0) break;
      records.push(...next.map((record) => ({ ...record, name: record.name ?? target })));
    }
    return records;
  }

  function reply(query: Buffer, transport: 'udp' | 'tcp', send: (bytes: Buffer) => void): void {
    let question: DnsQuestion;
    try {
      question = decodeQuestion(query);
    } catch {
      return;
    }
    queries.push({ name: question.name, type: question.type, transport, at: performance.now() });
    const answer = find(question.name, question.type);
    if (answer.silent === true) return;
    const truncated = answer.truncated === true && transport === 'udp';
    const bytes =
      answer.raw?.(question, query) ??
      encodeReply(
        question,
        answer.code ?? 'NOERROR',
        truncated ? [] : withTargets(answer, question.type),
        truncated,
      );
    if (answer.delay === undefined) {
      send(bytes);
      return;
    }
    const timer = setTimeout(() => {
      timers.delete(timer);
      send(bytes);
    }, answer.delay);
    timers.add(timer);
  }

  const sockets = new Set<Socket>();
  function serveTcp(socket: Socket): void {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    let received = Buffer.alloc(0);
    socket.on('data', (part: Buffer) => {
      received = Buffer.concat([received, part]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const end = 2 + received.readUInt16BE(0);
        const query = received.subarray(2, end);
        received = received.subarray(end);
        reply(query, 'tcp', (bytes) => {
          if (socket.destroyed) return;
          const length = Buffer.alloc(2);
          length.writeUInt16BE(bytes.length);
          socket.write(Buffer.concat([length, bytes]));
        });
      }
    });
  }

  const { udp, tcp, bound } = await bindBoth(address, port);
  tcp.on('connection', serveTcp);
  let open = true;
  udp.on('error', () => undefined);
  udp.on('message', (query, from) => {
    reply(query, 'udp', (bytes) => {
      if (open) udp.send(bytes, from.port, from.address);
    });
  });

  const stop = async () => {
    if (!open) return;
    open = false;
    for (const timer of timers) clearTimeout(timer);
    for (const socket of sockets) socket.destroy();
    await Promise.all([
      new Promise<void>((resolve) => udp.close(() => resolve())),
      new Promise<void>((resolve) => tcp.close(() => resolve())),
    ]);
  };

  return {
    address,
    port: bound,
    server: address.includes(':') ? `[${address}]:${bound}` : `${address}:${bound}`,
    answer(name, type, answer) {
      const key = canonical(name);
      const ofName = answers.get(key) ?? new Map<string, DnsAnswer>();
      ofName.set(type, normalise(type, answer));
      answers.set(key, ofName);
    },
    answerOthers(answer) {
      others = normalise('*', answer);
    },
    forget(name) {
      answers.delete(canonical(name));
    },
    queries,
    count: (name, type) =>
      queries.filter(
        (seen) => canonical(seen.name) === canonical(name) && (type === undefined || seen.type === type),
      ).length,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

async function bindBoth(address: string, wanted: number) {
  for (let attempt = 1; ; attempt += 1) {
    const tcp = createServer();
    await new Promise<void>((resolve, reject) => {
      tcp.once('error', reject);
      tcp.listen({ host: address, port: wanted }, resolve);
    });
    const { port: bound } = tcp.address() as { port: number };
    const udp = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    try {
      await new Promise<void>((resolve, reject) => {
        udp.once('error', reject);
        udp.bind(bound, address, resolve);
      });
      return { udp, tcp, bound };
    } catch (error) {
      // The free TCP port may be taken for UDP.
      udp.close();
      await new Promise<void>((resolve) => tcp.close(() => resolve()));
      if (wanted !== 0 || attempt === 20) throw error;
    }
  }
}
