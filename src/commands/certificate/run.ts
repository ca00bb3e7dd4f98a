import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';

import type { AlternativeName } from '../../clients/x509/alternative-names.ts';
import { dayOf, type FoundCertificate, readCertificate } from '../../clients/x509/certificate.ts';
import { writePrivateKey } from '../../clients/x509/make-key.ts';
import { writePem } from '../../clients/x509/pem.ts';
import {
  type Output,
  type OutputContent,
  outputTo,
  prepareOutput,
  publishOutput,
  summaryText,
} from '../../config/outputs.ts';
import type { Input } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { formatDuration } from '../../core/duration.ts';
import { done, type Outcome, UsageError } from '../../core/outcome.ts';
import { holdFolder } from '../../fs/folder-turn.ts';
import { contentMode } from '../../fs/publish/attributes.ts';
import { openForWriting } from '../../fs/publish/open-target.ts';
import { identityOfFolder } from '../../fs/publish/target-checks.ts';
import {
  type Authority,
  authorityOutputs,
  keptAuthority,
  makeAuthority,
  readAuthority,
} from './authority.ts';
import { commonNameOf, namesOf, shownNames } from './certificate-names.ts';
import { checkCertificate, folderFor } from './check.ts';
import type { certificateOptions, CertificateOptions } from './options.ts';
import {
  type EarlierPair,
  earlierPair,
  endOf,
  endsBefore,
  isLongerThan,
  makePair,
  newKey,
  type WantedPair,
} from './pair.ts';

/** How long to wait for another run that writes the same certificate, in milliseconds. It would be as good. */
const patience = 10_000;

/** Looks at what an earlier run left; makes what is missing or not what is wanted, and writes all of it together. */
export async function runCertificate(
  input: Input<typeof certificateOptions, readonly AlternativeName[]>,
  context: Context,
): Promise<Outcome> {
  checkCertificate(input);
  const { options, positionals } = input;
  const folder = folderFor(options);
  const names = namesOf(positionals, options, context);
  const outputs = outputsOf(folder, options);
  const caDir = options['ca-dir'];
  const settings = { allowDisk: options['allow-disk'], alwaysSecret: true, set: 'certificate' };
  if (!options['dry-run']) {
    prepareOutput([...outputs.values()], settings);
    if (caDir !== undefined) prepareOutput(authorityOutputs(caDir, options), settings);
  }
  if (caDir !== undefined && identityOfFolder(caDir) === identityOfFolder(folder))
    throw new UsageError(
      `--ca-dir: ${caDir} is the folder of --to: whoever reads the certificate there could have the authority’s key; use another folder`,
    );

  const now = context.clock.date();
  const [cert, key] = [options['ca-cert'], options['ca-key']];
  const givenAuthority =
    cert !== undefined && key !== undefined ? readAuthority({ cert, key }, now, context) : undefined;

  // One order for all runs: none waits for one that waits for it.
  using turns = new DisposableStack();
  if (!options['dry-run'])
    for (const [path, limit] of [
      ...(caDir === undefined ? [] : [[caDir, undefined] as const]),
      [folder, patience] as const,
    ]) {
      const intent = { memoryOnly: !options['allow-disk'], alwaysSecret: true, owner: options.owner };
      using directory = openForWriting(path, path, intent);
      const turn = await holdFolder(directory, context, limit, () =>
        context.log.info(`waiting for another run that works on ${path}`),
      );
      if (turn !== undefined) turns.use(turn);
    }

  const kept = caDir === undefined ? givenAuthority : keptAuthority(caDir, options, context);
  const { issuer } = options;
  const asked = { names, now, isIssued: issuer !== undefined, renewsAuthority: caDir !== undefined };
  const earlier: EarlierPair =
    caDir !== undefined && kept === undefined
      ? { why: `there was no authority in ${caDir}` }
      : earlierPair(folder, { ...asked, authority: kept }, options, context);
  const needsAuthority =
    caDir !== undefined && !('kept' in earlier) && endsTooSoon(kept, now, options.duration);
  if (options['dry-run']) {
    context.stdout(
      `${JSON.stringify(reportOf(earlier, { names, outputs, needsAuthority, isIssued: issuer !== undefined }), null, 2)}\n`,
    );
    return done('dry run: nothing was made or written');
  }
  const authority = needsAuthority ? await replaced(caDir ?? '', kept, names, options, context) : kept;
  const wanted: WantedPair = { ...asked, authority };
  if (!('kept' in earlier)) tellWhy(earlier, wanted, options, context);
  const pair = 'kept' in earlier ? asMade(earlier.kept, authority) : await newPair(wanted, options, context);
  const texts = textsOf(pair);
  if (authority !== undefined && !('kept' in earlier))
    await checkTaken(texts, authority, caDir === undefined ? '--ca-cert' : '--ca-dir', context);
  const published = await publishOutput([...outputs.values()], contentsOf(outputs, texts), settings, context);
  for (const warning of published.warnings) context.log.warn(warning);
  const leaf = readCertificate(pair.certificate, folder);
  const { validTo } = issuer === undefined ? leaf : (endsBefore(leaf, pair.above) ?? leaf);
  const [signer] = pair.above;
  const by = signer === undefined ? 'signed by itself' : `signed by ${signer.shown}`;
  const what = 'kept' in earlier ? 'kept the certificate' : 'made a certificate';
  return done(
    `${what} for ${shownNames(names)}, ${by}, valid until ${validTo.toISOString().replace('.000', '')}; ${summaryText(published)}`,
  );
}

