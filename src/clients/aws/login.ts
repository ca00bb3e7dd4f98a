import type { ClientRequest, Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';

import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';

import { JsonFault, parseJson } from '../../config/json.ts';
import type { SourceAddress } from '../../config/source.ts';
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
import { callerArn, callerRefusal, callerRequest, isRole, type SignedRequest } from './caller.ts';
import { agentOf, askForKeys, type AgentReply, type AskAgent, type TemporaryKeys } from './container.ts';
import { endpointBeside, type AskedService } from './endpoint.ts';
import {
  AnswerTooLarge,
  credentialsHint,
  faultOf,
  isThrottling,
  type AwsScene,
  type SdkError,
} from './faults.ts';
import { largestAnswer, overhear, type Overheard } from './overheard.ts';
import { regionOf } from './region.ts';
import { asksOthers, hideSecrets } from './shared-files.ts';
import { trimmedKeys } from './variables.ts';

export interface AwsSettings {
  /** Take the credentials of the node where nothing else is configured. */
  readonly imds: boolean;
  /** The name or ARN of the role that must have answered. */
  readonly expectRole: string | undefined;
}

export interface AwsParts {
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

/** Where a service is asked, for an address. */
export interface AwsPlace {
  readonly region: string;
  readonly endpoint: URL;
}

/** Who the sources of AWS are read as, the same for all its services. */
export interface AwsLogin {
  readonly name: string;
  /** One attempt to get credentials, and to see whose they are. */
  logIn(probe: Probe): Promise<Answer>;
  /** Keys that are good for some time, and those of the expected role; or why there are none. */
  keys(address: SourceAddress, probe: Probe): Promise<TemporaryKeys | NotYet | Never>;
  /** The SDK's client in the region of an address, with these keys. */
  clientFor(address: SourceAddress): SecretsManagerClient;
  /** Where another service answers. */
  placeOf(service: AskedService, address: SourceAddress): Promise<AwsPlace>;
  /** What went wrong, in words. */
  faulty(error: SdkError, address: SourceAddress, region: string, doing: AwsScene['doing']): NotYet | Never;
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

/** Credentials by the AWS SDK, one attempt each: the loop above repeats, under one deadline. */
export function createAwsLogin(
  addresses: readonly SourceAddress[],
  settings: AwsSettings,
  parts: AwsParts,
): AwsLogin {
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

  const placeOf = async (service: AskedService, address: SourceAddress): Promise<AwsPlace> => {
    const { config } = clientFor(address);
    const region = await config.region();
    const beside = config.endpointProvider({
      Region: region,
      UseFIPS: await config.useFipsEndpoint(),
      UseDualStack: await config.useDualstackEndpoint(),
    }).url;
    return { region, endpoint: endpointBeside(beside, service, environment) };
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
      const { region, endpoint } = await placeOf('sts', first);
      const reply = await parts.post(await callerRequest(found, region, endpoint, clock.date()), probe);
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
    clientFor,
    placeOf,
    faulty,
    async logIn(probe) {
      const [first] = addresses;
      if (first === undefined) return satisfied('nothing to ask');
      try {
        return await identify(first, probe);
      } catch (error) {
        return faulty(error as SdkError, first, 'the region', 'credentials');
      }
    },
    async keys(address, probe) {
      // Keys that were renewed while we waited may come from another provider of the chain, and be another role's.
      if (held === undefined || held !== identified || endsSoon(held, clock.date())) {
        const answer = await identify(address, probe);
        if (answer.state !== 'satisfied') return answer;
      }
      return held ?? notYet('no answer yet');
    },
  };

  function faulty(
    error: SdkError,
    address: SourceAddress,
    region: string,
    doing: AwsScene['doing'],
  ): NotYet | Never {
    const now = clock.date();
    const response = error.$response;
    const { options } = address;
    return faultOf(error, {
      doing,
      id: address.path,
      region,
      caller,
      version: options.get('version') ?? options.get('stage') ?? options.get('label'),
      now,
      redact: redactor.redact,
      connection: parts.connectionFault(error, now),
      busy: response && parts.busyOf({ status: response.statusCode, headers: response.headers }, now),
    });
  }
}

function endsSoon({ expiration }: TemporaryKeys, now: Date): boolean {
  return expiration !== undefined && expiration.getTime() - now.getTime() < renewal;
}
