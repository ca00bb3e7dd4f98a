// The client itself against a server of random and mutated answers: `node fuzz.ts SEED COUNT FOLDER`.
/* oxlint-disable unicorn/no-process-exit -- it is a program, which connections that hang would keep alive */
// Says how far it got on each line, so that who started it sees a freeze; ends with 1 at the first wrong end of a case.
import { connectPostgres } from '../../../../src/clients/postgres/connect.ts';
import { readConnection } from '../../../../src/clients/postgres/connection-string.ts';
import { createRedactor } from '../../../../src/core/redaction/redactor.ts';
import { systemClock } from '../../../../src/process/system-clock.ts';
import { seeded, type Random } from '../../../chaos/random.ts';
import { authentication, complete, fatal, one, oneExtended, ready, welcome } from './messages.ts';
import { greetings, mutateTurn } from './mutate.ts';
import { startHostile } from './server.ts';

const [, , seedText = '1', countText = '1000', folder = '/tmp'] = process.argv;
const first = Number(seedText);
const count = Number(countText);
/** Milliseconds for one case. */
const limit = 1_000;
/** Milliseconds of this process's own work beyond it: then the event loop stood still. A busy machine is no freeze. */
const slack = 1_500;

/** A case whose answer never becomes whole is cut by the server mostly, by the limit where it holds the client up. */
const impatient = { patience: 40 };

/** A conversation: what is said to the startup packet, to a password, to each of three queries. */
function conversation(random: Random): Buffer[][] {
  const login = random.pick([
    [welcome],
    [[authentication(3)], welcome],
    [[authentication(5, 'salt')], welcome],
    [
      [authentication(10, 'SCRAM-SHA-256\0\0')],
      [authentication(11, 'r=abc,s=c2FsdA==,i=4096')],
      [authentication(12, 'v=c2FsdA=='), ...welcome],
    ],
  ]) as readonly (readonly Buffer[])[];
  return [...login, one, oneExtended, [one[0], one[1], one[1], complete, ready] as Buffer[]].map((said) => [
    ...said,
  ]);
}

const problems: string[] = [];
process.on('uncaughtException', (error) => problems.push(`uncaught: ${error.stack}`));
process.on('unhandledRejection', (error) => problems.push(`unhandled: ${(error as Error).stack}`));

/** The scripts of cases that run now, by the name of the database. */
interface Script {
  readonly turns: Buffer[][];
  readonly random: Random;
}
const scripts = new Map<string, Script>();

function answerer(): (turn: number, said: Buffer) => readonly Buffer[] | undefined {
  let script: Script | undefined;
  let at = 0;
  return (_turn, said) => {
    const name = /database\0(case\d+)\0/.exec(said.toString('latin1'))?.[1];
    if (name !== undefined) script = scripts.get(name);
    if (script === undefined) return undefined;
    const words = script.turns[at++];
    if (words === undefined) return undefined;
    const nonce = /,r=([^,]+)$/.exec(said.toString('latin1'))?.[1];
    const whole = withNonce(Buffer.concat(words), nonce);
    if (script.random.next() < 0.6 || whole.length > 5000) return [whole];
    // In pieces of their own.
    const cut = Math.floor(script.random.between(0, whole.length));
    return [whole.subarray(0, cut), whole.subarray(cut)];
  };
}

/** SCRAM goes on only with the client's own nonce. */
function withNonce(bytes: Buffer, nonce: string | undefined): Buffer {
  const at = nonce === undefined ? -1 : bytes.indexOf('r=abc,');
  if (nonce === undefined || at < 9) return bytes;
  const longer = Buffer.concat([bytes.subarray(0, at + 2), Buffer.from(nonce), bytes.subarray(at + 2)]);
  const length = longer.readUInt32BE(at - 8) + nonce.length;
  if (length < 2 ** 32) longer.writeUInt32BE(length, at - 8);
  return longer;
}

/** What is said to the request for TLS: mostly N, with which the rest goes on. */
function answerToTls(random: Random): Buffer {
  const noise = Buffer.from(Array.from({ length: 1 + random.between(0, 20) }, () => random.between(0, 256)));
  return random.pick([
    Buffer.from('N'),
    Buffer.from('N'),
    Buffer.from('N'),
    Buffer.from('S'),
    Buffer.from('Nmore'),
    Buffer.concat([Buffer.from('S'), noise]),
    Buffer.concat([Buffer.from('E'), noise]),
    fatal,
    noise,
    Buffer.from(random.pick(greetings) as string, 'latin1'),
  ]) as Buffer;
}

