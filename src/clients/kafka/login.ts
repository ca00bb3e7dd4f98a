import { excerpt, flattened } from '../../core/excerpt.ts';
import { exitStatus } from '../../core/exit-status.ts';
import type { Secret } from '../../core/redaction/redactor.ts';
import { never, notYet, type Answer } from '../../wait/attempt.ts';
import type { ServerConversation } from '../connection/conversation.ts';
import { scramClient } from '../connection/scram.ts';
import { withoutSent } from '../connection/sent-proofs.ts';
import { askKafka, kafkaBytes, type KafkaFields, kafkaRequest, kafkaText, NotKafka } from './wire.ts';

export const saslMechanisms = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;

export interface KafkaLogin {
  readonly user: string;
  readonly password: Secret | undefined;
  readonly mechanism: (typeof saslMechanisms)[number];
}

/** Errors (https://kafka.apache.org/protocol#protocol_error_codes). */
const unsupportedMechanism = 33;
const illegalState = 34;

/** Logs in by SASL. @returns why not; undefined where it is done */
export async function logInToKafka(
  conversation: ServerConversation,
  { user, password, mechanism }: KafkaLogin,
  redact: (text: string) => string,
): Promise<Answer | undefined> {
  const { peer } = conversation;
  const handshake = await askKafka(conversation, kafkaRequest.saslHandshake, kafkaText(mechanism));
  const error = handshake.number(2);
  const offered = handshake.list(() => handshake.text() ?? '').join(', ');
  if (error === unsupportedMechanism)
    return never(
      exitStatus.refused,
      `takes no login by ${mechanism}, but by ${excerpt(offered, 100, redact)} (${peer})`,
      'set sasl-mechanism to one of these',
    );
  if (error === illegalState)
    return never(
      exitStatus.refused,
      `takes no logins at this port (${peer})`,
      'leave the user out, or name the listener with SASL',
    );
  if (error !== 0) return notYet(`error ${error} at the beginning of the login (${peer})`);
  const words = password?.reveal() ?? '';
  const scram =
    mechanism === 'PLAIN'
      ? undefined
      : scramClient(mechanism === 'SCRAM-SHA-256' ? 'sha256' : 'sha512', user, words);
  const clean = (text: string): string => redact(withoutSent(scram?.sent ?? [], text));
  const send = async (text: string): Promise<string | Answer> => {
    const answer = await askKafka(conversation, kafkaRequest.saslAuthenticate, kafkaBytes(Buffer.from(text)));
    return readAnswer(answer, peer, clean);
  };
  if (scram === undefined) {
    const said = await send(`\0${user}\0${words}`);
    return typeof said === 'string' ? undefined : said;
  }
  const first = await send(scram.first);
  if (typeof first !== 'string') return first;
  const proof = await scram.answer(first);
  if (proof === undefined) throw new NotKafka();
  const last = await send(proof);
  if (typeof last !== 'string') return last;
  return scram.verify(last)
    ? undefined
    : never(
        exitStatus.refused,
        `does not know the password itself (${peer})`,
        'whoever answers there may only pretend to be the server',
      );
}

function readAnswer(answer: KafkaFields, peer: string, redact: (text: string) => string): string | Answer {
  const error = answer.number(2);
  const message = answer.text() ?? '';
  if (error === 0) return answer.bytes(answer.number(4)).toString();
  const said = flattened(excerpt(message === '' ? 'the login failed' : message, 300, redact));
  return never(
    exitStatus.refused,
    `${said} (${error}, ${peer})`,
    'is the Secret that holds the password the one of this server’s user, and sasl-mechanism right?',
  );
}
