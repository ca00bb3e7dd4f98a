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
import {
  judgeConnection,
  openConversation,
  type ConnectionContext,
  type ConnectionPlace,
} from '../connection/open.ts';
import { NotRedis, respCommand, takeResp, type RespValue } from './resp.ts';

export interface RedisDemands {
  readonly place: ConnectionPlace;
  readonly user: string | undefined;
  readonly password: Secret | undefined;
  readonly database: number;
  /** It must take writes. */
  readonly primary: boolean;
  /** Keys that must be there. */
  readonly keys: readonly string[];
}

/** Characters of a server's words that are shown. */
const mostShown = 300;

interface Talk {
  readonly conversation: ServerConversation;
  readonly demands: RedisDemands;
  readonly probe: Probe;
  readonly redact: (text: string) => string;
}

/**
 * One attempt: a login where credentials are given, the database, PING, its role, its keys. A few bytes of our own: a
 * client costs ten times as long to load as all of them take.
 */
export async function attemptRedis(
  demands: RedisDemands,
  context: ConnectionContext & { readonly redact: (text: string) => string },
  probe: Probe,
): Promise<Answer> {
  const opened = await openConversation(demands.place, context, probe);
  if ('state' in opened) return opened;
  using conversation = opened;
  const talk: Talk = { conversation, demands, probe, redact: context.redact };
  try {
    return (
      (await logIn(talk)) ??
      (await select(talk)) ??
      (await ping(talk)) ??
      (await judgeRole(talk)) ??
      (await findKeys(talk)) ??
      satisfied(`answers PING (${conversation.peer})`)
    );
  } catch (error) {
    if (error instanceof NotRedis || error instanceof AnswerTooLong)
      return notYet(`what answers there is not Redis (${conversation.peer})`, {
        hint: 'is it the right port, and redis:// or rediss:// as the server has TLS? a new Service can lead elsewhere until this node’s kube-proxy knows it',
      });
    return judgeConnection(error, conversation.peer);
  }
}

async function ask({ conversation, probe }: Talk, ...words: readonly string[]): Promise<RespValue> {
  conversation.write(respCommand(words));
  const answer = await conversation.read((heard) => takeResp(heard));
  probe.reached?.('protocol');
  return answer;
}

async function logIn(talk: Talk): Promise<Answer | undefined> {
  const { user, password } = talk.demands;
  if (user === undefined && password === undefined) return undefined;
  talk.probe.phase(`logging in to ${talk.conversation.peer}`);
  // A user of an ACL may need no password (nopass).
  const answer = await ask(talk, 'AUTH', ...(user === undefined ? [] : [user]), password?.reveal() ?? '');
  if (answer.type === 'error') return judgeError(answer.text, talk);
  talk.probe.reached?.('login');
  return undefined;
}

/** Without one it is 0, which need not be asked for: a cluster has no other. */
async function select(talk: Talk): Promise<Answer | undefined> {
  const { database } = talk.demands;
  if (database === 0) return undefined;
  talk.probe.phase(`selecting database ${database} of ${talk.conversation.peer}`);
  const answer = await ask(talk, 'SELECT', String(database));
  return answer.type === 'error' ? judgeError(answer.text, talk) : undefined;
}

async function ping(talk: Talk): Promise<Answer | undefined> {
  talk.probe.phase(`asking ${talk.conversation.peer}: PING`);
  const answer = await ask(talk, 'PING');
  if (answer.type === 'error') return judgeError(answer.text, talk);
  if (answer.type !== 'status' && answer.type !== 'text') throw new NotRedis();
  talk.probe.reached?.('login');
  return undefined;
}

