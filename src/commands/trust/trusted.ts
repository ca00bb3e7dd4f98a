import { aliasesOf, doubtsOf, type FoundCertificate } from '../../clients/x509/certificate.ts';
import type { SourceAddress } from '../../config/source.ts';
import { catchUp } from '../../core/clock.ts';
import type { Context } from '../../core/context.ts';
import { flagName } from '../../core/options/option.ts';
import { UsageError } from '../../core/outcome.ts';
import { sourcesAmong } from './add-sources.ts';
import { gatherCertificates, type Gathered } from './gather.ts';
import { whyNotForJava } from './java-certificate.ts';
import { reachOptions, type TrustOptions } from './options.ts';
import { systemRoots } from './system-roots.ts';
import { warnOf } from './warn.ts';

/** What is to be trusted: each certificate once. */
export interface Trusted {
  /** Those of the system or the base first, then those that were added, in the order of the command line. */
  readonly certificates: readonly FoundCertificate[];
  /** The name of each in a store. */
  readonly aliases: readonly string[];
  /** Why Java's stores are written without some of them; nothing is looked at where no such store is written. */
  readonly notForJava: ReadonlyMap<FoundCertificate, string>;
  /** `145 certificates (142 of /etc/ssl/certs/ca-certificates.crt, 3 added)` */
  readonly summary: string;
}

/**
 * Reads what is to be trusted, and warns of what is left out and of what cannot be what it was meant for.
 * @param shown of a server, where these are to be trusted
 * @returns undefined where nothing was given
 * @throws UsageError
 */
export async function readTrusted(
  options: TrustOptions,
  shown: readonly FoundCertificate[],
  context: Context,
): Promise<Trusted | undefined> {
  const { log } = context;
  const base = await readBase(options, context);
  const added: FoundCertificate[] = [];
  const sources = sourcesAmong(options.add, context.redactor);
  if (sources.size === 0) warnOf(withoutEffect(options), context);
  const fetched = sources.size === 0 ? undefined : await fetchCertificates(sources, options, context);
  for (const text of options.add) {
    const { certificates, warnings } =
      fetched?.get(text) ?? (await gatherCertificates({ text, origin: '--add' }, context));
    warnOf(warnings, context);
    log.info(`${sources.get(text)?.text ?? text}: ${countOf(certificates.length)}`);
    added.push(...certificates);
  }
  added.push(...shown);
  if (base === undefined && added.length === 0) return undefined;
  const known = new Set(base?.certificates.map(({ fingerprint }) => fingerprint));
  const fresh = unique(added).filter(({ fingerprint }) => !known.has(fingerprint));
  const now = context.clock.date();
  const doubts = fresh.flatMap((one) =>
    doubtsOf(one, now).map((doubt) => `${one.from}: the certificate ${one.shown} ${doubt}`),
  );
  warnOf(doubts, context);
  const certificates = [...(base?.certificates ?? []), ...fresh];
  const notForJava = await leftOutOfStores(certificates, options, context);
  const parts = [
    ...(base === undefined ? [] : [`${base.certificates.length} of ${base.from}`]),
    ...(added.length === 0 ? [] : [`${fresh.length} added`]),
  ];
  const whole = `${countOf(certificates.length)}${base === undefined ? '' : ` (${parts.join(', ')})`}`;
  const summary =
    notForJava.size === 0 ? whole : `${whole}, ${notForJava.size} of them left out of ${storesOf(options)}`;
  return { certificates, aliases: aliasesOf(certificates), notForJava, summary };
}

/** Their user believes that somebody is asked, or verified. */
function withoutEffect(options: TrustOptions): readonly string[] {
  return Object.entries(reachOptions)
    .filter(([name, { fallback }]) => {
      const value: unknown = options[name as keyof typeof reachOptions];
      return Array.isArray(value) ? value.length > 0 : value !== fallback;
    })
    .map(([name, option]) => `--${flagName(name, option)} has no effect: --add names no server`);
}

