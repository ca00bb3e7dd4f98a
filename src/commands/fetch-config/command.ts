import { join } from 'node:path';

import { readTlsSettings } from '../../clients/http/options.ts';
import { fetchAll, versionWords } from '../../clients/sources/fetch.ts';
import { giveBack, tellLeases } from '../../clients/sources/give-back.ts';
import { checkOneOrigin, readHttpSettings } from '../../clients/sources/http-settings.ts';
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
import { parseSource } from '../../config/source.ts';
import { defineCommand, each } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import type { Given } from '../../core/options/resolve-options.ts';
import { done, type Outcome } from '../../core/outcome.ts';
import { refuseOverwriting } from '../../fs/written-paths.ts';
import { variablesOf } from './environment.ts';
import { checkWords, contentOf, planJob, type FetchJob } from './job.ts';
import { fetchOptions, type FetchOptions } from './options.ts';

const positionals = {
  usage: 'SOURCE…',
  name: 'sources',
  description: 'SCHEME:PATH?options#FIELD; several are merged in their order',
  parse: each('source', parseSource, { min: 0, example: 'vault:secret/api-server#config' }),
};

export const fetchConfig = defineCommand({
  name: 'fetch-config',
  summary: 'fetch secrets and configuration into files or the environment',
  description: `Reads sources and writes them as files, all or nothing: a reader never sees half of one, or two versions mixed. Secrets go to memory (tmpfs) only, unless --allow-disk. What is wrong for now is waited for (a sealed Vault, a refused connection, too many requests); what stays wrong ends it at once, with the cause and what to change.

Sources: vault:PATH[?version=N][#FIELD], aws-sm:NAME-or-ARN[?stage=NAME&version=ID][#FIELD], https:// and http:// URLs [#FIELD], file:/PATH[#FIELD], env:NAME or env:PREFIX*.`,
  examples: [
    'initbox fetch-config vault:secret/api-server#config --to /config/app.conf --vault-role api-server',
    'initbox fetch-config vault:secret/api-server --to /config/app.env --format dotenv --vault-role api-server',
    'initbox fetch-config vault:secret/api-server --env --vault-role api-server -- ./server',
    'initbox fetch-config aws-sm:prod/api --to /config --format files',
    'initbox fetch-config https://config.internal/app.yaml --sha256 HEX --to /config/app.yaml',
    'initbox fetch-config https://releases.internal/site.tar.gz --sha256 HEX --unpack --to /site',
    'initbox fetch-config --spec /etc/initbox/fetch.yaml',
  ],
  positionals,
  options: fetchOptions,
  afterDashes: 'successor',
  timeout: '5m',
  longWork: { limit: 60 * 60_000, asked: ({ unpack }) => unpack },
  schemas: {
    'fetch-spec': async () => (await import('./spec.schema.json', { with: { type: 'json' } })).default,
  },
  check({ options, positionals: given, command }) {
    if (options.spec === undefined && !options.unpack) checkWords(given, options, command !== undefined);
  },
  async run({ options, positionals: given, command, limited }, context) {
    const http = readHttpSettings(
      options,
      {
        sha256: options.sha256,
        contentType: options['content-type'],
        htmlExpected: /\.x?html?$/i.test(options.to ?? ''),
      },
      context,
    );
    const tls = readTlsSettings(options, context.environment);
    if (options.unpack) {
      const { unpackArchive } = await import('./unpack/unpack.ts');
      return unpackArchive(given, { options, http, tls, limited }, context);
    }
    const job = await planJob(given, options, http, command !== undefined, context);
    checkOneOrigin(job.addresses, http);
    if (options.spec !== undefined) refuseOverwriting(writtenBy(job), readBy(job, options));
    const settings: OutputSettings = { allowDisk: options['allow-disk'], set: job.set };
    if (!options['dry-run']) prepareOutput(job.outputs, settings);
    const reruns =
      options['etag-file'] !== undefined || options.sha256 !== undefined
        ? await import('./earlier.ts')
        : undefined;
    const earlier = reruns?.earlierOf(job, options);
    using sources = await openSources(job.addresses, { options, http, tls, earlier }, context);
    let inUse = false;
    try {
      const outcome = await carryOut(job, sources, options, settings, context);
      inUse = outcome.kind === 'done' && !options['dry-run'];
      return outcome;
    } finally {
      await giveBack(sources, inUse, context);
    }
  },
});

function writtenBy({ outputs }: FetchJob): Given[] {
  return outputs.flatMap(({ folder, name, origin }) =>
    name === undefined ? [] : [{ text: join(folder, name), origin }],
  );
}

function readBy({ addresses }: FetchJob, options: FetchOptions): Given[] {
  const files = (['spec', 'ca-file', 'cert-file', 'key-file', 'header-file'] as const).flatMap((name) =>
    [options[name] ?? []].flat().map((text) => ({ text, origin: `--${name}` })),
  );
  const sources = addresses.filter(({ scheme }) => scheme === 'file');
  return [...files, ...sources.map(({ path, text }) => ({ text: path, origin: text }))];
}

async function carryOut(
  job: FetchJob,
  sources: Sources,
  options: FetchOptions,
  settings: OutputSettings,
  context: Context,
): Promise<Outcome> {
  const result = await fetchAll(job.addresses, sources, options.interval, context);
  if (result.kind === 'failed') return result;
  for (const [address, { provenance }] of result.found) {
    context.log.info(`${address.text}: read${versionWords(provenance)}`, { ...provenance });
  }
  const contents = new Map<Output, OutputContent>(
    job.outputs.map((output) => [output, contentOf(job, output, result.found, context.redactor)]),
  );
  const environment =
    job.environment === undefined
      ? undefined
      : variablesOf(contentOf(job, 'environment', result.found, context.redactor).content);
  if (options['dry-run']) {
    const { dryRunReport } = await import('./dry-run.ts');
    const report = dryRunReport(result.found, dryReport(job.outputs, contents), environment);
    context.stdout(`${JSON.stringify(report, null, 2)}\n`);
    return done('dry run: everything could be read, nothing was written');
  }
  if (environment !== undefined) {
    await tellLeases(sources, context);
    const count = Object.keys(environment).length;
    return { ...done(`${count} variable${count === 1 ? '' : 's'} for the command`), environment };
  }
  const published = await publishOutput(job.outputs, contents, settings, context);
  for (const warning of published.warnings) context.log.warn(warning);
  await tellLeases(sources, context);
  if (options['etag-file'] !== undefined) {
    const { keepEtag } = await import('./earlier.ts');
    const trouble = await keepEtag(job, options, result.found, context);
    if (trouble !== undefined) context.log.warn(trouble);
  }
  return done(summaryText(published));
}