/** A replica that has no link to its primary serves old data, or none. */
async function judgeRole(talk: Talk): Promise<Answer | undefined> {
  const { conversation, demands, probe } = talk;
  probe.phase(`asking ${conversation.peer}: ROLE`);
  const answer = await ask(talk, 'ROLE');
  if (answer.type === 'error') {
    const { code } = parts(answer.text);
    // Proxies do not know it, and a user may lack the right to it.
    if (code !== 'ERR' && code !== 'NOPERM') return judgeError(answer.text, talk);
    if (!demands.primary) return undefined;
    return code === 'NOPERM'
      ? never(
          exitStatus.refused,
          `the user has no right to ask for its role (${conversation.peer})`,
          'give it: ACL SETUSER … +role',
        )
      : never(
          exitStatus.refused,
          `it does not tell its role (${conversation.peer})`,
          'is it a proxy? name the server itself, or leave primary out',
        );
  }
  const [role, host, port, link] = answer.type === 'list' ? answer.items : [];
  const kind = role?.type === 'text' ? role.text : '';
  if (kind === 'sentinel')
    return notYet(`a Sentinel answers there, not a server (${conversation.peer})`, {
      hint: 'name the server: its port is 6379 by default, Sentinel’s is 26379',
    });
  if (kind !== 'slave') return undefined;
  const state = link?.type === 'text' ? link.text : 'unknown';
  const primary = `${host?.type === 'text' ? host.text : '?'}:${port?.type === 'number' ? port.number : '?'}`;
  if (state !== 'connected')
    return notYet(
      `a replica without its primary ${talk.redact(primary)} (its link is: ${talk.redact(state).slice(0, 40)}; ${conversation.peer})`,
      {
        hint: 'until it has loaded its primary’s data it serves old ones or none: is the primary up, and does the replica have its password (masterauth)?',
      },
    );
  if (!demands.primary) return undefined;
  return notYet(`a replica of ${talk.redact(primary)}, where a primary is required (${conversation.peer})`, {
    hint: 'a failover may make it one; or name the primary’s Service',
  });
}

async function findKeys(talk: Talk): Promise<Answer | undefined> {
  for (const key of talk.demands.keys) {
    talk.probe.phase(`asking ${talk.conversation.peer} for the key ${JSON.stringify(key)}`);
    const answer = await ask(talk, 'EXISTS', key);
    if (answer.type === 'error') return judgeError(answer.text, talk);
    if (answer.type !== 'number') throw new NotRedis();
    if (answer.number === 0)
      return notYet(
        `has no key ${JSON.stringify(key)} in database ${talk.demands.database} (${talk.conversation.peer})`,
        {
          absent: true,
          hint: 'whoever writes it has not done so yet; or is it another database (redis://HOST/1)?',
        },
      );
  }
  return undefined;
}

/** `LOADING Redis is loading the dataset in memory` */
function parts(text: string): { readonly code: string; readonly rest: string } {
  const [, code = '', rest = ''] = /^([A-Z]+)(?: (.*))?$/s.exec(text) ?? [];
  return { code, rest };
}

/** What waiting does not change, by the first word of an error, and what to look at. */
const final: Readonly<Record<string, string>> = {
  WRONGPASS: 'is the Secret that holds the password the one of this server’s user?',
  NOAUTH:
    'give its password: in a variable (REDISCLI_AUTH, or password-env), in a file (password-file), or in the URL',
  NOPERM: 'the user lacks a right: ACL SETUSER … +ping +select +role +exists ~KEY',
  DENIED:
    'the server is in protected mode, which takes only connections from itself: set a password or bind in its configuration',
};

const passing: Readonly<Record<string, string>> = {
  LOADING: 'it loads its data from the disk; how long that takes grows with them',
  MASTERDOWN:
    'a replica that serves nothing without its primary (replica-serve-stale-data no): is the primary up?',
  BUSY: 'a script of another client runs: SCRIPT KILL ends one that has not written yet',
  MISCONF: 'it cannot save its data to the disk, and takes no writes: look at its log and its volume',
  CLUSTERDOWN: 'not all slots of the cluster are served: look at CLUSTER INFO and at its pods',
  MOVED: 'another node of the cluster has that key: wait for it at that node',
};

/** What an error of the server means for a wait. */
function judgeError(text: string, { conversation: { peer }, redact, demands }: Talk): NotYet | Never {
  const { code, rest } = parts(text);
  const said = `${redact(text).slice(0, mostShown)} (${peer})`;
  if (Object.hasOwn(final, code)) return never(exitStatus.refused, said, final[code]);
  if (Object.hasOwn(passing, code)) return notYet(said, { hint: passing[code] });
  if (code === 'ERR' && /invalid password|without any password configured|no password is set/i.test(rest))
    return never(
      exitStatus.refused,
      said,
      /invalid/i.test(rest)
        ? final['WRONGPASS']
        : 'the server has no password for this user: leave it out, or set requirepass',
    );
  if (code === 'ERR' && /DB index|SELECT is not allowed/i.test(rest))
    return never(
      exitStatus.refused,
      said,
      `there is no database ${demands.database}: the server’s setting is databases; a cluster has 0 alone`,
    );
  if (code === 'ERR' && /max number of clients/i.test(rest))
    return notYet(said, {
      hint: 'other clients hold all of its connections: look at maxclients and at pools’ sizes',
    });
  return notYet(said);
}
