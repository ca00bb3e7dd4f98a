import { exitStatus } from '../../core/exit-status.ts';
import { portIn, shownHostPort, splitHostPort } from '../../core/host-port.ts';
import type { Secret } from '../../core/redaction/redactor.ts';
import { formatBytes } from '../../core/size.ts';
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
import { noneOfThem, talkTo, type TalkContext } from '../connection/talk.ts';
import { NotRedis, respCommand, takeResp, type RespValue } from './resp.ts';

export interface RedisDemands {
  /** The server, or the Sentinels that know it: at least one. */
  readonly endpoints: readonly ConnectionPlace['endpoint'][];
  /** Undefined without TLS. */
  readonly tls: ConnectionPlace['tls'];
  /** Of what the endpoints are Sentinels of; undefined where one is the server itself. */
  readonly sentinel: { readonly master: string; readonly password: Secret | undefined } | undefined;
  readonly user: string | undefined;
  readonly password: Secret | undefined;
  readonly database: number;
  /** It must take writes. */
  readonly primary: boolean;
  /** Keys that must be there. */
  readonly keys: readonly string[];
  /** Says what is wrong with the value of a key; unset, that it is there is enough. */
  readonly judgeValue: ((value: string) => Promise<string | undefined>) | undefined;
}

/** Characters of a server's words that are shown. */
const mostShown = 300;

interface Talk {
  readonly conversation: ServerConversation;
  readonly demands: RedisDemands;
  readonly probe: Probe;
  readonly redact: (text: string) => string;
  readonly context: TalkContext;
}

/**
 * One attempt: a login where credentials are given, the database, PING, its role, its keys; with Sentinels, at the server
 * that they name. A few bytes of our own: a client costs ten times as long to load as all of them take.
 */
export async function attemptRedis(
  demands: RedisDemands,
  context: TalkContext,
  probe: Probe,
): Promise<Answer> {
  const { endpoints, sentinel } = demands;
  const [endpoint] = endpoints as readonly [ConnectionPlace['endpoint']];
  if (sentinel === undefined) return attemptAt(endpoint, demands, context, probe);
  const found = await askSentinels(demands, sentinel, context, probe);
  if ('state' in found) return found;
  const answer = await attemptAt(found, { ...demands, primary: true }, context, probe);
  if (answer.state !== 'not-yet') return answer;
  const address = context.redact(shownHostPort(found.host, found.port));
  return notYet(`Sentinel names ${address}: ${answer.reason}`, {
    hint: answer.hint,
    absent: answer.absent === true,
  });
}

async function attemptAt(
  endpoint: ConnectionPlace['endpoint'],
  demands: RedisDemands,
  context: TalkContext,
  probe: Probe,
): Promise<Answer> {
  return converseAt(endpoint, demands, context, probe, async (talk) => {
    return (
      (await logIn(talk)) ??
      (await select(talk)) ??
      (await ping(talk)) ??
      (await judgeRole(talk)) ??
      (await findKeys(talk)) ??
      satisfied(`answers PING (${talk.conversation.peer})`)
    );
  });
}

async function converseAt<T>(
  endpoint: ConnectionPlace['endpoint'],
  demands: RedisDemands,
  context: TalkContext,
  probe: Probe,
  say: (talk: Talk) => Promise<T>,
): Promise<T | NotYet | Never> {
  const { redact } = context;
  return talkTo(
    { endpoint, tls: demands.tls },
    context,
    probe,
    (conversation) => say({ conversation, demands, probe, redact, context }),
    (error, peer) =>
      error instanceof NotRedis || error instanceof AnswerTooLong
        ? notYet(`what answers there is not Redis (${peer})`, {
            hint: 'is it the right port, and redis:// or rediss:// as the server has TLS? a new Service can lead elsewhere until this node’s kube-proxy knows it',
          })
        : undefined,
  );
}

interface RedisAddress {
  readonly kind: 'tcp';
  readonly host: string;
  readonly port: number;
}

