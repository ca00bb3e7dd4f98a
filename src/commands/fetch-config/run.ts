import { basename, join } from 'node:path';

import { fetchAll, versionWords } from '../../clients/sources/fetch.ts';
import { giveBack, giveBackLater, tellLeases } from '../../clients/sources/give-back.ts';
import { checkOneOrigin, readHttpSettings, readSourceTls } from '../../clients/sources/http-settings.ts';
import { openSources, type Sources } from '../../clients/sources/open.ts';
import {
  dryReport,
  prepareOutput,
  publishOutput,
  summaryText,
  type Output,
  type OutputContent,
  type OutputSettings,
} from '../../config/outputs.ts';
import type { Fetched, SourceAddress } from '../../config/source.ts';
import type { Input } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import type { Given } from '../../core/options/resolve-options.ts';
import { done, type Outcome } from '../../core/outcome.ts';
import type { Published } from '../../fs/publish/published.ts';
import { isManaged } from '../../fs/publish/target-checks.ts';
import { refuseSharedPaths } from '../../fs/written-paths.ts';
import { variablesOf } from './environment.ts';
import { asksForTree } from './git/usage.ts';
import type { Inflating } from './inflating.ts';
import { contentOf, planJob, type FetchJob } from './job.ts';
import type { fetchOptions, FetchOptions } from './options.ts';
import { plainOf } from './plain.ts';
import type { Spool } from './spool.ts';
import { fillsFolder } from './unpack/usage.ts';

/** Reads every source and writes what is made of them, or hands it on as variables. */
export async function runFetchConfig(
  {
    options: asked,
    positionals: given,
    command,
    limited,
  }: Input<typeof fetchOptions, readonly SourceAddress[]>,
  context: Context,
): Promise<Outcome> {
  if (asked['print-role']) return (await import('./rights.ts')).printRolesOfSources(given, asked, context);
  if (asksForTree(given, asked)) {
    const { fetchGit } = await import('./git/fetch-git.ts');
    return fetchGit(given, asked, limited, context);
  }
  const options =
    asked.sha256?.includes(':') === true && asked.spec === undefined
      ? await (await import('./fetch-sum.ts')).withSum(asked, given, context)
      : asked;
  const http = readHttpSettings(
    options,
    {
      sha256: options.sha256,
      contentType: options['content-type'],
      decompress: options.decompress,
      htmlExpected: /\.x?html?$/i.test(options.to ?? ''),
    },
    context,
  );
  if (fillsFolder(given, options)) {
    const tls = readSourceTls(given, options, context);
    const { unpackArchive } = await import('./unpack/unpack.ts');
    return unpackArchive(given, { options, http, tls, limited }, context);
  }
  const job = await planJob(given, options, http, command !== undefined, context);
  const tls = readSourceTls(job.addresses, options, context);
  checkOneOrigin(job.addresses, http);
  if (options.spec !== undefined)
    await refuseSharedPaths({ written: writtenBy(job), read: readBy(job, options) }, context);
  const settings: OutputSettings = { allowDisk: options['allow-disk'], set: job.set };
  if (!options['dry-run']) prepareOutput(job.outputs, settings);
  const reruns =
    options['etag-file'] !== undefined || options.sha256 !== undefined
      ? await import('./earlier.ts')
      : undefined;
  const earlier = await reruns?.earlierOf(job, options, context);
  await using spool = await spoolFor(job, options, context);
  await using inflating =
    options.decompress && spool ? await inflatingTo(spool, options, context) : undefined;
  const sink = inflating ?? spool;
  using sources = await openSources(job.addresses, { options, http, tls, earlier, sink }, context);
  let inUse = false;
  try {
    const outcome = await carryOut(job, { sources, spool, inflating }, options, settings, context);
    if (outcome.kind === 'failed' || options['dry-run']) return outcome;
    inUse = true;
    return { ...outcome, takeBack: giveBackLater(sources, context) };
  } finally {
    await giveBack(sources, inUse, context);
  }
}

function writtenBy({ outputs }: FetchJob): Given[] {
  return outputs.flatMap(({ folder, name, origin }) => [
    { text: name === undefined ? `${folder}/` : join(folder, name), origin },
  ]);
}