type Part = 'cert' | 'key' | 'ca' | 'combined';

/** Where everything goes: one folder, so that it appears at once. */
function outputsOf(folder: string, options: CertificateOptions): ReadonlyMap<Part, Output> {
  const base = options['base-name'];
  const { mode, owner } = options;
  const output = (name: string, secret: boolean): Output =>
    outputTo(join(folder, name), {
      format: 'raw',
      mode: secret ? mode : contentMode,
      owner,
      secret,
      origin: '--to',
    });
  return new Map<Part, Output>([
    ['cert', output(`${base}.crt`, false)],
    ['key', output(`${base}.key`, true)],
    ['ca', output('ca.crt', false)],
    ...(options.combined ? [['combined', output(`${base}.pem`, true)] as const] : []),
  ]);
}

interface Made {
  readonly certificate: Buffer;
  readonly key: KeyObject;
  /** Those above it, each one's issuer after it. */
  readonly above: readonly FoundCertificate[];
}

function aboveOf(authority: Authority | undefined): readonly FoundCertificate[] {
  return authority === undefined ? [] : [authority.own, ...authority.above];
}

function asMade(
  { certificate, key, above }: Extract<EarlierPair, { kept: unknown }>['kept'],
  authority: Authority | undefined,
): Made {
  return { certificate: certificate.bytes, key, above: above.length > 0 ? above : aboveOf(authority) };
}

async function newPair(wanted: WantedPair, options: CertificateOptions, context: Context): Promise<Made> {
  const { issuer } = options;
  if (issuer === undefined)
    return { ...(await makePair(wanted, options, context)), above: aboveOf(wanted.authority) };
  const key = await newKey(options, context);
  const { issuedByVault } = await import('./issuer.ts');
  const { certificate, above } = await issuedByVault(issuer, { key, names: wanted.names }, options, context);
  const lifetime = certificate.validTo.getTime() - certificate.validFrom.getTime();
  if (isLongerThan(options.duration, lifetime))
    context.log.warn(
      `--duration: the issuer signed until ${dayOf(certificate.validTo)}, which is longer than the ${formatDuration(options.duration)} asked for, so that every run makes a new one`,
    );
  const shorter = endsBefore(certificate, above);
  if (shorter !== undefined)
    context.log.warn(
      `the certificate is of no use after ${dayOf(shorter.validTo)}: the authority ${shorter.shown} above it ends then, and the certificate on ${dayOf(certificate.validTo)}`,
    );
  const end = (shorter ?? certificate).validTo.getTime();
  const renewBefore = options['renew-before'];
  if (renewBefore !== undefined && end - wanted.now.getTime() <= renewBefore)
    context.log.warn(
      `--renew-before: the issuer gives certificates that end within ${formatDuration(renewBefore)}, so that every run makes a new one`,
    );
  return { certificate: certificate.bytes, key, above };
}

