import type { ClientRequest, Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';

import {
  GetSecretValueCommand,
  SecretsManagerClient,
  type GetSecretValueCommandOutput,
} from '@aws-sdk/client-secrets-manager';

import { pickFromBytes, registerContent } from '../../config/fields.ts';
import { JsonFault, parseJson } from '../../config/json.ts';
import type { FetchAnswer, ReadSource, SourceAddress } from '../../config/source.ts';
import type { Clock } from '../../core/clock.ts';
import type { Environment } from '../../core/context.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { GrowingBytes } from '../../core/growing-bytes.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { SaidText } from '../../core/said-text.ts';
import { withVariables } from '../../process/variables.ts';
import {
  never,
  notYet,
  satisfied,
  type Answer,
  type Busy,
  type Never,
  type NotYet,
  type Probe,
} from '../../wait/attempt.ts';
import {
  callerArn,
  callerEndpoint,
  callerRefusal,
  callerRequest,
  isRole,
  type SignedRequest,
} from './caller.ts';
import { agentOf, askForKeys, type AgentReply, type AskAgent, type TemporaryKeys } from './container.ts';
import {
  AnswerTooLarge,
  credentialsHint,
  faultOf,
  isThrottling,
  type SdkError,
  type SecretScene,
} from './faults.ts';
import { largestAnswer, overhear, type Overheard } from './overheard.ts';
import { regionOf } from './region.ts';
import { asksOthers, hideSecrets } from './shared-files.ts';
import { trimmedKeys } from './variables.ts';

export interface SecretsManagerSettings {
  /** Take the credentials of the node where nothing else is configured. */
  readonly imds: boolean;
  /** The name or ARN of the role that must have answered. */
  readonly expectRole: string | undefined;
}

export interface SecretsManagerParts {
  readonly environment: Environment;
  readonly redactor: Redactor;
  readonly clock: Clock;
  readonly agents: { readonly httpAgent: HttpAgent; readonly httpsAgent: HttpsAgent };
  /** Whether a request is one of our own client, which bounds what it takes. */
  readonly boundsItsAnswer: (request: ClientRequest) => boolean;
  /** Sends a request that is signed already. */
  readonly post: (request: SignedRequest, probe: Probe) => Promise<AgentReply>;
  /** Sends a GET that no proxy may see. */
  readonly askAgent: AskAgent;
  /** What the head of an answer says about the next request. */
  readonly busyOf: (head: Overheard, now: Date) => Busy | undefined;
  /** What a connection of the agents failed with, in words; undefined where it is none of theirs. */
  readonly connectionFault: (error: unknown, now: Date) => NotYet | Never | undefined;
  readonly warn: (words: string) => void;
}

export interface SecretsManager {
  readonly name: string;
  /** One attempt to get credentials, and to see whose they are. */
  logIn(probe: Probe): Promise<Answer>;
  reader(address: SourceAddress): ReadSource;
}

/** Milliseconds; the SDK's own socket timeout is five minutes. */
const timeouts = { connectionTimeout: 3_000, requestTimeout: 15_000, throwOnRequestTimeout: true };

/** Where the credentials came from, by the SDK's own marks, in words. */
const providers: readonly (readonly [mark: string, words: string])[] = [
  ['CREDENTIALS_ENV_VARS_STS_WEB_ID_TOKEN', 'web identity (IRSA)'],
  ['CREDENTIALS_ENV_VARS', 'environment keys'],
  ['CREDENTIALS_HTTP', 'container credentials (EKS Pod Identity or ECS)'],
  ['CREDENTIALS_IMDS', 'the node’s role (IMDS)'],
  ['CREDENTIALS_PROCESS', 'a credential process'],
  ['CREDENTIALS_SSO', 'SSO'],
  ['CREDENTIALS_PROFILE', 'a profile'],
];

/** Characters of a warning of the SDK that are shown. */
const longestWarning = 1000;

/** The SDK's own collector keeps a list of pieces, without a bound. */
async function collectAnswer(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const kept = new GrowingBytes();
  for await (const piece of stream) {
    kept.add(piece);
    if (kept.length > largestAnswer) throw new AnswerTooLarge('it has more than 1 MiB');
  }
  const bytes = kept.taken();
  try {
    parseJson(Buffer.from(bytes).toString());
  } catch (error) {
    if (error instanceof JsonFault && error.kind === 'values') throw new AnswerTooLarge(error.message);
    // What else is wrong with it, the SDK finds.
  }
  return bytes;
}

/** Milliseconds before their end at which credentials are renewed, as the SDK does. */
const renewal = 300_000;

/** Secrets Manager through the AWS SDK, one attempt each: the loop above repeats, under one deadline. */
export function createSecretsManager(
  addresses: readonly SourceAddress[],
  settings: SecretsManagerSettings,
  parts: SecretsManagerParts,
): SecretsManager {
  const { environment, redactor, clock } = parts;
  const clients = new Map<string, SecretsManagerClient>();
  let caller = '';
  const told = new Set<string>();
  /** What the SDK has to say, once: it says it again with each attempt. */
  const tell = (words: string): void => {
    if (!told.has(words)) parts.warn(SaidText.shown([new SaidText(words)], longestWarning, redactor.redact));
    told.add(words);
  };

  let held: TemporaryKeys | undefined;
  /** Of these keys it is known whose they are. */
  let identified: TemporaryKeys | undefined;
  let renewing: Promise<TemporaryKeys | NotYet | Never> | undefined;

  const common = (region: string | undefined) => ({
    ...(region === undefined ? {} : { region }),
    // The loop above repeats; the SDK's own three tries are over in 354 ms.
    maxAttempts: 1,
    // For the providers of the chain, which are given all this.
    maxRetries: 0,
    requestHandler: { ...timeouts, ...parts.agents },
    streamCollector: collectAnswer,
    // Without one it writes to the console, past the redactor.
    logger: { trace() {}, debug() {}, info() {}, warn: (words: string) => tell(words), error() {} },
  });

  const clientFor = (address: SourceAddress): SecretsManagerClient => {
    const region = regionOf(address, environment);
    const known = clients.get(region ?? '');
    if (known !== undefined) return known;
    const client = new SecretsManagerClient({
      ...common(region),
      // By itself it would look for them again, unseen by the redactor.
      credentials: () =>
        held === undefined ? Promise.reject(new Error('nobody logged in')) : Promise.resolve(held),
    });
    clients.set(region ?? '', client);
    return client;
  };

  /** What the chain of the SDK finds, and after it the agent that speaks for this container. */
  const obtain = async (probe: Probe, first: SourceAddress): Promise<TemporaryKeys | NotYet | Never> => {
    probe.phase('getting AWS credentials');
    using answers = overhear(parts.boundsItsAnswer);
    // Each time: a token of a service account is renewed while we wait.
    hideSecrets(environment, redactor);
    const agent = agentOf(environment);
    // The SDK asks it up to five times, knows no Retry-After, no AWS_CA_BUNDLE, and does not say what it answered.
    const ours = agent !== undefined && !asksOthers(environment);
    // A client of its own, which remembers nothing.
    const client = new SecretsManagerClient(common(regionOf(first, environment)));
    const variables = {
      // For the client of STS, which the chain makes by itself.
      AWS_MAX_ATTEMPTS: '1',
      // The chain's last resort is the node's role, which most often is not meant: a missed Pod Identity ends there.
      ...(settings.imds && !ours ? {} : { AWS_EC2_METADATA_DISABLED: 'true' }),
      ...trimmedKeys(environment),
      ...(ours ? { AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '', AWS_CONTAINER_CREDENTIALS_FULL_URI: '' } : {}),
    };
    try {
      return (await withVariables(variables, () => client.config.credentials())) as TemporaryKeys;
    } catch (error) {
      if (answers.tooLarge !== undefined) return faulty(answers.tooLarge, first, 'the region', 'credentials');
      const { name, message } = error as Error;
      const none = name === 'CredentialsProviderError';
      if (agent !== undefined && (ours ? none && /from any providers/.test(message) : none))
        return askForKeys(agent, { environment, redactor, ask: parts.askAgent, probe, use: ours });
      return (
        patienceAsked(error as SdkError, answers.last) ??
        faulty(error as SdkError, first, 'the region', 'credentials')
      );
    }
  };

  /** What an error of a provider, which has no answer in it, was made of. */
  const patienceAsked = (error: SdkError, answer: Overheard | undefined): NotYet | undefined => {
    if (error.$response !== undefined || !/^(Credentials|Token)ProviderError$/.test(error.name))
      return undefined;
    const { status = 0 } = answer ?? {};
    const throttled = status === 429 || isThrottling(error.message);
    if (answer === undefined || (!throttled && status < 500)) return undefined;
    const busy = parts.busyOf(answer, clock.date());
    return notYet(`what gives the credentials answered ${status}`, {
      busy: throttled ? (busy ?? {}) : busy,
    });
  };

  /** Undefined where the credentials are good for some time. */
  const renew = async (probe: Probe, first: SourceAddress): Promise<NotYet | Never | undefined> => {
    if (held !== undefined && !endsSoon(held, clock.date())) return undefined;
    renewing ??= obtain(probe, first).finally(() => (renewing = undefined));
    const found = await renewing;
    if ('state' in found) return found;
    redactor.secret(found.secretAccessKey);
    if (found.sessionToken) redactor.secret(found.sessionToken);
    held = found;
    return undefined;
  };

  const identify = async (first: SourceAddress, probe: Probe): Promise<Answer> => {
    const without = await renew(probe, first);
    if (without !== undefined || held === undefined) return without ?? notYet('no answer yet');
    const found = held;
    const provider = providers.find(([mark]) => found.$source?.[mark] !== undefined);
    const webRole =
      provider?.[0] === 'CREDENTIALS_ENV_VARS_STS_WEB_ID_TOKEN' ? environment['AWS_ROLE_ARN'] : undefined;
    caller = [provider?.[1] ?? 'an unnamed provider', ...(webRole ? [webRole] : [])].join(', ');
    const from = `credentials from ${caller}`;
    if (settings.expectRole === undefined) {
      identified = found;
      return satisfied(from);
    }
    let arn = webRole;
    if (arn === undefined) {
      const { config } = clientFor(first);
      const region = await config.region();
      const beside = config.endpointProvider({
        Region: region,
        UseFIPS: await config.useFipsEndpoint(),
        UseDualStack: await config.useDualstackEndpoint(),
      }).url;
      const url = callerEndpoint(beside, environment);
      const reply = await parts.post(callerRequest(found, region, url, clock.date()), probe);
      const unsaid = 'STS did not say who the credentials belong to';
      if (reply.state !== 'answer') return { ...reply, reason: `${unsaid}: ${reply.reason}` };
      if (reply.status !== 200) {
        const why = callerRefusal(reply.status, reply.body, redactor.redact);
        if (why === undefined) {
          // What it does not refuse below 500 is throttling.
          const busy = reply.busy ?? (reply.status < 500 ? {} : undefined);
          return notYet(`${unsaid}: it answered ${reply.status}`, { busy });
        }
        return never(exitStatus.refused, `${unsaid}: ${why}`, credentialsHint);
      }
      arn = callerArn(reply.body);
      caller = `${caller}, ${arn ?? 'unknown'}`;
    }
    if (arn !== undefined && isRole(arn, settings.expectRole)) {
      identified = found;
      return satisfied(`${from}, which is the expected role (${arn})`);
    }
    return never(
      exitStatus.refused,
      `the ${from} are those of ${arn ?? 'an unknown caller'}, not of the role ${settings.expectRole}`,
      credentialsHint,
    );
  };

  return {
    name: 'AWS',
    async logIn(probe) {
      const [first] = addresses;
      if (first === undefined) return satisfied('nothing to ask');
      try {
        return await identify(first, probe);
      } catch (error) {
        return faulty(error as SdkError, first, 'the region', 'credentials');
      }
    },
    reader: (address) => async (probe) => {
      const client = clientFor(address);
      let region = 'the region';
      try {
        // Keys that were renewed while we waited may come from another provider of the chain, and be another role's.
        if (held === undefined || held !== identified || endsSoon(held, clock.date())) {
          const answer = await identify(address, probe);
          if (answer.state !== 'satisfied') return answer;
        }
        region = await client.config.region();
        const versionId = address.options.get('version');
        const stage = address.options.get('stage');
        const reply = await client.send(
          new GetSecretValueCommand({
            SecretId: address.path,
            ...(versionId === undefined ? {} : { VersionId: versionId }),
            ...(stage === undefined ? {} : { VersionStage: stage }),
          }),
          { abortSignal: probe.signal },
        );
        return fetchedFrom(reply, address);
      } catch (error) {
        if (probe.signal.aborted) return notYet('no answer yet');
        return faulty(error as SdkError, address, region, 'secret');
      }
    },
  };

  function faulty(
    error: SdkError,
    address: SourceAddress,
    region: string,
    doing: SecretScene['doing'],
  ): NotYet | Never {
    const now = clock.date();
    const response = error.$response;
    return faultOf(error, {
      doing,
      id: address.path,
      region,
      caller,
      version: address.options.get('version'),
      stage: address.options.get('stage'),
      now,
      redact: redactor.redact,
      connection: parts.connectionFault(error, now),
      busy: response && parts.busyOf({ status: response.statusCode, headers: response.headers }, now),
    });
  }

  /** The SDK does not look at the types of what it was sent. */
  function fetchedFrom(
    reply: { readonly [Name in keyof GetSecretValueCommandOutput]?: unknown },
    address: SourceAddress,
  ): FetchAnswer {
    const { SecretString: text, SecretBinary: binary, CreatedDate: date } = reply;
    const { VersionId: version, VersionStages: stages } = reply;
    if (!isNone(text) && typeof text !== 'string') return broken('SecretString is not a text');
    const bytes =
      binary instanceof Uint8Array ? binary : typeof text === 'string' ? Buffer.from(text) : undefined;
    if (bytes !== undefined) registerContent(redactor, { kind: 'value', value: bytes });
    if (!isNone(binary) && !(binary instanceof Uint8Array)) return broken('SecretBinary is not base64');
    if (!isNone(version) && typeof version !== 'string') return broken('VersionId is not a text');
    if (!isNone(stages) && !isTexts(stages)) return broken('VersionStages is not a list of texts');
    if (!isNone(date) && !(date instanceof Date && !Number.isNaN(date.getTime())))
      return broken('CreatedDate is not a time');
    // Both are in any answer of Secrets Manager.
    if (bytes === undefined && isNone(reply.ARN) && isNone(reply.Name))
      return broken('it is not about a secret');
    if (bytes === undefined) return never(exitStatus.refused, 'has neither a text nor a binary value');
    const content = pickFromBytes(bytes, address.field);
    if ('state' in content) return content;
    registerContent(redactor, content);
    const staged = stages?.length ? ` (${stages.join(', ')})` : '';
    return {
      state: 'fetched',
      fetched: {
        content,
        secret: true,
        provenance: {
          source: address.text,
          ...(isNone(version) ? {} : { version: `${version}${staged}` }),
          ...(isNone(date) ? {} : { time: date.toISOString() }),
        },
      },
    };
  }
}

function isNone(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string');
}

function broken(why: string): NotYet {
  return notYet(`answered 200 with a broken body: ${why}`);
}

function endsSoon({ expiration }: TemporaryKeys, now: Date): boolean {
  return expiration !== undefined && expiration.getTime() - now.getTime() < renewal;
}
