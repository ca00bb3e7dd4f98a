import { excerpt, withheld } from '../../core/excerpt.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { portIn, shownHostPort, splitHostPort } from '../../core/host-port.ts';
import { describedText } from '../../core/misplaced-secret.ts';
import {
  never,
  notYet,
  satisfied,
  type Answer,
  type Never,
  type NotYet,
  type Probe,
} from '../../wait/attempt.ts';
import { AnswerTooLong, ConnectionEnded, type ServerConversation } from '../connection/conversation.ts';
import { judgeConnection, openConversation, type ConnectionPlace } from '../connection/open.ts';
import { noneOfThem, type TalkContext } from '../connection/talk.ts';
import { NotMongodb, type BsonDocument } from './bson.ts';
import { logInToMongodb, type MongodbLogin } from './login.ts';
import { judgeMongodbError, mongodbErrorIn } from './server-errors.ts';
import { askMongodb } from './wire.ts';

/** Which server a client would use: the primary, a secondary, or any that has data. */
export type MongodbRole = 'primary' | 'secondary' | 'any';

/** What DNS says of the cluster of a mongodb+srv:// URL. */
export interface MongodbSeeds {
  readonly endpoints: readonly ConnectionPlace['endpoint'][];
  /** Of the TXT record; the URL's own come before them. */
  readonly source: string | undefined;
  readonly replicaSet: string | undefined;
}

export type FindMongodbSeeds = (probe: Probe) => Promise<MongodbSeeds | NotYet | Never>;

export interface MongodbDemands {
  /** Those of the URL, or whom DNS names. */
  readonly endpoints: readonly ConnectionPlace['endpoint'][] | FindMongodbSeeds;
  /** Undefined without TLS. */
  readonly tls: ConnectionPlace['tls'];
  /** Undefined without one; its `source` may be left to DNS. */
  readonly login: (Omit<MongodbLogin, 'source'> & { readonly source: string | undefined }) | undefined;
  /** That of the collections. */
  readonly database: string;
  /** What the replica set must be called; undefined where any, or none, is taken. */
  readonly replicaSet: string | undefined;
  /** The servers that are named, and no others of their set. */
  readonly direct: boolean;
  /** Each must be there. */
  readonly roles: readonly MongodbRole[];
  /** Collections that must be there. */
  readonly collections: readonly string[];
}

/** A server that has answered `hello`. */
interface Member {
  readonly conversation: ServerConversation;
  readonly endpoint: ConnectionPlace['endpoint'];
  /** Of a replica set; undefined for a server alone and a router (mongos). */
  readonly set: string | undefined;
  /** It answers, and has no data: not initiated, starting, recovering, an arbiter. */
  readonly role: 'primary' | 'secondary' | 'alone' | 'uninitiated' | 'arbiter' | 'starting';
  /** `host:port` of its set's primary, of all of its members, and of itself, as clients are told. */
  readonly primary: string | undefined;
  readonly members: readonly string[];
  readonly self: string | undefined;
  /** No client uses it: it is in nobody's list of hosts. */
  readonly hidden: boolean;
  /** How the user may log in. */
  readonly mechanisms: readonly string[];
}

/**
 * One attempt: `hello` to each server, the member of the replica set that a client would use, a login by SCRAM, and a
 * question about collections. A few bytes of our own: the driver mongodb is 0.8 MB as a bundle, and takes 120 ms of CPU to
 * load, more than twice what all of initbox takes.
 */
export async function attemptMongodb(
  demands: MongodbDemands,
  context: TalkContext,
  probe: Probe,
): Promise<Answer> {
  const found = await seedsOf(demands, probe);
  if ('state' in found) return found;
  using open = new DisposableStack();
  const meet = async (endpoint: ConnectionPlace['endpoint']): Promise<Member | NotYet | Never> => {
    const member = await greet(endpoint, found, context, probe, open);
    return 'state' in member ? member : (judgeSet(member, found) ?? member);
  };
  const greeted = await Promise.all(found.endpoints.map(meet));
  const members = greeted.filter((member): member is Member => !('state' in member));
  if (members.length === 0) return noneOfThem(greeted.filter((answer) => 'state' in answer));
  let seen = '';
  for (const role of found.roles) {
    const member = await memberFor(role, members, found, meet);
    if ('state' in member) return member;
    const answer = await use(member, found, context, probe);
    if (answer.state !== 'satisfied') return answer;
    seen ||= answer.seen;
  }
  return satisfied(seen);
}

type Settled = Omit<MongodbDemands, 'endpoints' | 'login'> & {
  readonly endpoints: readonly ConnectionPlace['endpoint'][];
  readonly login: MongodbLogin | undefined;
};

