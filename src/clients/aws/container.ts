import { asObject, asString, parseJson } from '../../config/json.ts';
import type { Environment } from '../../core/context.ts';
import { excerpt } from '../../core/excerpt.ts';
import { exitStatus } from '../../core/exit-status.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { readInput, whyUnread } from '../../fs/input-file.ts';
import { never, notYet, type Busy, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import { credentialsHint } from './faults.ts';
import type { Keys } from './signature.ts';

/** ECS's agent, at which the relative variable points (https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html). */
const ecs = 'http://169.254.170.2';
/** Where credentials may be asked for without TLS: the same page, EKS's agent among them. */
const trusted = /^(169\.254\.170\.2|169\.254\.170\.23|\[fd00:ec2::23\]|127\.[\d.]+|\[::1\]|localhost)$/;

/** In bytes. */
const longestToken = 1 << 20;

/** What an agent for credentials answered. */
export type AgentReply =
  | {
      readonly state: 'answer';
      readonly status: number;
      readonly body: string;
      readonly busy: Busy | undefined;
    }
  | NotYet
  | Never;

/** Sends a GET. */
export type AskAgent = (
  url: URL,
  headers: Readonly<Record<string, string>>,
  probe: Probe,
) => Promise<AgentReply>;

/** The agent of EKS Pod Identity or ECS that the environment names; undefined where it names none that may be asked. */
export function agentOf(environment: Environment): URL | undefined {
  const relative = environment['AWS_CONTAINER_CREDENTIALS_RELATIVE_URI'];
  const text = relative ? `${ecs}${relative}` : environment['AWS_CONTAINER_CREDENTIALS_FULL_URI'];
  const url = text && URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && (url.protocol === 'https:' || trusted.test(url.hostname)) ? url : undefined;
}

/** Keys, as the SDK's providers give them. */
export interface TemporaryKeys extends Keys {
  readonly sessionToken?: string;
  readonly expiration?: Date;
  /** The provider that gave them, by the SDK's own marks. */
  readonly $source?: Readonly<Record<string, string>>;
}

interface Asking {
  readonly environment: Environment;
  readonly redactor: Redactor;
  readonly ask: AskAgent;
  readonly probe: Probe;
  /** Take its keys; false where they are the SDK's to use, and only its refusal counts. */
  readonly use: boolean;
}

/**
 * Asks the agent for keys, once. An agent starts with its node, and later than some pods.
 */
export async function askForKeys(url: URL, asking: Asking): Promise<TemporaryKeys | NotYet | Never> {
  const { environment, redactor, ask, probe } = asking;
  const name = `the agent for credentials at ${url.host}`;
  const file = environment['AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE'];
  let token = environment['AWS_CONTAINER_AUTHORIZATION_TOKEN'] ?? '';
  try {
    if (file) token = readInput(file, longestToken).toString().trim();
  } catch (error) {
    return never(
      exitStatus.usage,
      `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: the file ${file} ${whyUnread(error)}`,
      'is the projected token mounted in this init container, and may this user read it (runAsUser, fsGroup)?',
    );
  }
  redactor.secret(token);
  const reply = await ask(url, token === '' ? {} : { Authorization: token }, probe);
  if (reply.state !== 'answer') return { ...reply, reason: `${name}: ${reply.reason}` };
  const { status, busy } = reply;
  if (status === 200) {
    const keys = keysIn(reply.body, redactor);
    if (typeof keys === 'string') return notYet(`${name} answered 200 with a broken body: ${keys}`, { busy });
    return asking.use ? keys : notYet(`${name} gave none a moment ago, and does now`);
  }
  if (status === 429 || status >= 500) return notYet(`${name} answered ${status}`, { busy });
  return never(
    exitStatus.refused,
    `${name} answered ${status}${wordsIn(reply.body, redactor)}`,
    credentialsHint,
  );
}

/** What goes into a header. */
const sendable = /^[\x21-\x7e]+$/;

/** RFC 3339. */
const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/i;

/** The keys in an agent's answer, or what is wrong with it, with nothing of it. */
function keysIn(body: string, redactor: Redactor): TemporaryKeys | string {
  let object: ReturnType<typeof asObject>;
  try {
    object = asObject(parseJson(body));
  } catch (error) {
    return (error as Error).message;
  }
  const [id, key, session, end] = ['AccessKeyId', 'SecretAccessKey', 'Token', 'Expiration'].map((name) =>
    asString(object?.[name]),
  );
  for (const value of [key, session]) if (value) redactor.secret(value);
  if (id === undefined || !sendable.test(id)) return 'AccessKeyId is not a key';
  if (key === undefined || !sendable.test(key)) return 'SecretAccessKey is not a key';
  if (session === undefined || !sendable.test(session)) return 'Token is not a token';
  const expiration = new Date(end !== undefined && time.test(end) ? end : Number.NaN);
  if (Number.isNaN(expiration.getTime())) return 'Expiration is not a time';
  return {
    accessKeyId: id,
    secretAccessKey: key,
    sessionToken: session,
    expiration,
    $source: { CREDENTIALS_HTTP: 'z' },
  };
}

function wordsIn(body: string, { redact }: Redactor): string {
  try {
    const object = asObject(parseJson(body));
    const words = asString(object?.['message']) ?? asString(object?.['Message']);
    return words === undefined ? '' : `: ${excerpt(words, 200, redact)}`;
  } catch {
    return '';
  }
}
