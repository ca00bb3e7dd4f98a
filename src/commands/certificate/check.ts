import { resolve } from 'node:path';

import { vaultOptions } from '../../clients/sources/options.ts';
import type { AlternativeName } from '../../clients/x509/alternative-names.ts';
import type { Input } from '../../core/command.ts';
import { formatDuration } from '../../core/duration.ts';
import { flagName } from '../../core/options/option.ts';
import { everyOne, UsageError } from '../../core/outcome.ts';
import type { certificateOptions, CertificateOptions } from './options.ts';

/** A certificate that ends before its first user has it, in milliseconds. */
const shortest = 60_000;

/** So that OpenSSL takes it (max_cert_list, 100 KiB), whatever length they have. */
const mostNames = 250;

/**
 * Checks what can be told without a file.
 * @throws UsageError, as runCertificate does for the same
 */
export function checkCertificate({
  options,
  positionals: names,
}: Pick<Input<typeof certificateOptions, readonly AlternativeName[]>, 'options' | 'positionals'>): void {
  everyOne(
    [
      () => void folderFor(options),
      () => checkNames(options, names),
      () => checkTimes(options),
      () => checkAuthority(options),
    ],
    (check) => check(),
  );
}

/** @throws UsageError where there is none */
export function folderFor({ to }: Pick<CertificateOptions, 'to'>): string {
  if (to !== undefined) return to;
  throw new UsageError('nothing says where the certificate goes: give --to DIR');
}

function checkNames(options: CertificateOptions, names: readonly AlternativeName[]): void {
  if (names.length > mostNames)
    throw new UsageError(
      `${names.length} names are more than the ${mostNames} of one certificate: programs refuse one that is larger than 100 KiB, and each connection sends it`,
    );
  if (names.length + options.service.length + options['headless-service'].length === 0)
    throw new UsageError(
      'nothing says whom the certificate is for: give names, --service or --headless-service; for example: initbox certificate --service shop --to /tls',
    );
}

function checkTimes(options: CertificateOptions): void {
  const { duration, 'renew-before': renewBefore, 'ca-dir': folder, 'ca-duration': authority } = options;
  if (duration < shortest)
    throw new UsageError(`--duration: ${formatDuration(duration)} is too short; write at least 1m`);
  if (renewBefore !== undefined && renewBefore >= duration)
    throw new UsageError(
      `--renew-before: ${formatDuration(renewBefore)} is not less than the ${formatDuration(duration)} of --duration: every run would make a new certificate`,
    );
  if (folder !== undefined && authority <= duration)
    throw new UsageError(
      `--ca-duration: ${formatDuration(authority)} is not more than the ${formatDuration(duration)} of --duration: the authority would end before what it signs`,
    );
}

function checkAuthority(options: CertificateOptions): void {
  const { 'ca-cert': cert, 'ca-key': key, 'ca-dir': folder, to, issuer } = options;
  if (issuer !== undefined && (cert ?? key ?? folder) !== undefined)
    throw new UsageError(
      `--issuer and --${folder === undefined ? 'ca-cert' : 'ca-dir'} cannot be combined: one of them signs`,
    );
  const ofVault = Object.keys(vaultOptions) as (keyof typeof vaultOptions)[];
  const given = ofVault.find((name) => options[name] !== vaultOptions[name].fallback);
  if (issuer === undefined && given !== undefined)
    throw new UsageError(`--${flagName(given, vaultOptions[given])} is for --issuer, which is not given`);
  if ((cert === undefined) !== (key === undefined))
    throw new UsageError(
      cert === undefined ? '--ca-key needs --ca-cert' : '--ca-cert needs --ca-key, the key that signs',
    );
  if (folder === undefined || to === undefined) return;
  const [inner, outer] = [`${resolve(folder)}/`, `${resolve(to)}/`];
  if (inner.startsWith(outer))
    throw new UsageError(
      `--ca-dir: ${folder} lies in ${to} (--to): whoever reads the certificate there could have the authority’s key; use another folder`,
    );
}