/** By the text of each. Loaded for this alone: what speaks to servers takes longer to load than files to read. */
async function fetchCertificates(
  sources: ReadonlyMap<string, SourceAddress>,
  options: TrustOptions,
  context: Context,
): Promise<ReadonlyMap<string, Gathered>> {
  const { certificatesFrom } = await import('./fetched.ts');
  const found = await certificatesFrom([...sources.values()], options, context);
  return new Map(
    [...sources].flatMap(([text, address]) => {
      const one = found.get(address);
      return one === undefined ? [] : [[text, one] as const];
    }),
  );
}

/** Certificates between two looks at the signal: each takes up to a tenth of a millisecond. */
const stretch = 256;

/**
 * Finds and tells the certificates that Java would not read: it reads all of a store or nothing.
 * @throws UsageError where nothing would be left, which Java does not take for a truststore either
 */
async function leftOutOfStores(
  certificates: readonly FoundCertificate[],
  options: Pick<TrustOptions, 'pkcs12' | 'jks'>,
  context: Pick<Context, 'signal' | 'log'>,
): Promise<ReadonlyMap<FoundCertificate, string>> {
  const leftOut = new Map<FoundCertificate, string>();
  const stores = storesOf(options);
  if (stores === '') return leftOut;
  for (const [index, one] of certificates.entries()) {
    if ((index + 1) % stretch === 0) await catchUp(context.signal);
    const why = whyNotForJava(one.bytes);
    if (why !== undefined) leftOut.set(one, why);
  }
  if (leftOut.size === certificates.length) {
    const reasons = [...leftOut].map(([{ from, shown }, why]) => `${from}: the certificate ${shown}: ${why}`);
    throw new UsageError([
      `${stores}: there is no certificate that Java can read`,
      ...reasons.slice(0, fewReasons),
    ]);
  }
  warnOf(
    [...leftOut].map(
      ([{ from, shown }, why]) =>
        `${from}: the certificate ${shown} is left out of ${stores}, since Java could not read the whole store with it: ${why}`,
    ),
    context,
  );
  return leftOut;
}

/** Lines of the mistake. */
const fewReasons = 10;

/** Those of Java's truststores that are written; empty where none is. */
function storesOf(options: Pick<TrustOptions, 'pkcs12' | 'jks'>): string {
  return (['pkcs12', 'jks'] as const)
    .filter((name) => options[name] !== undefined)
    .map((name) => `--${name}`)
    .join(' and ');
}

async function readBase(
  { system, base }: Pick<TrustOptions, 'system' | 'base'>,
  context: Pick<Context, 'signal' | 'host' | 'log' | 'clock'>,
): Promise<{ readonly certificates: readonly FoundCertificate[]; readonly from: string } | undefined> {
  if (!system && base === undefined) return undefined;
  const { certificates, from } =
    base === undefined ? await systemRoots(context) : await readBundle(base, context);
  const once = unique(certificates);
  const expired = once.filter(({ validTo }) => validTo < context.clock.date()).length;
  // They are not the user's to mend.
  const note = expired === 0 ? '' : `, ${expired} of them expired`;
  context.log.info(
    `${base === undefined ? '--system' : '--base'}: ${countOf(once.length)} of ${from}${note}`,
  );
  return { certificates: once, from };
}

async function readBundle(
  text: string,
  context: Pick<Context, 'signal' | 'log'>,
): Promise<{ readonly certificates: readonly FoundCertificate[]; readonly from: string }> {
  const { certificates, warnings } = await gatherCertificates({ text, origin: '--base' }, context);
  warnOf(warnings, context);
  return { certificates, from: text };
}

/** The first of each. */
function unique(certificates: readonly FoundCertificate[]): readonly FoundCertificate[] {
  const seen = new Set<string>();
  return certificates.filter(({ fingerprint }) => {
    if (seen.has(fingerprint)) return false;
    seen.add(fingerprint);
    return true;
  });
}

function countOf(count: number): string {
  return `${count} certificate${count === 1 ? '' : 's'}`;
}
