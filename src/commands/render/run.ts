import { join } from 'node:path';

import { giveBack, giveBackLater, tellLeases } from '../../clients/sources/give-back.ts';
import {
  checkOneOrigin,
  isSecretSource,
  readHttpSettings,
  readSourceTls,
} from '../../clients/sources/http-settings.ts';
import { openSources } from '../../clients/sources/open.ts';
import { sharedReads } from '../../clients/sources/reads.ts';
import {
  dryReport,
  prepareOutput,
  publishOutput,
  summaryText,
  type Output,
  type OutputContent,
} from '../../config/outputs.ts';
import type { FieldValue } from '../../config/source.ts';
import type { Input } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { done, type Outcome } from '../../core/outcome.ts';
import { refuseOverwriting } from '../../fs/written-paths.ts';
import { unreadableVariables } from '../../process/utf8.ts';
import { checkerOf } from './check/check.ts';
import { checkNames, fetchSources, readFiles, underNames } from './data/gather.ts';
import { addressesOf, parseDataRequest, type DataRequest } from './data/request.ts';
import { compilerOf, forAll, type Data } from './language.ts';
import { requiredTo, type renderOptions } from './options.ts';
import { readTemplates } from './templates.ts';

/** Renders every template and writes them together. */
export async function runRender(
  { options, positionals: paths }: Input<typeof renderOptions, readonly string[]>,
  context: Context,
): Promise<Outcome> {
  const to = requiredTo(options);
  const largest = options['max-size'];
  const compile = await compilerOf(options, context.signal);
  const checker = options.check === undefined ? undefined : await checkerOf(options.check);
  const requests = options.data.map((text) => parseDataRequest(text, secretIn(context)));
  checkNames(requests, options.var);
  const templates = readTemplates(paths, to, largest);
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

  const http = readHttpSettings(
    options,
    { sha256: undefined, contentType: undefined, htmlExpected: false, decompress: false },
    context,
  );
  const reads = sharedReads(addressesOf(requests));
  const tls = readSourceTls(reads.addresses, options, context);
  checkOneOrigin(reads.addresses, http);
  const expected =
    options.secret ||
    files.some(({ secret }) => secret) ||
    reads.addresses.some((address) => isSecretSource(address, http));
  const outputs = templates.map(({ folder, name }): Output => ({
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

  using sources = await openSources(reads.addresses, { options, http, tls, earlier: undefined }, context);
  let inUse = false;
  try {
    const fetched =
      reads.addresses.length === 0
        ? new Map<DataRequest, { value: FieldValue; secret: boolean }>()
        : await fetchSources(requests, reads, sources, options.interval, context);
    const values = [
      ...files.map(({ request, value }) => ({ request, value })),
      ...[...fetched].map(([request, { value }]) => ({ request, value })),
    ];
    const data: Data = {
      entries: underNames(values, options.var),
      // As it is now: each look into the process's own costs a call, and templates look ten thousand times.
      environment: { ...context.environment },
      unreadable: unreadableIn(context),
    };
    const rendered = await forAll(compiled, ({ made }) => made(data));
    if (checker !== undefined) {
      await forAll(rendered, ({ made: { text } }) => {
        const problem = checker(text);
        return problem === undefined
          ? {}
          : { problems: [` what it makes is not ${options.check}, at ${problem}`] };
      });
    }
    const secret = expected || [...fetched.values()].some((one) => one.secret);
    const contents = new Map<Output, OutputContent>(
      rendered.map(({ made: { text } }, index) => [
        outputs[index] as Output,
        { content: { kind: 'value', value: Buffer.from(text) }, secret },
      ]),
    );
    if (options['dry-run']) {
      const report = dryReport(outputs, contents, (warning) => context.log.warn(warning)).map(
        ({ path, size, mode }) => ({ path, size, mode }),
      );
      context.stdout(`${JSON.stringify({ files: report }, null, 2)}\n`);
      return done('dry run: everything could be rendered, nothing was written');
    }
    const published = await publishOutput(outputs, contents, settings, context);
    for (const warning of published.warnings) context.log.warn(warning);
    await tellLeases(sources, context);
    inUse = true;
    return { ...done(summaryText(published)), takeBack: giveBackLater(sources, context) };
  } finally {
    await giveBack(sources, inUse, context);
  }
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
