import { exitStatus } from '../../core/exit-status.ts';
import { shownHostPort } from '../../core/host-port.ts';
import { never, notYet, satisfied, type Answer, type Probe } from '../../wait/attempt.ts';
import { AnswerTooLong, ConnectionEnded, type ServerConversation } from '../connection/conversation.ts';
import { openConversation, type ConnectionPlace } from '../connection/open.ts';
import { noneOfThem, talkTo, type TalkContext } from '../connection/talk.ts';
import { logInToKafka, type KafkaLogin } from './login.ts';
import { askKafka, kafkaNumber, kafkaRequest, kafkaText, NotKafka, type KafkaFields } from './wire.ts';

export interface KafkaDemands {
  readonly endpoints: readonly ConnectionPlace['endpoint'][];
  /** Undefined without TLS. */
  readonly tls: ConnectionPlace['tls'];
  /** Undefined without SASL. */
  readonly login: KafkaLogin | undefined;
  /** How many brokers must have joined. */
  readonly brokers: number;
  readonly topics: readonly string[];
  /** Of each topic, at least. */
  readonly partitions: number;
  /** Of each partition, at least. */
  readonly inSync: number;
}

/**
 * One attempt, at each of the servers: ApiVersions, a login by SASL, Metadata, and a connection to each broker that a
 * client would be sent to. A few bytes of our own: @platformatic/kafka takes 285 ms of CPU to load, five times what all
 * of initbox takes.
 */
export async function attemptKafka(
  demands: KafkaDemands,
  context: TalkContext,
  probe: Probe,
): Promise<Answer> {
  const answers = await Promise.all(
    demands.endpoints.map((endpoint) => attemptOne(endpoint, demands, context, probe)),
  );
  // One is enough, as for clients.
  return (
    answers.find((answer) => answer.state === 'satisfied') ??
    noneOfThem(answers.filter((answer) => answer.state !== 'satisfied'))
  );
}

async function attemptOne(
  endpoint: ConnectionPlace['endpoint'],
  demands: KafkaDemands,
  context: TalkContext,
  probe: Probe,
): Promise<Answer> {
  let known = false;
  return talkTo(
    { endpoint, tls: demands.tls },
    context,
    probe,
    async (conversation) => {
      const { peer } = conversation;
      probe.phase(`asking ${peer} for its versions`);
      const versions = await askKafka(conversation, kafkaRequest.apiVersions);
      if (versions.number(2) !== 0) throw new NotKafka();
      known = true;
      probe.reached?.('protocol');
      if (demands.login !== undefined) {
        probe.phase(`logging in to ${peer}`);
        const refused = await logInToKafka(conversation, demands.login, context.redact);
        if (refused !== undefined) return refused;
        probe.reached?.('login');
      }
      const cluster = await askForCluster(conversation, demands.topics, probe);
      return (
        judgeCluster(cluster, demands, peer) ?? (await reachBrokers(cluster, demands, context, probe, peer))
      );
    },
    (error, peer) => {
      if (error instanceof NotKafka || error instanceof AnswerTooLong)
        return notYet(`what answers there is not Kafka (${peer})`, {
          hint: 'is it the right port, and kafka:// or kafkas:// as the listener has TLS?',
        });
      // A listener with SASL breaks the connection of who asks before a login.
      if (error instanceof ConnectionEnded && known && demands.login === undefined)
        return notYet(`closes the connection instead of an answer (${peer})`, {
          hint: 'does the listener want a login? give user, password-file and sasl-mechanism',
        });
      return undefined;
    },
  );
}

interface Broker {
  readonly id: number;
  readonly host: string;
  readonly port: number;
}

interface Partition {
  readonly error: number;
  readonly index: number;
  readonly leader: number;
  readonly inSync: number;
}

interface Topic {
  readonly error: number;
  readonly name: string;
  /** Where one is named several times, all that is said of it must be right; it is one all the same. */
  readonly partitions: readonly Partition[];
}

interface Cluster {
  readonly brokers: readonly Broker[];
  readonly topics: readonly Topic[];
}

async function askForCluster(
  conversation: ServerConversation,
  topics: readonly string[],
  probe: Probe,
): Promise<Cluster> {
  probe.phase(`asking ${conversation.peer} for its brokers${topics.length > 0 ? ' and topics' : ''}`);
  const answer = await askKafka(
    conversation,
    kafkaRequest.metadata,
    kafkaNumber(topics.length),
    ...topics.map(kafkaText),
    // Makes no topic.
    Buffer.from([0]),
  );
  answer.number(4);
  const brokers = answer.list(() => {
    const broker = { id: answer.number(4), host: answer.text() ?? '', port: answer.number(4) };
    answer.text();
    return broker;
  });
  answer.text();
  answer.number(4);
  // One that is named twice is one.
  const different = [...new Map(brokers.map((broker) => [broker.id, broker])).values()];
  return { brokers: different, topics: answer.list(() => readTopic(answer)) };
}