async function seedsOf(demands: MongodbDemands, probe: Probe): Promise<Settled | NotYet | Never> {
  const { endpoints, login } = demands;
  const seeds =
    typeof endpoints === 'function'
      ? await endpoints(probe)
      : { endpoints, source: undefined, replicaSet: undefined };
  if ('state' in seeds) return seeds;
  return {
    ...demands,
    endpoints: seeds.endpoints,
    replicaSet: demands.replicaSet ?? seeds.replicaSet,
    login: login && { ...login, source: login.source ?? seeds.source ?? 'admin' },
  };
}

async function greet(
  endpoint: ConnectionPlace['endpoint'],
  { tls, login }: Settled,
  context: TalkContext,
  probe: Probe,
  open: DisposableStack,
): Promise<Member | NotYet | Never> {
  const opened = await openConversation({ endpoint, tls }, context, probe);
  if ('state' in opened) return opened;
  const conversation = open.use(opened);
  const { peer } = conversation;
  probe.phase(`saying hello to ${peer}`);
  try {
    let hello = await askMongodb(conversation, 'admin', helloOf('hello', login));
    let error = mongodbErrorIn(hello);
    if (error?.code === commandNotFound) {
      hello = await askMongodb(conversation, 'admin', helloOf('isMaster', login));
      error = mongodbErrorIn(hello);
    }
    probe.reached?.('protocol');
    if (error !== undefined) return judgeMongodbError(error, peer, context.redact);
    const foreign = judgeWire(hello, peer);
    if (foreign !== undefined) return foreign;
    return memberOf(hello, conversation, endpoint);
  } catch (error) {
    if (error instanceof ConnectionEnded && error.heard.length === 0)
      return notYet(`closes the connection instead of an answer (${peer})`, {
        hint:
          tls === undefined
            ? 'does it want TLS (tls=true), or have other clients all of its connections?'
            : 'have other clients all of its connections, or does it want a certificate (cert-file)?',
      });
    return judgeFault(error, peer);
  }
}

/**
 * The versions of the protocol in whose words all of this is said, of MongoDB 3.6, the first that has OP_MSG, and 8.0
 * (https://github.com/mongodb/mongo/blob/v8.0/src/mongo/db/wire_version.h). A server says from which to which it speaks.
 */
const wire = { least: 6, most: 25 } as const;

/** @returns undefined where both speak one; a driver gives up otherwise, too (Server Discovery and Monitoring: wire version) */
function judgeWire(hello: BsonDocument, peer: string): Never | undefined {
  const [least, most] = [hello.get('minWireVersion'), hello.get('maxWireVersion')];
  const tooNew = typeof least === 'number' && least > wire.most ? `from wire version ${least} on` : undefined;
  const tooOld = typeof most === 'number' && most < wire.least ? `up to wire version ${most}` : undefined;
  const unfit = tooNew ?? tooOld;
  if (unfit === undefined) return undefined;
  return never(
    exitStatus.refused,
    `speaks MongoDB’s protocol ${unfit}, where ${wire.least} to ${wire.most} are supported (${peer})`,
    tooNew !== undefined
      ? 'the server is newer than this initbox: use a newer one, or wait for the port alone (tcp://HOST:PORT)'
      : 'the server is older than MongoDB 3.6: wait for the port alone (tcp://HOST:PORT)',
  );
}

/** Of servers before 4.4.2, 4.2.10, 4.0.21 and 3.6.21, which know `isMaster` alone. */
const commandNotFound = 59;

function helloOf(command: 'hello' | 'isMaster', login: MongodbLogin | undefined) {
  return {
    [command]: 1,
    client: {
      application: { name: 'initbox' },
      driver: { name: 'initbox', version: '0' },
      os: { type: 'Linux' },
    },
    ...(login === undefined ? {} : { saslSupportedMechs: `${login.source}.${login.user}` }),
  };
}

function memberOf(
  hello: BsonDocument,
  conversation: ServerConversation,
  endpoint: ConnectionPlace['endpoint'],
): Member {
  const text = (name: string): string | undefined => {
    const value = hello.get(name);
    return typeof value === 'string' ? (withheld(value.length, mostName) ?? value) : undefined;
  };
  const texts = (name: string): readonly string[] => {
    const value = hello.get(name);
    return value instanceof Map
      ? [...(value as BsonDocument).values()].filter((item): item is string => typeof item === 'string')
      : [];
  };
  const writable = hello.get('isWritablePrimary') ?? hello.get('ismaster');
  if (typeof writable !== 'boolean') throw new NotMongodb();
  const set = text('setName');
  return {
    conversation,
    endpoint,
    set,
    role: roleOf(hello, set, writable),
    primary: text('primary'),
    members: [...texts('hosts'), ...texts('passives')].slice(0, mostMembers),
    self: text('me'),
    hidden: hello.get('hidden') === true,
    mechanisms: texts('saslSupportedMechs'),
  };
}