/** Words of a mistake of ours, not of a server's. */
const ours =
  /undefined|null|cannot read|not a function|out of range|not iterable|unexpected token|received invalid|maximum call|argument must|is not defined|\bSASL:|Received unexpected|not queryable|terminated unexpectedly/i;

async function run(number: number): Promise<void> {
  const random = seeded(number);
  const turns = conversation(random);
  const mutations = Math.floor(random.between(1, 4));
  for (let index = 0; index < mutations; index++) mutateTurn(random.pick(turns) as Buffer[], random);
  const name = `case${number}`;
  const script = { turns, random };
  scripts.set(name, script);
  const tls = answerToTls(random);
  await using remote =
    number % 8 === 0
      ? await startHostile(() => {
          const answer = answerer();
          return (turn, said) =>
            said.length === 8 && said.readInt32BE(4) === 80_877_103 ? tls : answer(turn, said);
        }, impatient)
      : undefined;
  const url = remote === undefined ? localUrl : remote.url.replace(/app$/, 'DATABASE');
  const redactor = createRedactor();
  const settings = readConnection(
    { url: redactor.secret(url.replace('DATABASE', name)), origin: 'DATABASE_URL' },
    {},
    redactor,
  );
  const begun = performance.now();
  const worked = process.cpuUsage();
  const end = new AbortController();
  const timer = setTimeout(() => end.abort(new Error('the limit of the case')), limit);
  let told = '';
  try {
    const answer = await connectPostgres(
      settings,
      { resolve: async () => ({ state: 'found', addresses: ['127.0.0.1'] }), clock: systemClock, redactor },
      { signal: end.signal, phase() {} },
      async (session, signal) => {
        session.onNotice(() => {});
        session.onNotification(() => {});
        await session.query('SELECT 1', undefined, { signal });
        await session.query('SELECT 1', [1], { signal });
        const { rows } = await session.query('SELECT 1', undefined, { signal, discard: true });
        if (rows.length > 0) problems.push('rows that were to be thrown away');
        return undefined;
      },
    );
    told = answer.state === 'connected' ? 'connected' : answer.reason;
    if (answer.state === 'connected') answer.session.destroy();
  } catch (error) {
    problems.push(`thrown: ${(error as Error).stack}`);
  }
  clearTimeout(timer);
  scripts.delete(name);
  const took = performance.now() - begun;
  const { user, system } = process.cpuUsage(worked);
  if (took > limit + slack && (user + system) / 1000 > slack) problems.push(`it took ${Math.round(took)} ms`);
  if (ours.test(told)) problems.push(`its reason is of the driver: ${told}`);
  const key = told
    .replaceAll(/case\d+/g, 'case')
    .replaceAll(/\d+/g, '0')
    .replaceAll(/"[^"]*"/g, '"…"');
  seen.set(key, (seen.get(key) ?? 0) + 1);
  if (problems.length > 0) {
    console.log(`case ${number}: ${problems.join('\n')}`);
    process.exit(1);
  }
}

const seen = new Map<string, number>();
await using local = await startHostile(answerer, {
  path: `${folder}/.s.PGSQL.5432`,
  ...impatient,
});
const localUrl = `postgres://app:x@/DATABASE?host=${encodeURIComponent(folder)}`;
let next = first;
await Promise.all(
  Array.from({ length: 16 }, async () => {
    for (let number = next++; number < first + count; number = next++) {
      if (number % 200 === 0) console.log(`at ${number}`);
      await run(number);
    }
  }),
);
// Whatever comes late has its chance.
await new Promise((resolve) => setTimeout(resolve, 100));
if (problems.length > 0) {
  console.log(`afterwards: ${problems.join('\n')}`);
  process.exit(1);
}
console.log(`done ${count} from ${first}; ${local.count} connections by the socket`);
if (process.env['INITBOX_FUZZ_SHOW'])
  for (const [reason, times] of [...seen].toSorted((a, b) => b[1] - a[1])) console.log(`${times}\t${reason}`);
process.exit(0);
