import type { SourceAddress } from '../../config/source.ts';
import type { Context } from '../../core/context.ts';
import { AwsClock } from '../aws/asking.ts';
import type { AgentReply } from '../aws/container.ts';
import { createAwsLogin } from '../aws/login.ts';
import { objectFolder } from '../aws/object-list.ts';
import { objectReader } from '../aws/object-store.ts';
import { parameterReader } from '../aws/parameter-store.ts';
import { secretsManagerReader } from '../aws/secrets-manager.ts';
import { checkVariables } from '../aws/variables.ts';
import { createResolver } from '../dns/resolver.ts';
import { boundsItsAnswer } from '../http/answers.ts';
import { readProxies } from '../http/proxy.ts';
import { busyOf } from '../http/retry-after.ts';
import { agentsFor } from '../http/secure.ts';
import { readAuthorities } from '../http/tls.ts';
import type { HttpAnswer } from '../http/transport.ts';
import { openHttp } from './http-client.ts';
import type { CloudSources, SourceSettings } from './open.ts';

/** What is asked by most: a proxy that cannot be spoken to is told of before anything is asked. */
function usualEndpoint(environment: Context['environment']): URL {
  const given = environment['AWS_ENDPOINT_URL_SECRETS_MANAGER'] || environment['AWS_ENDPOINT_URL'];
  const region = environment['AWS_REGION'] || environment['AWS_DEFAULT_REGION'] || 'us-east-1';
  const usual = `https://secretsmanager.${region}.amazonaws.com`;
  return new URL(given && URL.canParse(given) ? given : usual);
}

/** @throws UsageError where a variable is wrong */
export async function openAws(
  addresses: readonly SourceAddress[],
  { options, http: said, sink }: SourceSettings,
  context: Context,
  stack: DisposableStack,
): Promise<CloudSources> {
  const { environment } = context;
  checkVariables(addresses, environment, context.redactor);
  const authorities = readAuthorities(environment['AWS_CA_BUNDLE'], 'AWS_CA_BUNDLE', environment);
  const tls = { verify: true, ...(authorities === undefined ? {} : { authorities }) };
  const http = stack.use(await openHttp(tls, context));
  // What speaks for the node is on the node.
  const near = stack.use(await openHttp(tls, context, () => undefined));
  const { connectionFault, ...agents } = agentsFor({
    resolve: createResolver(context),
    proxy: readProxies(context, [usualEndpoint(environment)]),
    tls,
  });
  const login = createAwsLogin(
    addresses,
    { imds: options['aws-imds'], expectRole: options['expect-role'] },
    {
      environment,
      redactor: context.redactor,
      clock: context.clock,
      agents,
      connectionFault,
      boundsItsAnswer,
      post: (request, probe) =>
        answerOf(
          http.send(
            { method: 'POST', maxBody: 65_536, maxBodyOrigin: 'the limit for STS', ...request },
            probe,
          ),
        ),
      askAgent: (url, headers, probe) =>
        answerOf(
          near.send(
            { method: 'GET', url, headers, maxBody: 65_536, maxBodyOrigin: 'the limit for agents' },
            probe,
          ),
        ),
      busyOf,
      warn: (words) => context.log.warn(words),
    },
  );
  const time = new AwsClock(context.clock);
  const { redactor } = context;
  return {
    login,
    folder(address, mostEntries) {
      const count = { count: mostEntries, origin: '--max-entries' };
      const parts = { login, http, time, redactor, environment, settings: said, secret: false };
      return objectFolder(address, parts, count);
    },
    reader(address) {
      if (address.scheme === 'aws-sm') return secretsManagerReader(address, { login, redactor });
      const saidPublic = address.public ?? said.saidSecret === false;
      const maxSize = options['max-size'];
      if (address.scheme === 'aws-ssm')
        return parameterReader(address, { login, http, time, redactor, maxSize, saidPublic });
      const secret = !saidPublic;
      return objectReader(address, {
        login,
        http,
        time,
        redactor,
        environment,
        settings: said,
        secret,
        sink,
      });
    },
  };
}

async function answerOf(sent: Promise<HttpAnswer>): Promise<AgentReply> {
  const answer = await sent;
  return answer.state === 'response'
    ? { state: 'answer', status: answer.status, body: answer.body.toString(), busy: answer.busy }
    : answer;
}