type Texts = Readonly<Record<Part, string>>;

/** What the files hold: the certificate with those between it and the root, and the root by itself. */
function textsOf({ certificate, key, above }: Made): Texts {
  const signers = above.map(({ bytes }) => bytes);
  const root = signers.at(-1) ?? certificate;
  const chain = [certificate, ...signers.slice(0, -1)]
    .map((bytes) => writePem('CERTIFICATE', bytes))
    .join('');
  const secret = writePrivateKey(key);
  return {
    cert: chain,
    key: secret,
    ca: writePem('CERTIFICATE', root),
    combined: secret + chain,
  };
}

/** @throws UsageError where whoever trusts the authority would not trust what it signed, for whatever reason */
async function checkTaken(
  { cert, key, ca }: Texts,
  { own }: Authority,
  origin: string,
  { signal }: Pick<Context, 'signal'>,
): Promise<void> {
  const { whyNotTrusted } = await import('../../clients/x509/verified.ts');
  const why = await whyNotTrusted({ chain: cert, key, root: ca }, signal);
  // Clocks differ: one that begins in some minutes will be valid by then.
  if (why === undefined || why === 'certificate is not yet valid') return;
  throw new UsageError(
    `${origin}: ${own.from}: programs would refuse what the authority ${own.shown} signs for these names: ${why}`,
  );
}

function contentsOf(outputs: ReadonlyMap<Part, Output>, texts: Texts): ReadonlyMap<Output, OutputContent> {
  return new Map(
    [...outputs].map(([part, output]) => [
      output,
      { content: { kind: 'value', value: Buffer.from(texts[part]) }, secret: output.secret },
    ]),
  );
}

/** Whether an authority would end before what it is to sign. */
function endsTooSoon(authority: Authority | undefined, now: Date, duration: number): boolean {
  return authority === undefined || authority.own.validTo.getTime() < now.getTime() + duration;
}

async function replaced(
  folder: string,
  kept: Authority | undefined,
  names: readonly AlternativeName[],
  options: CertificateOptions,
  context: Context,
): Promise<Authority> {
  if (kept !== undefined)
    context.log.warn(
      `--ca-dir: the authority ${kept.own.shown} ends on ${dayOf(kept.own.validTo)}, before a certificate of ${formatDuration(options.duration)} would: a new one is made, and whoever trusts the old one needs the new one’s ca.crt`,
    );
  return makeAuthority(folder, options, commonNameOf(names), context);
}

function tellWhy(
  earlier: Extract<EarlierPair, { why: string }>,
  wanted: WantedPair,
  options: CertificateOptions,
  { log }: Pick<Context, 'log'>,
): void {
  const text = `a new certificate is made, since ${earlier.why}`;
  if (earlier.planted === true) log.warn(text);
  else log.info(text);
  const end = endOf(wanted, options);
  if (end < wanted.now.getTime() + options.duration)
    log.warn(
      `the certificate ends with the authority ${wanted.authority?.own.shown ?? ''} on ${dayOf(new Date(end))}, before the ${formatDuration(options.duration)} of --duration`,
    );
}

function reportOf(
  earlier: EarlierPair,
  {
    names,
    outputs,
    needsAuthority,
    isIssued,
  }: {
    readonly names: readonly AlternativeName[];
    readonly outputs: ReadonlyMap<Part, Output>;
    readonly needsAuthority: boolean;
    readonly isIssued: boolean;
  },
): object {
  return {
    names: names.map(({ text }) => text),
    ...('kept' in earlier
      ? {
          kept: true,
          notAfter: (
            endsBefore(earlier.kept.certificate, isIssued ? earlier.kept.above : []) ??
            earlier.kept.certificate
          ).validTo.toISOString(),
        }
      : { kept: false, why: earlier.why, makesAuthority: needsAuthority }),
    files: [...outputs.values()].map(({ folder, name }) => `${folder}/${name ?? ''}`),
  };
}
