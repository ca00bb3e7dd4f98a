// A server that answers as a recorded one did, but for what a case makes wrong.
import { createServer, type Socket } from 'node:net';

import { seeded } from '../chaos/random.ts';
import { mutateAnswer, type Sent } from './mutations.ts';
import { createTurns, questionOf, type Recorded } from './turns.ts';

/** One command as it went with a real server. */
export interface Session {
  readonly name: string;
  readonly arguments: readonly string[];
  readonly connections: readonly (readonly Recorded[])[];
  readonly url: string;
  /** What the real one ended with. */
  readonly status: number;
}

export interface Replay extends AsyncDisposable {
  readonly port: number;
  /** Answers that were made wrong so far. */
  readonly wrong: number;
}

/** Milliseconds without a word of the client after which a connection is closed. */
const patience = 5_000;

/** What is made wrong in a case: which answers, in which connections. */
export interface Plan {
  readonly seed: number;
  /** Numbers of turns, counted over the case. */
  readonly turns: ReadonlySet<number>;
  /** In every connection, so that a second try meets the same. */
  readonly always: boolean;
}

/** Which answers of a session a case makes wrong. */
export function planOf(session: Session, seed: number): Plan {
  const random = seeded(seed);
  const longest = Math.max(...session.connections.map(({ length }) => length));
  const turns = new Set<number>();
  for (let left = random.next() < 0.75 ? 1 : 3; left > 0; left--)
    turns.add(Math.floor(random.between(0, longest)));
  return { seed, turns, always: random.next() < 0.6 };
}

/** @param onWrong is called for each answer that was made wrong */
export async function startReplay(
  session: Session,
  plan: Plan | undefined,
  onWrong = (): void => {},
): Promise<Replay> {
  /** Those of a connection with the same number, else of any: a second try asks on its second what the first one asked. */
  const byQuestion = new Map<string, (readonly string[])[]>();
  const inOrder: (readonly string[])[] = [];
  for (const [index, connection] of session.connections.entries()) {
    for (const { question, answer } of connection) {
      for (const key of [question, `${index} ${question}`]) {
        const known = byQuestion.get(key) ?? [];
        known.push(answer);
        byQuestion.set(key, known);
      }
      inOrder.push(answer);
    }
  }
  let connections = 0;
  const bytesOf = (answer: readonly string[]): Buffer[] => answer.map((text) => Buffer.from(text, 'base64'));
  const others = inOrder.map(bytesOf);
  const open = new Set<Socket>();
  const once = new Set<number>();
  let wrong = 0;
  const server = createServer((socket) => {
    open.add(socket);
    const index = connections++;
    const turns = createTurns();
    const used = new Map<string, number>();
    let number = -1;
    let tail = Promise.resolve();
    socket
      .on('error', () => {})
      .on('close', () => open.delete(socket))
      .setTimeout(patience, () => socket.destroy())
      .on('data', (bytes: Buffer) => {
        for (const turn of turns(bytes)) {
          number++;
          if (turn[0] === 0x58) return void socket.end();
          const question = questionOf(turn);
          const known = byQuestion.get(`${index} ${question}`) ?? byQuestion.get(question);
          const nth = used.get(question) ?? 0;
          used.set(question, nth + 1);
          const answer = known?.[Math.min(nth, known.length - 1)] ?? inOrder[number] ?? inOrder.at(-1) ?? [];
          const sent: Sent = { messages: bytesOf(answer), ends: false, delay: 0 };
          if (plan?.turns.has(number) && (plan.always || !once.has(number))) {
            once.add(number);
            wrong++;
            onWrong();
            mutateAnswer(sent, seeded(plan.seed * 131 + number), others);
          }
          tail = tail.then(async () => {
            if (sent.delay > 0) await new Promise((resolve) => setTimeout(resolve, sent.delay));
            if (sent.messages.length > 0) socket.write(Buffer.concat(sent.messages));
            if (sent.ends) socket.end();
          });
        }
        return undefined;
      });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    port: address !== null && typeof address === 'object' ? address.port : 5432,
    get wrong() {
      return wrong;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
