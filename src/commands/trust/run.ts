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
import { done, type Outcome } from '../../core/outcome.ts';
import { checkTrust } from './check.ts';
import { formOf } from './forms.ts';
import { readKeyEntry } from './key-store.ts';
import type { trustOptions } from './options.ts';
import { outputsOf, publicationOf, refuseFeedback } from './outputs.ts';
import { checkPkcs12Password, passwordOf } from './password.ts';
import { readTrusted, type Trusted } from './trusted.ts';

/** Reads all certificates and keys, makes every form of them that was asked for, and writes them together. */
export async function runTrust(
  input: Input<typeof trustOptions, undefined>,
  context: Context,
): Promise<Outcome> {
  checkTrust(input, context);
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
  const trusted = await readTrusted(options, context);
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
