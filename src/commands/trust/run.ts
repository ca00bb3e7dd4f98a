import { type FoundCertificate, printable } from '../../clients/x509/certificate.ts';
import {
  dryReport,
  prepareOutput,
  publishOutput,
  summaryText,
  type Output,
  type OutputContent,
} from '../../config/outputs.ts';
import { catchUp } from '../../core/clock.ts';
import type { Input } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { done, printed, type Outcome } from '../../core/outcome.ts';
import { checkTrust } from './check.ts';
import { formOf } from './forms.ts';
import { readKeyEntry } from './key-store.ts';
import type { trustOptions, TrustOptions } from './options.ts';
import { outputsOf, publicationOf, refuseFeedback } from './outputs.ts';
import { checkPkcs12Password, passwordOf } from './password.ts';
import type { ShownBy } from './server-flags.ts';
import { readTrusted, type Trusted } from './trusted.ts';

/** Reads all certificates and keys, makes every form of them that was asked for, and writes them together. */
export async function runTrust(
  input: Input<typeof trustOptions, undefined>,
  context: Context,
): Promise<Outcome> {
  await checkTrust(input, context);
  const { options } = input;
  const outputs = outputsOf(options);
  const places = [...outputs.values()];
  // After a loss of power the pod starts anew, this container first: it makes again what was lost.
  const settings = {
    allowDisk: options['allow-disk'],
    alwaysSecret: true,
    set: publicationOf(outputs),
    lasting: false,
  };
  if (!options['dry-run']) prepareOutput(places, settings);
  refuseFeedback(options.add, outputs);

  const password = passwordOf(options.password, options['password-env'], '--password-env', context);
  checkPkcs12Password(password, (outputs.get('pkcs12') ?? outputs.get('key-pkcs12'))?.origin);
  const keyEntry = await readKeyEntry(options, context);
  const server = options['from-server'];
  const shown = server === undefined ? undefined : await shownBy(server, options, context);
  if (shown !== undefined && outputs.size === 0) {
    context.stdout(`${JSON.stringify(shown.report, null, 2)}\n`);
    return printed(`what ${shown.server} shows was printed; it proves nothing about who it is`);
  }
  const trusted = await readTrusted(options, shown?.trusted ?? [], context);
  const contents = new Map<Output, OutputContent>();
  for (const [target, output] of outputs) {
    await catchUp(context.signal);
    const content = formOf(target, { trusted, keyEntry, password });
    contents.set(output, { content, secret: output.secret });
  }
  if (options['dry-run']) {
    const files = dryReport(places, contents, (warning) => context.log.warn(warning));
    const certificates = certificatesReport(trusted);
    context.stdout(`${JSON.stringify({ certificates, files }, null, 2)}\n`);
    return done('dry run: everything could be read, nothing was written');
  }
  const published = await publishOutput(places, contents, settings, context);
  for (const warning of published.warnings) context.log.warn(warning);
  return done([...(trusted === undefined ? [] : [trusted.summary]), summaryText(published)].join('; '));
}

/**
 * Looks at a server, and says what there is to say of what it shows.
 * @throws Failure where it cannot be reached, or a pin is not met
 */
async function shownBy(
  server: ShownBy,
  { pin, unverified }: Pick<TrustOptions, 'pin' | 'unverified'>,
  context: Context,
): Promise<{
  readonly server: string;
  readonly report: object;
  readonly trusted: readonly FoundCertificate[];
}> {
  const { chainReport, lookAtServer, pinnedIn } = await import('./server-chain.ts');
  const chain = await lookAtServer(server, context);
  const report = chainReport(chain);
  const last = chain.certificates.at(-1);
  if (!chain.whole && last !== undefined)
    context.log.warn(
      `${chain.server} does not send the root that signed ${last.shown} (${shownName(last.x509.issuer)}): some programs need that one; ask whoever runs the server for it`,
    );
  if (pin.length > 0) return { server: chain.server, report, trusted: pinnedIn(chain, pin) };
  context.log.warn(
    `what ${chain.server} shows proves nothing about who it is: whoever stands in between can show anything; compare its SHA-256 with what its owner says, and give it as --pin`,
  );
  return { server: chain.server, report, trusted: unverified && last !== undefined ? [last] : [] };
}

/** A name on one line. */
function shownName(name: string): string {
  return printable(name.replaceAll('\n', ', '));
}

/** One entry of `--dry-run`'s report for each certificate that would be trusted. */
function certificatesReport(trusted: Trusted | undefined): readonly object[] {
  return (trusted?.certificates ?? []).map((one, index) => ({
    subject: one.x509.subject,
    alias: trusted?.aliases[index],
    sha256: one.fingerprint,
    notAfter: one.validTo.toISOString(),
    from: one.from,
    // Only where Java's stores are written without it.
    notForJava: trusted?.notForJava.get(one),
  }));
}
