import { excerpt } from '../../core/excerpt.ts';
import { exitStatus } from '../../core/exit-status.ts';
import type { Secret } from '../../core/redaction/redactor.ts';
import {
  never,
  notYet,
  satisfied,
  type Answer,
  type Never,
  type NotYet,
  type Probe,
} from '../../wait/attempt.ts';
import { AnswerTooLong, type ServerConversation } from '../connection/conversation.ts';
import type { ConnectionPlace } from '../connection/open.ts';
import { talkTo, type TalkContext } from '../connection/talk.ts';
import {
  amqpHeader,
  amqpMethod,
  amqpLong,
  amqpLongText,
  NotAmqp,
  noAmqpTable,
  amqpShort,
  amqpShortText,
  takeAmqpFrame,
  type AmqpMethod,
} from './frame.ts';

export interface AmqpDemands {
  readonly place: ConnectionPlace;
  readonly user: string;
  readonly password: Secret;
  readonly vhost: string;
  /** Queues that must be there. */
  readonly queues: readonly string[];
  /** Exchanges that must be there. */
  readonly exchanges: readonly string[];
}

/** The server has closed the connection or a channel, and says why. */
class Closed extends Error {
  readonly code: number;

  constructor(code: number, text: string) {
    super(text);
    this.code = code;
  }
}

/** No password would help. */
class NoPlainLogin extends Closed {}

/** Characters of a server's words that are shown. */
const mostShown = 300;

interface Talk {
  readonly conversation: ServerConversation;
  readonly demands: AmqpDemands;
  readonly probe: Probe;
  readonly redact: (text: string) => string;
}

/**
 * One attempt: a login, the virtual host, its queues and exchanges, by AMQP 0-9-1. A few bytes of our own: amqplib takes
 * 46 ms of CPU to load, as much as all of initbox.
 */
export async function attemptAmqp(demands: AmqpDemands, context: TalkContext, probe: Probe): Promise<Answer> {
  const { redact } = context;
  return talkTo(
    demands.place,
    context,
    probe,
    (conversation) => converse({ conversation, demands, probe, redact }),
    (error, peer) => {
      if (error instanceof Closed) return judgeClosed(error, peer, demands, redact);
      if (error instanceof NotAmqp || error instanceof AnswerTooLong)
        return notYet(`what answers there is not AMQP 0-9-1 (${peer})`, {
          hint: 'is it the right port, and amqp:// or amqps:// as the server has TLS? RabbitMQ has 5672, and 5671 with TLS; 15672 is its management',
        });
      return undefined;
    },
  );
}

async function converse(talk: Talk): Promise<Answer> {
  const { conversation } = talk;
  await logIn(talk);
  const answer = await findAll(talk);
  // So that the server does not log a connection that broke.
  conversation.write(
    amqpMethod(0, '10.50', amqpShort(200), amqpShortText('done'), amqpShort(0), amqpShort(0)),
  );
  await next(conversation, 0, '10.51');
  return answer ?? satisfied(`opens the virtual host ${shown(talk.demands.vhost)} (${conversation.peer})`);
}

async function logIn({ conversation, demands, probe, redact }: Talk): Promise<void> {
  const { peer } = conversation;
  probe.phase(`waiting for the greeting of ${peer}`);
  conversation.write(amqpHeader);
  const start = await next(conversation, 0, '10.10');
  start.fields.bytes(2);
  start.fields.longText();
  const mechanisms = start.fields.longText().split(' ');
  probe.reached?.('protocol');
  const known = excerpt(mechanisms.join(', '), 100, redact);
  if (!mechanisms.includes('PLAIN'))
    throw new NoPlainLogin(403, `the server takes no login by PLAIN, but by ${known}`);
  probe.phase(`logging in to ${peer}`);
  const answer = Buffer.from(`\0${demands.user}\0${demands.password.reveal()}`);
  conversation.write(
    amqpMethod(
      0,
      '10.11',
      amqpLongText(clientProperties),
      amqpShortText('PLAIN'),
      amqpLongText(answer),
      amqpShortText('en_US'),
    ),
  );
  const tune = await next(conversation, 0, '10.30');
  const [channels, frame] = [tune.fields.number(2), tune.fields.number(4)];
  // No heartbeats: it is over before one is due.
  conversation.write(amqpMethod(0, '10.31', amqpShort(channels), amqpLong(frame), amqpShort(0)));
  conversation.write(
    amqpMethod(0, '10.40', amqpShortText(demands.vhost), amqpShortText(''), Buffer.from([0])),
  );
  probe.phase(`opening the virtual host ${shown(demands.vhost)} of ${peer}`);
  await next(conversation, 0, '10.41');
  probe.reached?.('login');
}

/** That a refused login is told, rather than the connection broken (https://www.rabbitmq.com/docs/auth-notification). */
const clientProperties = Buffer.concat([
  amqpShortText('product'),
  Buffer.from('S'),
  amqpLongText(Buffer.from('initbox')),
  amqpShortText('capabilities'),
  Buffer.from('F'),
  amqpLongText(Buffer.concat([amqpShortText('authentication_failure_close'), Buffer.from('t\u0001')])),
]);

