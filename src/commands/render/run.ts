import { join } from 'node:path';

import { isWeb } from '../../clients/http/source-urls.ts';
import { giveBack, giveBackLater, tellLeases } from '../../clients/sources/give-back.ts';
import {
  checkOneOrigin,
  isSecretSource,
  readHttpSettings,
  readSourceTls,
} from '../../clients/sources/http-settings.ts';
import { openSources } from '../../clients/sources/open.ts';
import { sharedReads } from '../../clients/sources/reads.ts';
import { prepareOutput, summaryText, type NamedOutput } from '../../config/outputs.ts';
import type { Input } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { done, UsageError, type Outcome } from '../../core/outcome.ts';
import { refuseOverwriting } from '../../fs/written-paths.ts';
import { unreadableVariables } from '../../process/utf8.ts';
import { checkerOf } from './check/check.ts';
import { checkNames, readFiles, underNames, valuesOfSources } from './data/gather.ts';
import { sourceReader } from './data/reader.ts';
import { addressesOf, parseDataRequest } from './data/request.ts';
import { checkInto } from './into/check-into.ts';
import { compilerOf, forAll, type Data } from './language.ts';
import { requiredTo, type renderOptions, type RenderOptions } from './options.ts';
import { readTemplates } from './templates.ts';
import { wholeFiles } from './writing.ts';

/** Renders every template and writes them together. */
export async function runRender(
  { options, positionals: paths }: Input<typeof renderOptions, readonly string[]>,
  context: Context,
): Promise<Outcome> {
  const to = requiredTo(options);
  const into = checkInto(options);
  const largest = options['max-size'];
  const scene = {
    // As it is now: each look into the process's own costs a call, and templates look ten thousand times.
    environment: { ...context.environment },
    unreadable: unreadableIn(context),
    now: context.clock.date(),
    secret: (value: string) => void context.redactor.secret(value),
    largest,
  };
  const compile = await compilerOf(options, scene, context.signal);
  const checker = options.check === undefined ? undefined : await checkerOf(options.check);
  const requests = options.data.map((text) => parseDataRequest(text, secretIn(context)));
  checkNames(requests, options.var);
  const templates = readTemplates(paths, to, largest);
  const [, second] = templates;
  if (into && second !== undefined)
    throw new UsageError(
      `${second.path}: --block and --append-lines take one template; run render once for each`,
    );
  refuseOverwriting(
    templates.map(({ folder, name }) => ({ text: join(folder, name), origin: '--to' })),
    [
      ...templates.map(({ path }) => ({ text: path, origin: 'the template' })),
      ...requests.flatMap(({ from, shown }) =>
        from.kind === 'file' ? [{ text: from.path, origin: `--data ${shown}` }] : [],
      ),
    ],
  );
  const compiled = await forAll(
    templates.map((template) => ({ template })),
    ({ template }) => compile(template.text),
  );
  const files = await readFiles(requests, largest, options.public, context);

  const reads = sharedReads(addressesOf(requests));
  const own = compiled.map(({ made }) => made.reads);
  const known = own.flatMap((one) => one.known);
  const kinds = own.flatMap((one) => one.kinds);
  // A template may name what it reads by a value: what it takes is opened before.
  const opened = [...reads.addresses, ...kinds, ...known];
  const http = readHttpSettings(
    kinds.some(isWeb) ? withConsulToken(options, context) : options,
    { sha256: undefined, contentType: undefined, htmlExpected: false, decompress: false },
    context,
  );
  const tls = readSourceTls(opened, options, context);
  checkOneOrigin(opened, http);
  const expected =
    options.secret ||
    files.some(({ secret }) => secret) ||
    [...reads.addresses, ...known, ...kinds.filter(({ scheme }) => scheme === 'vault')].some((address) =>
      isSecretSource(address, http),
    );
  const outputs = templates.map(({ folder, name }): NamedOutput => ({
    folder,
    name,
    format: 'raw',
    mode: options.mode,
    owner: options.owner,
    secret: expected,
    origin: '--to',
  }));
  // After a loss of power the pod starts anew, this container first: it compares, and makes again what was lost.
  const settings = { allowDisk: options['allow-disk'], set: `render ${to}`, lasting: false };
  if (!options['dry-run']) prepareOutput(outputs, settings);
  // Nothing is asked for where the file cannot be written into.
  const file = into ? await import('./into/into-file.ts') : undefined;
  file?.lookInto(outputs[0]!, { options, checker: undefined, settings, secret: expected });

  using sources = await openSources(opened, { options, http, tls, earlier: undefined }, context);
  let inUse = false;
  try {
    const reader = sourceReader(sources, options.interval, context);
    const found = await reader.readAll([...reads.addresses, ...known]);
    const fetched = await valuesOfSources(requests, reads, found, context);
    const values = [
      ...files.map(({ request, value }) => ({ request, value })),
      ...[...fetched].map(([request, value]) => ({ request, value })),
    ];
    const data: Data = {
      entries: underNames(values, options.var),
      environment: scene.environment,
      unreadable: scene.unreadable,
    };
    const rendered = await forAll(compiled, ({ made }) => made.render(data, reader.read));
    const secret = expected || reader.secret;
    const made = rendered.map((one, index) => ({
      template: one.template,
      made: one.made,
      output: outputs[index]!,
    }));
    const how = { options, checker, settings, secret };
    const writing = file?.intoFile(made[0]!, how) ?? (await wholeFiles(made, how));
    if (options['dry-run']) {
      const { report, warnings } = writing.preview();
      for (const warning of warnings) context.log.warn(warning);
      context.stdout(`${JSON.stringify({ files: report }, null, 2)}\n`);
      return done('dry run: everything could be rendered, nothing was written');
    }
    const published = await writing.publish(context);
    for (const warning of published.warnings) context.log.warn(warning);
    await tellLeases(sources, context);
    inUse = true;
    return { ...done(summaryText(published)), takeBack: giveBackLater(sources, context) };
  } finally {
    await giveBack(sources, inUse, context);
  }
}

/** As Consul's own client sends it, unless a header of that name is given. */
function withConsulToken(
  options: RenderOptions,
  { environment }: Pick<Context, 'environment'>,
): RenderOptions {
  const given = options['header-env'];
  const name = 'X-Consul-Token';
  const variable = 'CONSUL_HTTP_TOKEN';
  if (!environment[variable] || given.some((one) => one.name.toLowerCase() === name.toLowerCase()))
    return options;
  return { ...options, 'header-env': [...given, { name, variable }] };
}

function secretIn({ redactor, log }: Context): (value: string) => void {
  return (value) => {
    redactor.secret(value);
    log.warn(
      '--data holds a password: others on this machine can read a command line; use --header-file or a variable',
    );
  };
}

/** Only where a value has the sign of it is the environment read once more. */
function unreadableIn({ environment }: Context): ReadonlySet<string> {
  const suspect = Object.values(environment).some((value) => value?.includes('\uFFFD'));
  return new Set(suspect ? unreadableVariables() : []);
}