function readTopic(answer: KafkaFields): Topic {
  const [error, name] = [answer.number(2), answer.text() ?? ''];
  answer.number(1);
  const partitions = answer.list((): Partition => {
    const [wrong, index, leader] = [answer.number(2), answer.number(4), answer.number(4)];
    answer.list(() => answer.number(4));
    return { error: wrong, index, leader, inSync: new Set(answer.list(() => answer.number(4))).size };
  });
  return { error, name, partitions };
}

/** Errors (https://kafka.apache.org/protocol#protocol_error_codes). */
const unknownTopic = 3;
const invalidTopic = 17;
/** LEADER_NOT_AVAILABLE, and LISTENER_NOT_FOUND: the leader has no address for this listener. That replicas are missing (9) is none. */
const leaderErrors: ReadonlySet<number> = new Set([5, 72]);
const topicForbidden = 29;

/** @returns what is missing; undefined where all is there */
function judgeCluster(
  { brokers, topics }: Cluster,
  { brokers: wanted, topics: names, partitions: fewest, inSync }: KafkaDemands,
  peer: string,
): Answer | undefined {
  if (brokers.length < wanted)
    return notYet(`has ${brokers.length} of ${wanted} brokers (${peer})`, {
      hint: 'the others have not joined yet: look at their pods and logs',
    });
  for (const name of names) {
    const shown = JSON.stringify(name);
    const topic = topics.find((candidate) => candidate.name === name);
    if (topic === undefined) throw new NotKafka();
    if (topic.error === topicForbidden)
      return never(
        exitStatus.refused,
        `no right to see the topic ${shown} (${peer})`,
        'the user needs the right Describe on it: kafka-acls --add --operation Describe',
      );
    if (topic.error === invalidTopic)
      return never(exitStatus.refused, `${shown} is not the name of a topic (${peer})`);
    if (topic.error === unknownTopic)
      return notYet(`has no topic ${shown} (${peer})`, {
        hint: 'whoever makes it has not done so yet; this wait makes none, even where the server would',
        absent: true,
      });
    const partitions = differentPartitions(topic.partitions);
    if (partitions < fewest)
      return notYet(`the topic ${shown} has ${partitions} of ${fewest} partitions (${peer})`);
    const headless = topic.partitions.filter(
      ({ error, leader }) =>
        leaderErrors.has(error) || leader < 0 || !brokers.some((broker) => broker.id === leader),
    );
    if (topic.error !== 0 || headless.length > 0)
      return notYet(
        `the topic ${shown} has no leader for ${differentPartitions(headless)} of ${partitions} partitions (${peer})`,
        { hint: 'the brokers that hold them are not up: look at their pods and logs' },
      );
    const behind = topic.partitions.find((partition) => partition.inSync < inSync);
    if (behind !== undefined)
      return notYet(
        `partition ${behind.index} of the topic ${shown} has ${behind.inSync} of ${inSync} replicas in sync (${peer})`,
        { hint: 'the others copy, or their brokers are not up' },
      );
  }
  return undefined;
}

function differentPartitions(partitions: readonly Partition[]): number {
  return new Set(partitions.map(({ index }) => index)).size;
}

/** More are not connected to: of a large cluster it is enough that most can be reached. */
const mostBrokers = 20;

/** Connects where a client would be sent to: the leaders of the topics, or every broker. */
async function reachBrokers(
  { brokers, topics }: Cluster,
  { tls }: KafkaDemands,
  context: TalkContext,
  probe: Probe,
  peer: string,
): Promise<Answer> {
  const leaders = new Set(topics.flatMap((topic) => topic.partitions.map((partition) => partition.leader)));
  const meant = brokers
    .filter((broker) => topics.length === 0 || leaders.has(broker.id))
    .slice(0, mostBrokers);
  const quiet: Probe = { signal: probe.signal, phase: (text) => probe.phase(text) };
  const failures = await Promise.all(
    meant.map(async ({ id, host, port }) => {
      if (host === '' || port < 1 || port > 65_535)
        return notYet(
          `broker ${id} tells clients to use ${host === '' ? 'no host' : `port ${port}`} (${peer})`,
          { hint: 'look at advertised.listeners of that broker' },
        );
      const opened = await openConversation({ endpoint: { kind: 'tcp', host, port }, tls }, context, quiet);
      if (!('state' in opened)) {
        opened[Symbol.dispose]();
        return undefined;
      }
      const reason = `broker ${id} tells clients to use ${context.redact(shownHostPort(host, port))}: ${opened.reason}`;
      return opened.state === 'never'
        ? never(opened.status, reason, opened.hint)
        : notYet(reason, {
            hint: 'is advertised.listeners of that broker an address that this pod can reach?',
          });
    }),
  );
  return (
    failures.find((failure) => failure?.state === 'never') ??
    failures.find((failure) => failure !== undefined) ??
    satisfied(`answers, with ${brokers.length} broker${brokers.length === 1 ? '' : 's'} (${peer})`)
  );
}