/** Where the Sentinels say that the primary is: the first that knows it is believed, as clients do. */
async function askSentinels(
  demands: RedisDemands,
  { master, password }: NonNullable<RedisDemands['sentinel']>,
  context: TalkContext,
  probe: Probe,
): Promise<RedisAddress | NotYet | Never> {
  const answers = await Promise.all(
    demands.endpoints.map((endpoint) =>
      converseAt(endpoint, { ...demands, user: undefined, password }, context, probe, async (talk) => {
        const refused = await logIn(talk);
        if (refused !== undefined) return refused;
        const { peer } = talk.conversation;
        probe.phase(`asking the Sentinel ${peer} for ${JSON.stringify(master)}`);
        const answer = await ask(talk, 'SENTINEL', 'get-master-addr-by-name', master);
        if (answer.type === 'error') return judgeSentinel(answer.text, talk);
        const [host, port] = answer.type === 'list' ? answer.items : [];
        if (host?.type === 'text' && port?.type === 'text')
          return addressOf(`${host.text}:${port.text}`, '') ?? fail();
        if (answer.type !== 'nothing') return fail();
        return notYet(`the Sentinel knows no ${JSON.stringify(master)} (${peer})`, {
          hint: 'is that the name in its configuration (sentinel monitor NAME …)?',
          absent: true,
        });
      }),
    ),
  );
  return (
    answers.find((answer) => !('state' in answer)) ??
    noneOfThem(answers.filter((answer) => 'state' in answer))
  );
}

function fail(): never {
  throw new NotRedis();
}

function judgeSentinel(text: string, talk: Talk): NotYet | Never {
  const { peer } = talk.conversation;
  const said = `${talk.redact(text).slice(0, mostShown)} (${peer})`;
  if (/unknown command/i.test(text))
    return notYet(`a server answers there, not a Sentinel (${said})`, {
      hint: 'Sentinel’s port is 26379 by default; leave sentinel-master out to wait for the server itself',
    });
  if (/^(?:NOAUTH|WRONGPASS|NOPERM)/.test(text))
    return never(
      exitStatus.refused,
      said,
      'the Sentinel wants a password of its own: give sentinel-password-file',
    );
  return judgeError(text, talk);
}

/** @param instead the host that is meant where none is named @returns undefined where that is no address */
function addressOf(text: string, instead: string): RedisAddress | undefined {
  // `::1:30602`: Redis writes an IPv6 address without brackets, the port behind its last colon.
  const [, bare, behind = ''] = /^([\da-f:.]*:[\da-f:.]*):(\d+)$/i.exec(text) ?? [];
  const split = bare === undefined ? splitHostPort(text) : { host: bare, port: behind };
  const port = portIn(split?.port ?? '');
  const host = split?.host || instead;
  if (port === undefined || !/^[\w.:-]{1,253}$/.test(host)) return undefined;
  return { kind: 'tcp', host, port };
}

async function ask({ conversation, probe }: Talk, ...words: readonly string[]): Promise<RespValue> {
  conversation.write(respCommand(words));
  const answer = await conversation.read((heard) => takeResp(heard));
  probe.reached?.('protocol');
  return answer;
}

async function logIn(talk: Talk): Promise<NotYet | Never | undefined> {
  const { user, password } = talk.demands;
  if (user === undefined && password === undefined) return undefined;
  talk.probe.phase(`logging in to ${talk.conversation.peer}`);
  // A user of an ACL may need no password (nopass).
  const answer = await ask(talk, 'AUTH', ...(user === undefined ? [] : [user]), password?.reveal() ?? '');
  if (answer.type === 'error') return judgeError(answer.text, talk);
  expectWord(answer, 'OK');
  talk.probe.reached?.('login');
  return undefined;
}

/** @throws NotRedis where a server says something else than what stands for success */
function expectWord(answer: RespValue, word: string): void {
  if ((answer.type !== 'status' && answer.type !== 'text') || answer.text !== word) throw new NotRedis();
}

/** Without one it is 0, which need not be asked for: a cluster has no other. */
async function select(talk: Talk): Promise<Answer | undefined> {
  const { database } = talk.demands;
  if (database === 0) return undefined;
  talk.probe.phase(`selecting database ${database} of ${talk.conversation.peer}`);
  const answer = await ask(talk, 'SELECT', String(database));
  if (answer.type === 'error') return judgeError(answer.text, talk);
  expectWord(answer, 'OK');
  return undefined;
}