function readBy({ addresses }: FetchJob, options: FetchOptions): Given[] {
  const files = (['spec', 'ca-file', 'cert-file', 'key-file', 'header-file', 'netrc-file'] as const).flatMap(
    (name) => [options[name] ?? []].flat().map((text) => ({ text, origin: `--${name}` })),
  );
  const sources = addresses.filter(({ scheme }) => scheme === 'file');
  return [...files, ...sources.map(({ path, text }) => ({ text: path, origin: text }))];
}

/** Where the body goes of a job that is one download to one file. */
async function spoolFor(job: FetchJob, options: FetchOptions, context: Context): Promise<Spool | undefined> {
  const plain = plainOf(job);
  if (plain === undefined || options['dry-run'] || isManaged(plain.output.folder, basename(plain.path)))
    return undefined;
  const { Spool } = await import('./spool.ts');
  const memoryOnly = plain.output.secret && !options['allow-disk'];
  const summed = options.sha256 !== undefined || options['etag-file'] !== undefined;
  return new Spool(plain.path, { memoryOnly }, summed, context);
}

async function inflatingTo(spool: Spool, options: FetchOptions, context: Context): Promise<Inflating> {
  const { Inflating } = await import('./inflating.ts');
  return new Inflating(spool, options['max-size'], context.signal);
}

/** What a job is carried out by. */
interface Means {
  readonly sources: Sources;
  readonly spool: Spool | undefined;
  /** Before the spool, where a body is unpacked on its way. */
  readonly inflating: Inflating | undefined;
}

async function carryOut(
  job: FetchJob,
  { sources, spool, inflating }: Means,
  options: FetchOptions,
  settings: OutputSettings,
  context: Context,
): Promise<Outcome> {
  const result = await fetchAll(job.addresses, sources, options.interval, context);
  if (result.kind === 'failed') return result;
  for (const [address, { provenance, absent }] of result.found) {
    if (absent !== undefined) context.log.info(`${address.text}: left out, since it is optional: ${absent}`);
    else context.log.info(`${address.text}: read${versionWords(provenance)}`, { ...provenance });
  }
  const plain = plainOf(job);
  const fetched = plain && result.found.get(plain.address);
  if (plain !== undefined && fetched?.reused === true)
    return done(summaryText({ written: 0, unchanged: 1, removed: 0, bytes: 0, warnings: [] }));
  if (plain !== undefined && spool?.isLarge === true) {
    const { publishSpooled } = await import('./spool.ts');
    const published = await publishSpooled(plain, spool, context);
    // The file of an ETag may be in the same folder: its turn to write would be waited for.
    await spool[Symbol.asyncDispose]();
    return finished(published, job, result.found, options, context, { spool, inflating });
  }
  // It may have begun with a larger body, and holds the turn to write.
  await spool?.[Symbol.asyncDispose]();
  const contents = new Map<Output, OutputContent>(
    job.outputs.map((output) => [output, contentOf(job, output, result.found, context.redactor)]),
  );
  const environment =
    job.environment === undefined
      ? undefined
      : variablesOf(contentOf(job, 'environment', result.found, context.redactor).content);
  if (options['dry-run']) {
    const { dryRunReport } = await import('./dry-run.ts');
    const files = dryReport(job.outputs, contents, (warning) => context.log.warn(warning));
    const report = dryRunReport(result.found, files, environment);
    context.stdout(`${JSON.stringify(report, null, 2)}\n`);
    return done('dry run: everything could be read, nothing was written');
  }
  if (environment !== undefined) {
    await tellLeases(sources, context);
    const count = Object.keys(environment).length;
    return { ...done(`${count} variable${count === 1 ? '' : 's'} for the command`), environment };
  }
  const published = await publishOutput(job.outputs, contents, settings, context);
  await tellLeases(sources, context);
  return finished(published, job, result.found, options, context, { spool: undefined, inflating });
}

async function finished(
  published: Published,
  job: FetchJob,
  found: ReadonlyMap<SourceAddress, Fetched>,
  options: FetchOptions,
  context: Context,
  { spool, inflating }: Omit<Means, 'sources'>,
): Promise<Outcome> {
  for (const warning of published.warnings) context.log.warn(warning);
  if (options['etag-file'] !== undefined) {
    const { keepEtag } = await import('./earlier.ts');
    const trouble = await keepEtag(job, options, found, context, spool, inflating?.taken);
    if (trouble !== undefined) context.log.warn(trouble);
  }
  return done(summaryText(published));
}
