import { createHash } from 'node:crypto';

import { exitStatus } from '../../core/exit-status.ts';
import type { Secret } from '../../core/redaction/redactor.ts';
import { never, type Never, type NotYet } from '../../wait/attempt.ts';
import type { ServerConversation } from '../connection/conversation.ts';
import { scramClient } from '../connection/scram.ts';
import { withoutSent } from '../connection/sent-proofs.ts';
import { NotMongodb, type BsonDocument } from './bson.ts';
import { judgeMongodbError, mongodbErrorIn } from './server-errors.ts';
import { askMongodb } from './wire.ts';

export const mongodbMechanisms = ['SCRAM-SHA-1', 'SCRAM-SHA-256'] as const;

export interface MongodbLogin {
  readonly user: string;
  readonly password: Secret;
  /** The database that the user was made in. */
  readonly source: string;
  /** Unset, the strongest that the server has for the user. */
  readonly mechanism: (typeof mongodbMechanisms)[number] | undefined;
}

/** How often a server may go on before a login is done. */
const mostSteps = 3;

/**
 * Logs in (https://github.com/mongodb/specifications/blob/master/source/auth/auth.md).
 * @param offered what the server said that it has for the user; nothing of one before 4.0
 * @returns why not; undefined where it is done
 */
export async function logInToMongodb(
  conversation: ServerConversation,
  { user, password, source, mechanism: wanted }: MongodbLogin,
  offered: readonly string[],
  redact: (text: string) => string,
): Promise<NotYet | Never | undefined> {
  const { peer } = conversation;
  const mechanism = wanted ?? (offered.includes('SCRAM-SHA-256') ? 'SCRAM-SHA-256' : 'SCRAM-SHA-1');
  const scram =
    mechanism === 'SCRAM-SHA-256'
      ? scramClient('sha256', user, password.reveal())
      : scramClient('sha1', user, md5(`${user}:mongo:${password.reveal()}`));
  const clean = (text: string): string => redact(withoutSent(scram.sent, text));
  const start = await askMongodb(conversation, source, {
    saslStart: 1,
    mechanism,
    payload: Buffer.from(scram.first),
    options: { skipEmptyExchange: true },
  });
  let error = mongodbErrorIn(start);
  if (error !== undefined) return judgeMongodbError(error, peer, clean);
  const proof = await scram.answer(payloadOf(start));
  if (proof === undefined) throw new NotMongodb();
  const proceed = (payload: string): Promise<BsonDocument> =>
    askMongodb(conversation, source, {
      saslContinue: 1,
      conversationId: Number(start.get('conversationId') ?? 1) | 0,
      payload: Buffer.from(payload),
    });
  let answer = await proceed(proof);
  error = mongodbErrorIn(answer);
  if (error !== undefined) return judgeMongodbError(error, peer, clean);
  if (!scram.verify(payloadOf(answer)))
    return never(
      exitStatus.refused,
      `does not know the password itself (${peer})`,
      'whoever answers there may only pretend to be the server',
    );
  // Servers before 4.4 want an empty message more.
  for (let step = 0; answer.get('done') !== true; step += 1) {
    if (step === mostSteps) throw new NotMongodb();
    answer = await proceed('');
    error = mongodbErrorIn(answer);
    if (error !== undefined) return judgeMongodbError(error, peer, clean);
  }
  return undefined;
}

function payloadOf(answer: BsonDocument): string {
  const payload = answer.get('payload');
  if (!Buffer.isBuffer(payload)) throw new NotMongodb();
  return payload.toString();
}

/** The digest that stands for the password of SCRAM-SHA-1, as the server keeps it. */
function md5(text: string): string {
  return createHash('md5').update(text).digest('hex');
}