/** Members of a set (https://www.mongodb.com/docs/manual/reference/limits/), and characters of a `host:port`. */
const mostMembers = 50;
const mostName = 300;

function roleOf(hello: BsonDocument, set: string | undefined, writable: boolean): Member['role'] {
  if (set === undefined) return hello.get('isreplicaset') === true ? 'uninitiated' : 'alone';
  if (writable) return 'primary';
  if (hello.get('secondary') === true) return 'secondary';
  return hello.get('arbiterOnly') === true ? 'arbiter' : 'starting';
}

/** @returns undefined where it may be of the set that is asked for */
function judgeSet({ set, role, conversation }: Member, { replicaSet }: Settled): NotYet | Never | undefined {
  if (replicaSet === undefined || set === replicaSet || role === 'uninitiated') return undefined;
  const { peer } = conversation;
  if (set === undefined)
    return notYet(
      `is not part of a replica set, where ${JSON.stringify(replicaSet)} is asked for (${peer})`,
      {
        hint: 'it was started without --replSet, or is a router (mongos): leave replicaSet out then',
      },
    );
  return never(
    exitStatus.refused,
    `is part of the replica set ${JSON.stringify(set)}, not of ${JSON.stringify(replicaSet)} (${peer})`,
    'is it the right server, and replicaSet as rs.conf() has it?',
  );
}

/** A member of this role: among those that were named, or where they say that it is. */
async function memberFor(
  role: MongodbRole,
  members: readonly Member[],
  demands: Settled,
  meet: (endpoint: ConnectionPlace['endpoint']) => Promise<Member | NotYet | Never>,
): Promise<Member | NotYet | Never> {
  const fits = (member: Member): boolean => hasRole(member, role, demands);
  const known = members.find(fits);
  if (demands.direct) return known ?? missing(role, members);
  // Clients go where the set says that its members are, whatever they were told first.
  const told =
    known === undefined
      ? members.flatMap((member) => (role === 'primary' ? (member.primary ?? []) : member.members))
      : [known.self ?? (known.role === 'primary' ? known.primary : undefined)].filter(
          (address) => address !== undefined,
        );
  const others = [...new Set(told)].filter(
    (address) => !members.some((member) => fits(member) && isAt(member, address)),
  );
  if (others.length === 0) return known ?? missing(role, members);
  const refused: (NotYet | Never)[] = [];
  const all = await Promise.all(
    others.map(async (address) => ({ address, met: await meetAt(address, meet) })),
  );
  for (const { address, met } of all) {
    if (!('state' in met) && fits(met)) return met;
    if ('state' in met && met.state === 'never') return met;
    if ('state' in met)
      refused.push(
        notYet(`the set tells clients to use ${shownAddress(address)}: ${met.reason}`, {
          hint: 'the hosts in rs.conf() must be reachable from here; with directConnection=true it is the named server alone that is waited for',
        }),
      );
  }
  return refused.length > 0 && (known !== undefined || role === 'primary')
    ? noneOfThem(refused)
    : missing(role, members);
}

/**
 * Whether clients use it: a member of a set that is not in its own list of hosts is removed from what they know of the set
 * (https://github.com/mongodb/specifications/blob/master/source/server-discovery-and-monitoring/server-discovery-and-monitoring.md).
 */
function isListed({ hidden, members, self, endpoint, set }: Member): boolean {
  if (set === undefined) return true;
  const own = endpoint.kind === 'tcp' ? shownHostPort(endpoint.host, endpoint.port) : undefined;
  const listed = members.map((address) => address.toLowerCase());
  return !hidden && [self, own].some((address) => listed.includes(address?.toLowerCase() ?? ''));
}

function hasRole(member: Member, role: MongodbRole, { direct, collections }: Settled): boolean {
  if (!direct && !isListed(member)) return false;
  if (role === 'secondary') return member.role === 'secondary';
  if (member.role === 'alone' || member.role === 'primary') return true;
  if (role === 'primary') return false;
  return member.role === 'secondary' || (direct && collections.length === 0 && hasNoData(member));
}

async function meetAt(
  address: string,
  meet: (endpoint: ConnectionPlace['endpoint']) => Promise<Member | NotYet | Never>,
): Promise<Member | NotYet | Never> {
  const parts = splitHostPort(address);
  const port = portIn(parts?.port ?? '27017');
  if (parts === undefined || port === undefined || !/^[\w.:-]{1,253}$/.test(parts.host))
    return notYet('that is not HOST:PORT');
  return meet({ kind: 'tcp', host: parts.host, port });
}

function isAt({ endpoint }: Member, address: string): boolean {
  return (
    endpoint.kind === 'tcp' &&
    shownHostPort(endpoint.host, endpoint.port).toLowerCase() === address.toLowerCase()
  );
}

