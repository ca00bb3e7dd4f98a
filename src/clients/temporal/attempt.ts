import { exitStatus } from '../../core/exit-status.ts';
import {
  never,
  notYet,
  satisfied,
  type Answer,
  type Never,
  type NotYet,
  type Probe,
} from '../../wait/attempt.ts';
import type { ConnectionContext } from '../connection/open.ts';
import { notGrpc, openGrpc, type GrpcPlace, type GrpcReply } from '../grpc/call.ts';
import { checkGrpcHealth, judgeGrpcStatus, type GrpcHints, type GrpcTalk } from '../grpc/health.ts';
import { NotProtobuf, protobufField, protobufFields } from '../grpc/message.ts';

export interface TemporalDemands {
  readonly place: GrpcPlace;
  /** A namespace that must be there. */
  readonly namespace: string | undefined;
  /** A task queue of that namespace, or of `default`, that workers must poll. */
  readonly taskQueue: string | undefined;
}

const service = 'temporal.api.workflowservice.v1.WorkflowService';

/**
 * One attempt: the health of the frontend, the namespace, the workers of a task queue. Its calls are those of
 * temporal/api/workflowservice/v1/service.proto (https://github.com/temporalio/api), with the few fields that are needed.
 */
export async function attemptTemporal(
  { place, namespace, taskQueue }: TemporalDemands,
  context: ConnectionContext & { readonly redact: (text: string) => string },
  probe: Probe,
): Promise<Answer> {
  const opened = await openGrpc(place, context, probe);
  if ('state' in opened) return opened;
  using connection = opened;
  const { peer } = connection;
  const talk: GrpcTalk = { connection, probe, redact: context.redact };
  const wrong =
    (await checkGrpcHealth(talk, service)) ??
    (namespace === undefined ? undefined : await findNamespace(talk, namespace)) ??
    (taskQueue === undefined ? undefined : await findWorkers(talk, namespace ?? 'default', taskQueue));
  return wrong ?? satisfied(`its frontend is SERVING (${peer})`);
}

/** @returns undefined where it is there */
async function findNamespace(talk: GrpcTalk, namespace: string): Promise<NotYet | Never | undefined> {
  const { connection, probe } = talk;
  const shown = JSON.stringify(namespace);
  probe.phase(`asking ${connection.peer} for the namespace ${shown}`);
  // DescribeNamespaceRequest: namespace = 1.
  const reply = await connection.call(`/${service}/DescribeNamespace`, protobufField(1, namespace));
  if (reply.state !== 'replied') return reply;
  return judged(reply, talk, namespace);
}

/** @returns undefined where at least one worker polls it */
async function findWorkers(
  talk: GrpcTalk,
  namespace: string,
  taskQueue: string,
): Promise<NotYet | Never | undefined> {
  const { connection, probe } = talk;
  const { peer } = connection;
  const shown = JSON.stringify(taskQueue);
  probe.phase(`asking ${peer} for the workers of the task queue ${shown}`);
  // DescribeTaskQueueRequest: namespace = 1, task_queue = 2 { name = 1 }, task_queue_type = 3 { WORKFLOW = 1 }.
  const reply = await connection.call(
    `/${service}/DescribeTaskQueue`,
    Buffer.concat([
      protobufField(1, namespace),
      protobufField(2, protobufField(1, taskQueue)),
      Buffer.from([3 << 3, 1]),
    ]),
  );
  if (reply.state !== 'replied') return reply;
  if (reply.status !== 'OK') return judged(reply, talk, namespace);
  try {
    // DescribeTaskQueueResponse: pollers = 1.
    if (protobufFields(reply.body).some(({ number }) => number === 1)) return undefined;
  } catch (error) {
    if (error instanceof NotProtobuf) return notGrpc(peer);
    throw error;
  }
  return notYet(
    `has no worker at the task queue ${shown} of the namespace ${JSON.stringify(namespace)} (${peer})`,
    {
      hint: 'the workers have not started yet, or poll another task queue or namespace',
      absent: true,
    },
  );
}

function judged(reply: GrpcReply, talk: GrpcTalk, namespace: string): NotYet | Never | undefined {
  const { peer } = talk.connection;
  if (reply.status === 'OK') return undefined;
  const shown = JSON.stringify(namespace);
  if (reply.status === 'NOT_FOUND')
    return notYet(`has no namespace ${shown} (${peer})`, {
      hint: 'whoever makes it has not done so yet (temporal operator namespace create)',
      absent: true,
    });
  if (reply.status === 'INVALID_ARGUMENT')
    return never(exitStatus.refused, `takes no namespace ${shown} (${peer})`, 'look at the name');
  return judgeGrpcStatus(reply, talk, hints);
}

const hints: GrpcHints = {
  UNIMPLEMENTED: 'what answers there is not Temporal’s frontend, whose port is 7233',
  UNAUTHENTICATED:
    'it wants credentials: header-env=Authorization=VARIABLE with `Bearer` and the API key, or cert-file and key-file',
  PERMISSION_DENIED: 'the API key or certificate gives no right to that namespace',
};