async function ping(talk: Talk): Promise<Answer | undefined> {
  talk.probe.phase(`asking ${talk.conversation.peer}: PING`);
  const answer = await ask(talk, 'PING');
  if (answer.type === 'error') return judgeError(answer.text, talk);
  expectWord(answer, 'PONG');
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
      hint: 'give sentinel-master=NAME to find the server by it, or name the server, whose port is 6379 by default',
    });
  if (kind !== 'slave' && kind !== 'master' && demands.primary)
    return notYet(
      `its role is ${JSON.stringify(talk.redact(kind).slice(0, 40))}, where a primary is required (${conversation.peer})`,
    );
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
    const answer = await findKey(talk, key);
    if (answer !== 'moved') {
      if (answer !== undefined) return answer;
      continue;
    }
    const { peer } = talk.conversation;
    return notYet(`the slot of the key ${JSON.stringify(key)} moves between nodes of the cluster (${peer})`, {
      hint: 'somebody reshards the cluster: it is waited for',
    });
  }
  return undefined;
}

/** More than a value has that is looked into. */
const mostValue = 1 << 20;

/** Looks for a key here, or where this node of a cluster says that it is. @param asked whether it was asked elsewhere */
async function findKey(talk: Talk, key: string, asked = false): Promise<Answer | 'moved' | undefined> {
  const { conversation, probe, demands, context } = talk;
  const { peer } = conversation;
  const shown = JSON.stringify(key);
  probe.phase(`asking ${peer} for the key ${shown}`);
  const { judgeValue } = demands;
  conversation.write(respCommand([judgeValue === undefined ? 'EXISTS' : 'GET', key]));
  let answer: RespValue;
  try {
    answer = await conversation.read((heard) => takeResp(heard), judgeValue && mostValue);
  } catch (error) {
    if (!(error instanceof AnswerTooLong) || judgeValue === undefined) throw error;
    return notYet(`the value of the key ${shown} is longer than ${formatBytes(mostValue)} (${peer})`);
  }
  if (answer.type === 'error') {
    const { code, rest } = parts(answer.text);
    if (code !== 'MOVED' && code !== 'ASK') return judgeError(answer.text, talk);
    const [, place = ''] = /^\d+ (\S+)$/.exec(rest) ?? [];
    const [own] = demands.endpoints;
    const there = addressOf(place, own?.kind === 'tcp' ? own.host : '') ?? fail();
    if (asked || code === 'ASK') return 'moved';
    return converseAt(there, demands, context, probe, async (other) => {
      return (await logIn(other)) ?? (await findKey(other, key, true));
    });
  }
  if (answer.type === 'nothing' || (answer.type === 'number' && answer.number === 0))
    return notYet(`has no key ${shown} in database ${demands.database} (${peer})`, {
      absent: true,
      hint: 'whoever writes it has not done so yet; or is it another database (redis://HOST/1)?',
    });
  if (judgeValue === undefined && answer.type === 'number') return undefined;
  if (judgeValue === undefined || answer.type !== 'text') return fail();
  const wrong = await judgeValue(answer.text);
  return wrong === undefined ? undefined : notYet(`the value of the key ${shown} ${wrong} (${peer})`);
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
  NOPERM: 'the user lacks a right: ACL SETUSER … +ping +select +role +exists (+get with matches) ~KEY',
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
  // Before version 6 there are no users (ACL).
  if (code === 'ERR' && /wrong number of arguments for 'auth'/i.test(rest))
    return never(
      exitStatus.refused,
      said,
      'servers before Redis 6 know no users: leave the user out, and write redis://:PASSWORD@HOST',
    );
  if (code === 'ERR' && /DB index|SELECT is not allowed/i.test(rest))
    return never(
      exitStatus.refused,
      said,
      `there is no database ${demands.database}: the server’s setting is databases; a cluster has 0 alone`,
    );
  if (code === 'WRONGTYPE')
    return never(
      exitStatus.refused,
      said,
      'matches looks into texts (GET); leave it out to look for the key alone',
    );
  if (code === 'ERR' && /max number of clients/i.test(rest))
    return notYet(said, {
      hint: 'other clients hold all of its connections: look at maxclients and at pools’ sizes',
    });
  return notYet(said);
}
