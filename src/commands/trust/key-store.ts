import { dayOf } from '../../clients/x509/certificate.ts';
import { chainOf, readPrivateKey } from '../../clients/x509/private-key.ts';
import type { Context } from '../../core/context.ts';
import { everyOne, UsageError } from '../../core/outcome.ts';
import { gatherCertificates } from './gather.ts';
import { whyNotForJava } from './java-certificate.ts';
import type { TrustOptions } from './options.ts';
import { passwordOf } from './password.ts';
import type { KeyEntry } from './store.ts';
import { warnOf } from './warn.ts';

/**
 * Reads --key and --cert, and makes sure that they belong together.
 * @returns undefined where they are not given
 * @throws UsageError
 */
export async function readKeyEntry(
  options: Pick<TrustOptions, 'key' | 'cert' | 'key-password' | 'key-password-env' | 'alias'>,
  context: Pick<Context, 'signal' | 'clock' | 'log' | 'redactor' | 'environment'>,
): Promise<KeyEntry | undefined> {
  const { key: path, cert, alias } = options;
  if (path === undefined || cert === undefined) return undefined;
  const password = passwordOf(
    options['key-password'],
    options['key-password-env'],
    '--key-password-env',
    context,
  );
  const key = readPrivateKey(
    {
      text: path,
      origin: '--key',
      password,
      passwordFlags: '--key-password-file or --key-password-env',
    },
    context,
  );
  const { certificates, warnings } = await gatherCertificates({ text: cert, origin: '--cert' }, context);
  warnOf(warnings, context);
  const chain = chainOf(key, certificates);
  if (chain === undefined)
    throw new UsageError(
      `--key: ${path} is not the key of ${certificates.length === 1 ? `the certificate ${certificates[0]?.shown}` : `any of the ${certificates.length} certificates`} in ${cert} (--cert); was one of them renewed without the other?`,
    );
  everyOne(chain.certificates, ({ bytes, shown, from }) => {
    const why = whyNotForJava(bytes);
    if (why !== undefined)
      throw new UsageError(
        `--cert: ${from}: Java could not read a keystore with the certificate ${shown}: ${why}`,
      );
  });
  const unused = chain.unused.map(
    ({ shown, from }) => `${from}: the certificate ${shown} is not of the chain of --cert; it is left out`,
  );
  warnOf(unused, context);
  const [leaf] = chain.certificates;
  if (leaf !== undefined && leaf.validTo < context.clock.date())
    context.log.warn(`${leaf.from}: the certificate ${leaf.shown} expired on ${dayOf(leaf.validTo)}`);
  return {
    alias,
    key: key.export({ type: 'pkcs8', format: 'der' }),
    chain: chain.certificates.map(({ bytes }) => bytes),
    date: leaf?.validFrom ?? new Date(0),
  };
}