function shownAddress(address: string): string {
  return /^[\w.:[\]-]{1,100}$/.test(address) ? address : describedText(address);
}

function hasNoData({ role }: Member): boolean {
  return role === 'uninitiated' || role === 'arbiter';
}

/** What is missing where no member of this role is known, in the words of the most telling one that answered. */
function missing(role: MongodbRole, members: readonly Member[]): NotYet {
  const peers = members.map(({ conversation }) => conversation.peer).join('; ');
  const set = members.find((member) => member.set !== undefined)?.set;
  if (members.some((member) => member.role === 'alone'))
    return notYet(`is a server alone, where a ${role} is required (${peers})`, {
      hint: 'it was started without --replSet, or is a router (mongos)',
    });
  if (set === undefined)
    return notYet(`the replica set is not initiated yet (${peers})`, {
      hint: 'somebody has to say rs.initiate(); to wait for the server alone, before that, write directConnection=true',
    });
  const name = `the replica set ${JSON.stringify(set)}`;
  if (members.every((member) => member.hidden))
    return notYet(`a hidden member of ${name}, which no client uses (${peers})`, {
      hint: 'name a member that is not hidden (rs.conf()); with directConnection=true it is the named server alone that is waited for',
    });
  if (role === 'secondary') return notYet(`${name} has no secondary yet (${peers})`, { hint: copying });
  if (members.every((member) => member.role === 'starting'))
    return notYet(`a member of ${name} that starts or recovers (${peers})`, { hint: copying });
  if (members.some((member) => member.role === 'primary'))
    return notYet(`${name} has no ${role} that can be reached (${peers})`);
  return notYet(`${name} has no primary (${peers})`, {
    hint: 'an election needs most of its members: are their pods up, and do they reach each other?',
  });
}

const copying = 'a member copies the data of another one first (STARTUP2, RECOVERING): look at rs.status()';

/** Logs in, and asks what clients ask. */
async function use(member: Member, demands: Settled, { redact }: TalkContext, probe: Probe): Promise<Answer> {
  const { conversation, mechanisms, role, set } = member;
  const { peer } = conversation;
  const shown =
    set === undefined
      ? role === 'uninitiated'
        ? 'not initiated yet'
        : 'a server alone, or a router'
      : `${role} of ${excerpt(JSON.stringify(set), 100, redact)}`;
  // Neither knows a user.
  if (hasNoData(member)) return satisfied(`answers hello (${shown}, ${peer})`);
  try {
    if (demands.login !== undefined) {
      probe.phase(`logging in to ${peer}`);
      const refused = await logInToMongodb(conversation, demands.login, mechanisms, redact);
      if (refused !== undefined) return refused;
      probe.reached?.('login');
    }
    const absent: string[] = [];
    // Without a collection to look for, it tells whether a login is needed.
    const { database, collections } = demands;
    for (const collection of collections.length > 0 ? collections : ['']) {
      probe.phase(`asking ${peer} for ${collection === '' ? 'its collections' : JSON.stringify(collection)}`);
      const answer = await askMongodb(conversation, database, {
        listCollections: 1,
        filter: { name: collection },
        nameOnly: true,
        authorizedCollections: true,
        $readPreference: { mode: 'primaryPreferred' },
      });
      const error = mongodbErrorIn(answer);
      if (error !== undefined) return judgeMongodbError(error, peer, redact);
      if (collection !== '' && !hasEntry(answer, collection)) absent.push(JSON.stringify(collection));
    }
    if (absent.length > 0)
      return notYet(
        `has no collection ${absent.join(', ')} in the database ${JSON.stringify(database)} that the user may see (${peer})`,
        {
          hint: 'whoever makes it, a migration or a restore, has not done so yet, or the user has no right on it',
          absent: true,
        },
      );
    return satisfied(`answers (${shown}, ${peer})`);
  } catch (error) {
    return judgeFault(error, peer);
  }
}

/** Whether a list of collections has this one: what answers may not have heard the filter. */
function hasEntry(answer: BsonDocument, collection: string): boolean {
  const cursor = answer.get('cursor');
  const batch = cursor instanceof Map ? (cursor as BsonDocument).get('firstBatch') : undefined;
  if (!(batch instanceof Map)) throw new NotMongodb();
  return [...batch.values()].some(
    (entry) => entry instanceof Map && (entry as BsonDocument).get('name') === collection,
  );
}

function judgeFault(error: unknown, peer: string): NotYet {
  if (error instanceof NotMongodb || error instanceof AnswerTooLong)
    return notYet(`what answers there is not MongoDB (${peer})`, {
      hint: 'is it the right port, and tls=true as the server has TLS? a new Service can lead elsewhere until this node’s kube-proxy knows it',
    });
  return judgeConnection(error, peer);
}
