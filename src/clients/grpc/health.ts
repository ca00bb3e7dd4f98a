import { excerpt } from '../../core/excerpt.ts';
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
import { notGrpc, openGrpc, type GrpcConnection, type GrpcPlace, type GrpcReply } from './call.ts';
import { NotProtobuf, protobufField, protobufFields } from './message.ts';

export interface GrpcHealthDemands {
  readonly place: GrpcPlace;
  /** The service whose health is asked for; empty for the server as a whole. */
  readonly service: string;
}

/** Where an attempt stands, for those that make its calls. */
export interface GrpcTalk {
  readonly connection: GrpcConnection;
  readonly probe: Probe;
  readonly redact: (text: string) => string;
}

/** One attempt: grpc.health.v1.Health/Check (https://github.com/grpc/grpc/blob/master/doc/health-checking.md). */
export async function attemptGrpcHealth(
  { place, service }: GrpcHealthDemands,
  context: ConnectionContext & { readonly redact: (text: string) => string },
  probe: Probe,
): Promise<Answer> {
  const opened = await openGrpc(place, context, probe);
  if ('state' in opened) return opened;
  using connection = opened;
  const { peer } = connection;
  const answer = await checkGrpcHealth({ connection, probe, redact: context.redact }, service);
  return answer ?? satisfied(`is SERVING (${peer})`);
}

/** @returns undefined where it serves */
export async function checkGrpcHealth(talk: GrpcTalk, service: string): Promise<NotYet | Never | undefined> {
  const { connection, probe } = talk;
  const { peer } = connection;
  const whose = service === '' ? '' : ` of ${JSON.stringify(service)}`;
  probe.phase(`asking ${peer} for the health${whose}`);
  const request = service === '' ? Buffer.alloc(0) : protobufField(1, service);
  const reply = await connection.call('/grpc.health.v1.Health/Check', request);
  if (reply.state !== 'replied') return reply;
  probe.reached?.('protocol');
  if (reply.status === 'NOT_FOUND') return unknownService(service, peer);
  if (reply.status !== 'OK') return judgeGrpcStatus(reply, talk, healthHints);
  switch (servingStatus(reply.body)) {
    case 1:
      return undefined;
    case 2:
      return notYet(`the health${whose} is NOT_SERVING (${peer})`, {
        hint: 'it is up, but not ready, or about to stop: its own log tells what it waits for',
        absent: true,
      });
    case 3:
      return unknownService(service, peer);
    case 0:
      return notYet(`the health${whose} is UNKNOWN (${peer})`, {
        hint: 'the server has set no health yet',
        absent: true,
      });
    case undefined:
    default:
      return notGrpc(peer);
  }
}

/** Of a message that leaves it out, it is 0. @returns undefined of what is no HealthCheckResponse */
function servingStatus(body: Buffer): number | undefined {
  try {
    const value = protobufFields(body).findLast(({ number }) => number === 1)?.value ?? 0;
    return typeof value === 'number' ? value : undefined;
  } catch (error) {
    if (error instanceof NotProtobuf) return undefined;
    throw error;
  }
}

function unknownService(service: string, peer: string): NotYet {
  return notYet(`the server has no health of ${JSON.stringify(service)} (SERVICE_UNKNOWN, ${peer})`, {
    hint: 'it has not registered that service yet; or is it the name that its health service knows, with its package?',
    absent: true,
  });
}

/** What to look at where a call is refused for good, by its status. */
export type GrpcHints = Readonly<Record<'UNIMPLEMENTED' | 'UNAUTHENTICATED' | 'PERMISSION_DENIED', string>>;

const healthHints: GrpcHints = {
  UNIMPLEMENTED:
    'the server has no health service (grpc.health.v1.Health): register it, or wait for the port alone by tcp://HOST:PORT',
  UNAUTHENTICATED:
    'it wants credentials for its health: give them by header-env=Authorization=VARIABLE or header-file, or cert-file and key-file; or let the health service need none',
  PERMISSION_DENIED:
    'it refuses us: look at the credentials that are sent, and at a mesh’s authorization policy',
};

/** Says why a call has failed, and whether waiting may help. */
export function judgeGrpcStatus(
  { status, message }: GrpcReply,
  { connection: { peer }, redact }: Pick<GrpcTalk, 'connection' | 'redact'>,
  hints: GrpcHints,
): NotYet | Never {
  const words = message === '' ? '' : ` ${JSON.stringify(excerpt(message, mostShown, redact))}`;
  const said = `answered ${status}${words} (${peer})`;
  const hint = isRefusal(status) ? hints[status] : undefined;
  // A proxy whose route is not there yet says UNIMPLEMENTED without a word; servers name what they lack.
  if (hint !== undefined && !(status === 'UNIMPLEMENTED' && message === ''))
    return never(exitStatus.refused, said, hint);
  return notYet(said, {
    hint: hint ?? otherHints[status],
    busy: status === 'RESOURCE_EXHAUSTED' ? {} : undefined,
  });
}

function isRefusal(status: string): status is keyof GrpcHints {
  return status === 'UNIMPLEMENTED' || status === 'UNAUTHENTICATED' || status === 'PERMISSION_DENIED';
}

/** Characters of a server's words that are shown. */
const mostShown = 300;

const otherHints: Readonly<Record<string, string>> = {
  UNAVAILABLE:
    'it is not ready, or a proxy in between finds nothing behind it: look at the Service that it sends to',
  DEADLINE_EXCEEDED: 'a proxy in between has waited for the server without an answer',
  RESOURCE_EXHAUSTED: 'it is asked too often, by this or by others',
};
