import {
  isObjectPrefix,
  isTree,
  type ReadSource,
  type SourceAddress,
  type SourceScheme,
} from '../../config/source.ts';
import type { Context } from '../../core/context.ts';
import { flagName, type Options } from '../../core/options/option.ts';
import { UsageError } from '../../core/outcome.ts';
import type { Answer, Probe, Target } from '../../wait/attempt.ts';
import type { SshSettings } from '../git/ssh-settings.ts';
import type { Taking } from '../git/taking.ts';
import type { ObjectFolder } from '../http/object-folder.ts';
import { isWeb } from '../http/source-urls.ts';
import type { Earlier, HttpSourceSettings, SourceSink } from '../http/source.ts';
import type { TlsSettings } from '../http/tls.ts';
import type { Vault } from '../vault/client.ts';
import { awsSchemes, azureSchemes, googleSchemes, verifiedSchemes } from './cloud-schemes.ts';
import { openHttp } from './http-client.ts';
import { isSecretSource } from './http-settings.ts';
import { sourceOptions, type SourceOptions } from './options.ts';
import { openVault } from './vault-sources.ts';

/** What a pod tells without a server. */
const podSchemes = ['interface', 'ordinal', 'time'] as const;

/** What reads the sources of one run; each client is loaded where a source names it. */
export interface Sources extends Disposable {
  /** What must succeed before anything is read: one login for each kind of server. */
  readonly logins: readonly Target[];
  reader(address: SourceAddress): ReadSource;
  /** Whether what a source gives, or would give if it were there, is a secret. */
  isSecret(address: SourceAddress): boolean;
  readonly vault: Vault | undefined;
  /** What is below a prefix of a store of objects, where settings say that this is meant. */
  folder(address: SourceAddress): ObjectFolder;
}

/** What reads the sources of one cloud, with one login for all of them. */
export interface CloudSources {
  /** Undefined where nobody wants to know who asks. */
  readonly login: { readonly name: string; logIn(probe: Probe): Promise<Answer> } | undefined;
  reader(address: SourceAddress): ReadSource;
  /** What is below a prefix of its store of objects. */
  folder(address: SourceAddress, mostEntries: number): ObjectFolder;
}

type OpenCloud = (
  addresses: readonly SourceAddress[],
  settings: SourceSettings,
  context: Context,
  stack: DisposableStack,
) => Promise<CloudSources>;

/** The clouds, each loaded where a source names it. */
const clouds: readonly {
  readonly schemes: readonly SourceScheme[];
  readonly load: () => Promise<OpenCloud>;
}[] = [
  { schemes: awsSchemes, load: async () => (await import('./aws-sources.ts')).openAws },
  { schemes: googleSchemes, load: async () => (await import('./google-sources.ts')).openGoogle },
  { schemes: azureSchemes, load: async () => (await import('./azure-sources.ts')).openAzure },
];

export interface SourceSettings {
  readonly options: SourceOptions;
  readonly http: HttpSourceSettings;
  readonly tls: TlsSettings;
  readonly earlier: Earlier | undefined;
  /** Takes the body of the one http or https source, which is too large for memory. */
  readonly sink?: SourceSink | undefined;
  /** Takes what the one git source gives. */
  readonly taking?: Taking | undefined;
  /** How repositories are reached by SSH; given where one is. */
  readonly ssh?: SshSettings | undefined;
  /** A prefix of a store of objects is meant, and this is how many objects it may have below it. */
  readonly folderOf?: number;
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
  const prefix = settings.folderOf === undefined ? addresses.find(isObjectPrefix) : undefined;
  if (prefix !== undefined)
    throw new UsageError(
      `${prefix.text} stands for all objects below it, which fill a folder: give it alone, with --to FOLDER`,
    );
  using stack = new DisposableStack();
  const web = addresses.some(isWeb) ? stack.use(await openHttp(settings.tls, context)) : undefined;
  const vault = schemes.has('vault')
    ? await openVault(
        settings.options,
        { bytes: settings.options['max-size'], origin: '--max-size' },
        context,
        stack,
      )
    : undefined;
  const opened: CloudSources[] = [];
  const cloudOf = new Map<SourceScheme, CloudSources>();
  for (const { schemes: those, load } of clouds) {
    const asked = addresses.filter(({ scheme }) => those.includes(scheme));
    if (asked.length === 0) continue;
    const cloud = await (await load())(asked, settings, context, stack);
    opened.push(cloud);
    for (const scheme of those) cloudOf.set(scheme, cloud);
  }
  const cluster = schemes.has('kubernetes')
    ? await (await import('./cluster-sources.ts')).openCluster(settings, context, stack)
    : undefined;
  const { httpReader } =
    schemes.has('http') || schemes.has('https')
      ? await import('../http/source.ts')
      : { httpReader: undefined };
  const overGit = addresses.some(isTree)
    ? await (await import('./git-sources.ts')).openGit(settings, web, context)
    : undefined;
  const { fileReader } = schemes.has('file') ? await import('../file-source.ts') : { fileReader: undefined };
  const { environmentReader, variablesAt } = schemes.has('env')
    ? await import('../environment-source.ts')
    : { environmentReader: undefined, variablesAt: undefined };

