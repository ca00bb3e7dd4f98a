import type { ReadSource, SourceAddress, SourceScheme } from '../../config/source.ts';
import type { Context } from '../../core/context.ts';
import { flagName, type Options } from '../../core/options/option.ts';
import type { Target } from '../../wait/attempt.ts';
import { createResolver } from '../dns/resolver.ts';
import { readProxies, type FindProxy } from '../http/proxy.ts';
import type { Earlier, HttpSourceSettings, SourceSink } from '../http/source.ts';
import type { TlsSettings } from '../http/tls.ts';
import type { HttpAnswer, HttpClient } from '../http/transport.ts';
import type { SecretsManager } from '../secrets-manager/client.ts';
import type { AgentReply } from '../secrets-manager/container.ts';
import type { Vault } from '../vault/client.ts';
import { sourceOptions, type SourceOptions } from './options.ts';
import { vaultSources } from './vault-sources.ts';

/** Requests to one kind of server that are under way at once. */
const parallel = 8;

/** What reads the sources of one run; each client is loaded where a source names it. */
export interface Sources extends Disposable {
  /** What must succeed before anything is read: one login for each kind of server. */
  readonly logins: readonly Target[];
  reader(address: SourceAddress): ReadSource;
  readonly vault: Vault | undefined;
}

export interface SourceSettings {
  readonly options: SourceOptions;
  readonly http: HttpSourceSettings;
  readonly tls: TlsSettings;
  readonly earlier: Earlier | undefined;
  /** Takes the body of the one http or https source, which is too large for memory. */
  readonly sink?: SourceSink | undefined;
}

/**
 * Prepares what the addresses need; nothing is asked yet.
 * @throws UsageError where a setting is wrong or missing
 */
export async function openSources(
  addresses: readonly SourceAddress[],
  settings: SourceSettings,
  context: Context,
): Promise<Sources> {
  const schemes = new Set(addresses.map(({ scheme }) => scheme));
  warnOfOthers(settings.options, schemes, context.log);
  using stack = new DisposableStack();
  const web =
    schemes.has('http') || schemes.has('https')
      ? stack.use(await openHttp(settings.tls, context))
      : undefined;
  const vault = schemes.has('vault') ? await openVault(settings.options, context, stack) : undefined;
  const aws = schemes.has('aws-sm')
    ? await openAws(
        addresses.filter(({ scheme }) => scheme === 'aws-sm'),
        settings,
        context,
        stack,
      )
    : undefined;
  const { httpReader } = web === undefined ? { httpReader: undefined } : await import('../http/source.ts');
  const { fileReader } = schemes.has('file') ? await import('../file-source.ts') : { fileReader: undefined };
  const { environmentReader, variablesAt } = schemes.has('env')
    ? await import('../environment-source.ts')
    : { environmentReader: undefined, variablesAt: undefined };

  const overHttp = (address: SourceAddress): ReadSource =>
    httpReader!(address, settings.http, {
      client: web!,
      redactor: context.redactor,
      earlier: settings.earlier,
      sink: settings.sink,
    });
  if (schemes.has('env'))
    for (const address of addresses)
      if (address.scheme === 'env' && !address.optional) variablesAt!(address, context.environment);
  const readers: Readonly<Record<SourceScheme, (address: SourceAddress) => ReadSource>> = {
    vault: (address) => vault!.reader(address),
    'aws-sm': (address) => aws!.reader(address),
    http: (address) => overHttp(address),
    https: (address) => overHttp(address),
    file: (address) =>
      fileReader!(
        address,
        {
          maxSize: settings.options['max-size'],
          saidSecret: settings.http.saidSecret,
          decompress: settings.http.decompress,
        },
        context.redactor,
      ),
    env: (address) => environmentReader!(address, context, settings.http.saidSecret),
  };
  const held = stack.move();
  return {
    logins: [vault?.needsLogin ? vault : undefined, aws].flatMap((server) =>
      server === undefined ? [] : [{ name: server.name, attempt: (probe) => server.logIn(probe) }],
    ),
    reader: (address) => readers[address.scheme](address),
    vault,
    [Symbol.dispose]: () => held.dispose(),
  };
}

