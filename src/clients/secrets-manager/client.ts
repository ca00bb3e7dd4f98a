import type { Agent as HttpAgent } from 'node:http';
import type { Agent as HttpsAgent } from 'node:https';

import {
  GetSecretValueCommand,
  SecretsManagerClient,
  type GetSecretValueCommandOutput,
} from '@aws-sdk/client-secrets-manager';

import { pickFromBytes, registerContent } from '../../config/fields.ts';
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
import { callerArn, callerRefusal, callerRequest, isRole, type Keys, type SignedRequest } from './caller.ts';
import { agentOf, askWhy, type AgentReply, type AskAgent } from './container.ts';
import { AnswerTooLarge, credentialsHint, faultOf, type SdkError, type SecretScene } from './faults.ts';
import { regionOf } from './region.ts';

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
  /** Sends a request that is signed already. */
  readonly post: (request: SignedRequest, probe: Probe) => Promise<AgentReply>;
  /** Sends a GET that no proxy may see. */
  readonly askAgent: AskAgent;
  /** What the head of an answer says about the next request. */
  readonly busyOf: (
    head: { readonly status: number; readonly headers: Readonly<Record<string, string>> },
    now: Date,
  ) => Busy | undefined;
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

/** A secret has at most 64 KiB, which JSON may write with six characters for each byte. */
const largestAnswer = 2 ** 20;

/** The SDK's own collector keeps a list of pieces, without a bound. */
async function collectAnswer(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const kept = new GrowingBytes();
  for await (const piece of stream) {
    kept.add(piece);
    if (kept.length > largestAnswer) throw new AnswerTooLarge();
  }
  return kept.taken();
}

type Identity = Keys & { readonly $source?: Readonly<Record<string, string>> };

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

  const clientFor = (address: SourceAddress): SecretsManagerClient => {
    const region = regionOf(address, environment);
    const known = clients.get(region ?? '');
    if (known !== undefined) return known;
    const client = new SecretsManagerClient({
      ...(region === undefined ? {} : { region }),
      // The loop above repeats; the SDK's own three tries are over in 354 ms.
      maxAttempts: 1,
      requestHandler: { ...timeouts, ...parts.agents },
      streamCollector: collectAnswer,
      // Without one it writes to the console, past the redactor.
      logger: { trace() {}, debug() {}, info() {}, warn: (words: string) => tell(words), error() {} },
    });
    clients.set(region ?? '', client);
    return client;
  };

  const identify = async (client: SecretsManagerClient, probe: Probe): Promise<Answer> => {
    probe.phase('getting AWS credentials');
    const found = (await withVariables(
      // The chain's last resort is the node's role, which most often is not meant: a missed Pod Identity ends there.
      settings.imds ? {} : { AWS_EC2_METADATA_DISABLED: 'true' },
      () => client.config.credentials(),
    )) as Identity;
    redactor.secret(found.secretAccessKey);
    if (found.sessionToken) redactor.secret(found.sessionToken);
    const provider = providers.find(([mark]) => found.$source?.[mark] !== undefined);
    const webRole =
      provider?.[0] === 'CREDENTIALS_ENV_VARS_STS_WEB_ID_TOKEN' ? environment['AWS_ROLE_ARN'] : undefined;
    caller = [provider?.[1] ?? 'an unnamed provider', ...(webRole ? [webRole] : [])].join(', ');
    const from = `credentials from ${caller}`;
    if (settings.expectRole === undefined) return satisfied(from);
    let arn = webRole;
    if (arn === undefined) {
      const region = await client.config.region();
      const reply = await parts.post(callerRequest(found, region, environment, clock.date()), probe);
      const unsaid = 'STS did not say whose the credentials are';
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
    if (arn !== undefined && isRole(arn, settings.expectRole))
      return satisfied(`${from}, which is the expected role (${arn})`);
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
        return await identify(clientFor(first), probe);
      } catch (error) {
        const agent = (error as Error).name === 'CredentialsProviderError' ? agentOf(environment) : undefined;
        if (agent !== undefined) return askWhy(agent, environment, redactor, parts.askAgent, probe);
        return faulty(error as SdkError, first, 'the region', 'credentials');
      }
    },
    reader: (address) => async (probe) => {
      const client = clientFor(address);
      let region = 'the region';
      try {
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
      busy: response && parts.busyOf({ status: response.statusCode, headers: response.headers }, now),
    });
  }

  function fetchedFrom(reply: GetSecretValueCommandOutput, address: SourceAddress): FetchAnswer {
    const bytes =
      reply.SecretBinary ?? (reply.SecretString === undefined ? undefined : Buffer.from(reply.SecretString));
    if (bytes === undefined) return never(exitStatus.refused, 'has neither a text nor a binary value');
    registerContent(redactor, { kind: 'value', value: bytes });
    const content = pickFromBytes(bytes, address.field);
    if ('state' in content) return content;
    registerContent(redactor, content);
    const stages = reply.VersionStages?.length ? ` (${reply.VersionStages.join(', ')})` : '';
    return {
      state: 'fetched',
      fetched: {
        content,
        secret: true,
        provenance: {
          source: address.text,
          ...(reply.VersionId === undefined ? {} : { version: `${reply.VersionId}${stages}` }),
          ...(reply.CreatedDate === undefined ? {} : { time: reply.CreatedDate.toISOString() }),
        },
      },
    };
  }
}