async function findAll(talk: Talk): Promise<Answer | undefined> {
  const { queues, exchanges } = talk.demands;
  let channel = 0;
  for (const [what, id, names] of [
    ['queue', '50.10', queues],
    ['exchange', '40.10', exchanges],
  ] as const)
    for (const name of names) {
      // An answer that it is not there closes the channel.
      const answer = await find(talk, (channel += 1), what, id, name);
      if (answer !== undefined) return answer;
    }
  return undefined;
}

/** Declares it passively, which makes nothing. @returns undefined where it is there */
async function find(
  { conversation, demands, probe, redact }: Talk,
  channel: number,
  what: 'queue' | 'exchange',
  id: string,
  name: string,
): Promise<Answer | undefined> {
  const { peer } = conversation;
  probe.phase(`asking ${peer} for the ${what} ${shown(name)}`);
  conversation.write(amqpMethod(channel, '20.10', amqpShortText('')));
  await next(conversation, channel, '20.11');
  const passive = Buffer.from([1]);
  conversation.write(
    amqpMethod(
      channel,
      id,
      amqpShort(0),
      amqpShortText(name),
      ...(what === 'exchange' ? [amqpShortText('direct')] : []),
      passive,
      noAmqpTable,
    ),
  );
  try {
    await next(conversation, channel, id.replace('.10', '.11'));
    return undefined;
  } catch (error) {
    if (!(error instanceof ChannelClosed)) throw error;
    conversation.write(amqpMethod(channel, '20.41'));
    // Somebody has it for itself alone: it is there.
    if (error.code === 405) return undefined;
    if (error.code === 404)
      return notYet(`has no ${what} ${shown(name)} in the virtual host ${shown(demands.vhost)} (${peer})`, {
        hint: 'whoever declares it has not done so yet; or is it in another virtual host?',
        absent: true,
      });
    const said = `${excerpt(error.message, mostShown, redact)} (${error.code}, ${peer})`;
    if (error.code === 403)
      return never(
        exitStatus.refused,
        said,
        `the user needs the right to configure, write or read this ${what}: rabbitmqctl set_permissions`,
      );
    return notYet(said);
  }
}

class ChannelClosed extends Closed {}

/** The method with this id, on this channel. @throws Closed, ChannelClosed, NotAmqp, and what a conversation throws */
async function next(conversation: ServerConversation, channel: number, id: string): Promise<AmqpMethod> {
  for (let count = 0; count < 100; count += 1) {
    const method = await conversation.read(takeAmqpFrame);
    if (method === 'heartbeat') continue;
    if (method.channel === channel && method.id === id) return method;
    if (method.id === '10.50' || method.id === '20.40') {
      const code = method.fields.number(2);
      const text = method.fields.shortText();
      throw method.id === '10.50' ? new Closed(code, text) : new ChannelClosed(code, text);
    }
    // That it is short of memory or disk, and takes no messages (connection.blocked), may come at any time.
    if (method.id !== '10.60' && method.id !== '10.61') throw new NotAmqp();
  }
  throw new NotAmqp();
}

function judgeClosed(
  error: Closed,
  peer: string,
  demands: AmqpDemands,
  redact: (text: string) => string,
): NotYet | Never {
  const { code, message } = error;
  const said = `${excerpt(message, mostShown, redact)} (${code}, ${peer})`;
  if (/limit \(.*\) is reached|limit reached/i.test(message))
    return notYet(said, {
      hint: 'other clients hold all connections of this user or virtual host: rabbitmqctl list_vhost_limits, list_user_limits',
    });
  if (/is down/i.test(message))
    return notYet(said, { hint: 'the virtual host starts, or has failed to: look at the server’s log' });
  if (error instanceof NoPlainLogin)
    return never(
      exitStatus.refused,
      said,
      /EXTERNAL/.test(message)
        ? 'EXTERNAL logs in by the client’s certificate, which this wait does not speak: turn PLAIN on too (auth_mechanisms), or wait for the port alone (tcp://)'
        : 'turn PLAIN on too (auth_mechanisms), or wait for the port alone (tcp://)',
    );
  if (code === 403)
    return never(
      exitStatus.refused,
      said,
      demands.user === 'guest'
        ? 'the user guest may log in only from the server’s own machine: give another user'
        : 'is the Secret that holds the password the one of this server’s user?',
    );
  if (code === 530)
    return never(
      exitStatus.refused,
      said,
      'the virtual host must be there first, and the user have rights in it: rabbitmqctl add_vhost, set_permissions',
    );
  return notYet(said, {
    hint: code === 320 ? 'the server is stopping, or an administrator closes connections' : undefined,
  });
}

function shown(name: string): string {
  return JSON.stringify(name);
}