/** Options of sources, and the schemes of which one must be there for them to have an effect. */
const concerned: readonly (readonly [options: RegExp, schemes: readonly SourceScheme[]])[] = [
  [/^vault-/, ['vault']],
  [/^(expect-role|aws-imds)$/, ['aws-sm']],
  [
    /^(header-.*|user|netrc-file|ca-file|cert-file|key-file|tls-server-name|cross-origin)$/,
    ['http', 'https'],
  ],
];

/** Their user believes that something is checked or shown: `--expect-role` guards nothing beside Vault. */
function warnOfOthers(options: SourceOptions, schemes: ReadonlySet<SourceScheme>, log: Context['log']): void {
  for (const [name, value] of Object.entries(options)) {
    const option = (sourceOptions as Options)[name];
    if (option === undefined || value === option.fallback) continue;
    for (const [pattern, those] of concerned)
      if (pattern.test(name) && !those.some((scheme) => schemes.has(scheme)))
        log.warn(
          `--${flagName(name, option)} has no effect: no source here is ${those.map((scheme) => `${scheme}:`).join(' or ')}`,
        );
  }
}

async function answerOf(sent: Promise<HttpAnswer>): Promise<AgentReply> {
  const answer = await sent;
  return answer.state === 'response'
    ? { state: 'answer', status: answer.status, body: answer.body.toString(), busy: answer.busy }
    : answer;
}

async function openHttp(
  tls: TlsSettings,
  context: Context,
  proxy: FindProxy = readProxies(context),
): Promise<HttpClient> {
  const { createHttpClient, usualHttpLimits } = await import('../http/transport.ts');
  return createHttpClient({
    resolve: createResolver(context.paths),
    clock: context.clock,
    proxy,
    tls,
    patience: usualHttpLimits,
    parallel,
  });
}

async function openVault(options: SourceOptions, context: Context, stack: DisposableStack): Promise<Vault> {
  const { readVaultSettings } = await import('../vault/settings.ts');
  const vault = readVaultSettings(vaultSources(options, context));
  if (!vault.tls.verify)
    context.log.warn(
      'VAULT_SKIP_VERIFY is on: whoever answers is taken for Vault, or for the https proxy before it, and gets the credentials',
    );
  const { createVault } = await import('../vault/client.ts');
  const http = stack.use(await openHttp(vault.tls, context, readProxies(context, [vault.address])));
  return createVault(vault, {
    http,
    clock: context.clock,
    redactor: context.redactor,
    largest: { bytes: options['max-size'], origin: '--max-size' },
  });
}

/** What is asked by most: a proxy that cannot be spoken to is told of before anything is asked. */
function usualEndpoint(environment: Context['environment']): URL {
  const given = environment['AWS_ENDPOINT_URL_SECRETS_MANAGER'] || environment['AWS_ENDPOINT_URL'];
  const region = environment['AWS_REGION'] || environment['AWS_DEFAULT_REGION'] || 'us-east-1';
  const usual = `https://secretsmanager.${region}.amazonaws.com`;
  return new URL(given && URL.canParse(given) ? given : usual);
}

async function openAws(
  addresses: readonly SourceAddress[],
  { options }: SourceSettings,
  context: Context,
  stack: DisposableStack,
): Promise<SecretsManager> {
  const { environment } = context;
  const { checkVariables } = await import('../secrets-manager/variables.ts');
  checkVariables(addresses, environment, context.redactor);
  const { createSecretsManager } = await import('../secrets-manager/client.ts');
  const { agentsFor } = await import('../http/secure.ts');
  const { readAuthorities } = await import('../http/tls.ts');
  const { busyOf } = await import('../http/retry-after.ts');
  const { boundsItsAnswer } = await import('../http/answers.ts');
  const authorities = readAuthorities(environment['AWS_CA_BUNDLE'], 'AWS_CA_BUNDLE', environment);
  const tls = { verify: true, ...(authorities === undefined ? {} : { authorities }) };
  const http = stack.use(await openHttp(tls, context));
  // What speaks for the node is on the node.
  const near = stack.use(await openHttp(tls, context, () => undefined));
  const { connectionFault, ...agents } = agentsFor({
    resolve: createResolver(context.paths),
    proxy: readProxies(context, [usualEndpoint(environment)]),
    tls,
  });
  return createSecretsManager(
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
}
