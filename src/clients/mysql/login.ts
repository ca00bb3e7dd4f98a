import type { Secret } from '../../core/redaction/redactor.ts';
import type { ServerConversation } from '../connection/conversation.ts';
import { withoutSent } from '../connection/sent-proofs.ts';
import {
  mysqlCapability,
  mysqlErrorIn,
  MysqlFields,
  mysqlPacket,
  NotMysql,
  takeMysqlPacket,
  type MysqlError,
  type MysqlGreeting,
} from './packet.ts';
import { encryptedPassword, mysqlScramble, openPlugins } from './scramble.ts';

/** Who logs in, and where to. */
export interface MysqlLogin {
  readonly user: string;
  readonly password: Secret | undefined;
  readonly database: string | undefined;
  /** Whether a password may be encrypted by a key that whoever answers sends. */
  readonly fetchKey: boolean;
}

/** How much of TLS there is: a password itself goes only through it. */
export type MysqlTls = 'none' | 'unverified' | 'verified';

/** Why nobody can log in so; waiting does not change it. */
export class CannotLogIn extends Error {
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** utf8mb4_general_ci. */
const charset = 45;

/** How many times a server may ask for something during one login. */
const mostQuestions = 8;

/** The beginning of a client's answer, which is also the request for TLS. */
export function mysqlClientHead(greeting: MysqlGreeting, tls: boolean, database: boolean): Buffer {
  const { longPassword, protocol41, transactions, secureConnection, pluginAuth } = mysqlCapability;
  const head = Buffer.alloc(32);
  const wanted =
    longPassword |
    protocol41 |
    transactions |
    secureConnection |
    (greeting.capabilities & pluginAuth) |
    (tls ? mysqlCapability.tls : 0) |
    (database ? mysqlCapability.connectWithDatabase : 0);
  head.writeUInt32LE(wanted, 0);
  // The longest packet that is taken.
  head.writeUInt32LE(1 << 20, 4);
  head.writeUInt8(charset, 8);
  return head;
}

/**
 * Logs in.
 * @param sequence of the packet that is sent next
 * @returns the server's refusal, if it refuses
 * @throws NotMysql, CannotLogIn, and what a conversation throws
 */
export async function logInToMysql(
  conversation: ServerConversation,
  greeting: MysqlGreeting,
  { user, password, database, fetchKey }: MysqlLogin,
  tls: MysqlTls,
  sequence: number,
): Promise<MysqlError | undefined> {
  const words = password?.reveal() ?? '';
  let { plugin, challenge } = greeting;
  const sent: Uint8Array[] = [];
  const first = mysqlScramble(plugin, words, challenge);
  // A plugin that is only the server's usual one need not be that of the account: the server says so after this.
  if (first === undefined) plugin = 'mysql_native_password';
  const answer = first ?? mysqlScramble(plugin, words, challenge) ?? Buffer.alloc(0);
  if (answer.length > 0) sent.push(answer);
  conversation.write(
    mysqlPacket(
      sequence,
      Buffer.concat([
        mysqlClientHead(greeting, tls !== 'none', database !== undefined),
        Buffer.from(`${user}\0`),
        Buffer.from([answer.length]),
        answer,
        Buffer.from(database === undefined ? '' : `${database}\0`),
        Buffer.from(greeting.capabilities & mysqlCapability.pluginAuth ? `${plugin}\0` : ''),
      ]),
    ),
  );
  for (let question = 0; question < mostQuestions; question += 1) {
    const packet = await conversation.read(takeMysqlPacket);
    const { payload } = packet;
    const reply = (bytes: Uint8Array): void => {
      if (bytes.length > 1) sent.push(bytes);
      conversation.write(mysqlPacket(packet.sequence + 1, bytes));
    };
    const error = mysqlErrorIn(payload);
    if (error !== undefined) return { ...error, message: withoutSent(sent, error.message) };
    if (payload[0] === 0) return undefined;
    if (payload[0] === 0xfe) {
      const fields = new MysqlFields(payload, 1);
      plugin = fields.left > 0 ? fields.text() : 'mysql_old_password';
      challenge = Buffer.from(fields.bytes(fields.left));
      reply(answerTo(plugin, words, challenge, tls));
    } else if (payload[0] === 1 && plugin === 'caching_sha2_password') {
      // https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html
      if (payload[1] === 3) continue;
      if (payload[1] === 4) {
        if (tls !== 'none') reply(Buffer.from(`${words}\0`));
        else if (fetchKey) reply(Buffer.from([2]));
        else
          throw new CannotLogIn(
            `the account ${JSON.stringify(user)} logs in by caching_sha2_password, which needs TLS or the server’s key`,
            'ssl-mode=required, or get-server-public-key where the network may be trusted',
          );
      } else if (fetchKey && tls === 'none') {
        let encrypted: Buffer;
        try {
          encrypted = encryptedPassword(words, challenge, payload.toString('latin1', 1));
        } catch {
          throw new NotMysql();
        }
        reply(encrypted);
      } else throw new NotMysql();
    } else throw new NotMysql();
  }
  throw new NotMysql();
}

function answerTo(plugin: string, password: string, challenge: Buffer, tls: MysqlTls): Buffer {
  const answer = mysqlScramble(plugin, password, challenge);
  if (answer !== undefined) return answer;
  const shown = /^\w{1,40}$/.test(plugin) ? plugin : 'a plugin';
  if (!openPlugins.has(plugin))
    throw new CannotLogIn(
      `the account logs in by ${shown}, which is not supported`,
      'this program knows mysql_native_password, caching_sha2_password, ed25519 and, with verified TLS, passwords as they are',
    );
  if (tls !== 'verified')
    throw new CannotLogIn(
      `the account logs in by ${shown}, which sends the password as it is`,
      'that is done only for a server whose certificate was verified: ssl-mode=verify-identity with ca-file',
    );
  return Buffer.from(`${password}\0`);
}