  const { dnsReader } = schemes.has('dns') ? await import('../dns/source.ts') : { dnsReader: undefined };
  const pod = podSchemes.some((scheme) => schemes.has(scheme))
    ? await import('../pod-sources.ts')
    : undefined;
  // One for the whole run.
  const started = context.clock.date();

  const overHttp = (address: SourceAddress): ReadSource =>
    httpReader!(address, settings.http, {
      client: web!,
      redactor: context.redactor,
      earlier: settings.earlier,
      sink: settings.sink,
    });
  const inCloud = (address: SourceAddress): ReadSource => cloudOf.get(address.scheme)!.reader(address);
  if (schemes.has('env'))
    for (const address of addresses)
      if (address.scheme === 'env' && !address.optional) variablesAt!(address, context.environment);
  for (const address of addresses)
    if (address.scheme === 'ordinal' && !address.optional) pod!.ordinalAt(address, context.environment);
  const readers: Readonly<Record<SourceScheme, (address: SourceAddress) => ReadSource>> = {
    vault: (address) => vault!.reader(address),
    'aws-sm': inCloud,
    'aws-ssm': inCloud,
    s3: inCloud,
    'gcp-sm': inCloud,
    gs: inCloud,
    'azure-kv': inCloud,
    'azure-blob': inCloud,
    kubernetes: (address) => cluster!(address),
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
    'git+https': (address) => overGit!(address),
    'git+http': (address) => overGit!(address),
    'git+ssh': (address) => overGit!(address),
    dns: (address) => dnsReader!(address, context, settings.http.saidSecret),
    interface: (address) => pod!.interfaceReader(address, context.host, settings.http.saidSecret),
    ordinal: (address) => pod!.ordinalReader(address, context.environment, settings.http.saidSecret),
    time: (address) => pod!.timeReader(address, started, settings.http.saidSecret),
  };
  const held = stack.move();
  return {
    logins: [vault?.needsLogin ? vault : undefined, ...opened.map(({ login }) => login)].flatMap((server) =>
      server === undefined ? [] : [{ name: server.name, attempt: (probe) => server.logIn(probe) }],
    ),
    reader: (address) => readers[address.scheme](address),
    isSecret: (address) => isSecretSource(address, settings.http),
    folder: (address) => cloudOf.get(address.scheme)!.folder(address, settings.folderOf ?? 0),
    vault,
    [Symbol.dispose]: () => held.dispose(),
  };
}

/** Options of sources, and the schemes of which one must be there for them to have an effect. */
const concerned: readonly (readonly [options: RegExp, schemes: readonly SourceScheme[]])[] = [
  [/^vault-/, ['vault']],
  [/^(expect-role|aws-imds)$/, awsSchemes],
  [/^expect-account$/, googleSchemes],
  [/^azure-vault-url$/, ['azure-kv']],
  [/^azure-blob-url$/, ['azure-blob']],
  [/^azure-(client|imds)/, azureSchemes],
  [/^(namespace|kubeconfig|context)$/, ['kubernetes']],
  [
    /^(header-.*|user|netrc-file|cert-file|key-file|tls-server-name|cross-origin)$/,
    ['http', 'https', 'git+https', 'git+http', 'git+ssh'],
  ],
  [/^ca-file$/, ['http', 'https', 'git+https', 'git+http', 'git+ssh', ...verifiedSchemes]],
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
