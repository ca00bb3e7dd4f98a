import { exitStatus } from '../../core/exit-status.ts';
import { never, notYet, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import { UnaskedBytes, type ServerConversation } from './conversation.ts';
import { judgeConnection, openConversation, type ConnectionContext, type ConnectionPlace } from './open.ts';

/** What an attempt at a server needs of the context, beside what a connection needs. */
export interface TalkContext extends ConnectionContext {
  readonly redact: (text: string) => string;
}

/**
 * Opens a conversation for what is said in it, and closes it. What breaks it is an answer, too.
 * @param say what is asked, and what comes of it
 * @param judge the faults that a protocol knows; undefined for one that is the connection's
 */
export async function talkTo<T>(
  place: ConnectionPlace,
  context: ConnectionContext,
  probe: Probe,
  say: (conversation: ServerConversation) => Promise<T>,
  judge: (error: unknown, peer: string) => NotYet | Never | undefined,
): Promise<T | NotYet | Never> {
  const opened = await openConversation(place, context, probe);
  if ('state' in opened) return opened;
  using conversation = opened;
  return await judged(conversation, say, judge);
}

/** As talkTo, and leaves the conversation open where what was said has come to more than an answer. */
export async function startTalk<T extends object>(
  place: ConnectionPlace,
  context: ConnectionContext,
  probe: Probe,
  say: (conversation: ServerConversation) => Promise<T | NotYet | Never>,
  judge: (error: unknown, peer: string) => NotYet | Never | undefined,
): Promise<T | NotYet | Never> {
  const opened = await openConversation(place, context, probe);
  if ('state' in opened) return opened;
  const said = await judged(opened, say, judge);
  if ('state' in said) opened[Symbol.dispose]();
  return said;
}

async function judged<T>(
  conversation: ServerConversation,
  say: (conversation: ServerConversation) => Promise<T>,
  judge: (error: unknown, peer: string) => NotYet | Never | undefined,
): Promise<T | NotYet | Never> {
  try {
    return await say(conversation);
  } catch (error) {
    const { peer } = conversation;
    if (error instanceof UnaskedBytes)
      return never(
        exitStatus.refused,
        `the server sent unencrypted bytes before TLS (${peer})`,
        'somebody on the way may have put them in',
      );
    return judge(error, peer) ?? judgeConnection(error, peer);
  }
}

/** What several servers came to of which one is enough: one answer that waiting does not change, or all that is missing. */
export function noneOfThem(answers: readonly (NotYet | Never)[]): NotYet | Never {
  const final = answers.find((answer) => answer.state === 'never');
  if (final !== undefined) return final;
  const missing = answers.filter((answer): answer is NotYet => answer.state === 'not-yet');
  return notYet([...new Set(missing.map((answer) => answer.reason))].join('; '), {
    hint: missing.find((answer) => answer.hint !== undefined)?.hint,
    absent: missing.every((answer) => answer.absent === true),
  });
}
