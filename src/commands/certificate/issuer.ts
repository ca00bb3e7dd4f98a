import type { KeyObject } from 'node:crypto';

import { giveBack } from '../../clients/sources/give-back.ts';
import { openVault } from '../../clients/sources/vault-sources.ts';
import type { Vault } from '../../clients/vault/client.ts';
import { type AlternativeName, hasNames } from '../../clients/x509/alternative-names.ts';
import {
  dayOf,
  type FoundCertificate,
  NotCertificate,
  readCertificate,
} from '../../clients/x509/certificate.ts';
import { mayServe } from '../../clients/x509/extensions.ts';
import { PemDamaged, pemBlocks, pemBytes, writePem } from '../../clients/x509/pem.ts';
import { chainOf } from '../../clients/x509/private-key.ts';
import { signingRequest } from '../../clients/x509/signing-request.ts';
import type { FieldValue } from '../../config/source.ts';
import type { Context } from '../../core/context.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { Failure } from '../../core/outcome.ts';
import { never, satisfied, type Never, type NotYet, type Probe, type Target } from '../../wait/attempt.ts';
import { waitFor } from '../../wait/loop.ts';
import { waitOutcome } from '../../wait/outcome.ts';
import { proportional } from '../../wait/schedule.ts';
import { once } from '../../wait/target-state.ts';
import { backdated } from './authority.ts';
import { commonNameOf } from './certificate-names.ts';
import type { CertificateOptions } from './options.ts';

/** A certificate of an issuer, and those above it, each one's issuer after it. */
export interface Issued {
  readonly certificate: FoundCertificate;
  readonly above: readonly FoundCertificate[];
}

interface Asked {
  readonly key: KeyObject;
  readonly names: readonly AlternativeName[];
}

/** Bytes of an answer: a certificate and its chain. */
const largestAnswer = { bytes: 1 << 20, origin: 'the limit for certificates' };

/**
 * Has Vault's PKI engine sign a certificate for a key, which stays here.
 * @throws Failure, or the signal's reason
 */
export async function issuedByVault(
  path: string,
  { key, names }: Asked,
  options: CertificateOptions,
  context: Context,
): Promise<Issued> {
  using stack = new DisposableStack();
  const vault = await openVault(options, largestAnswer, context, stack);
  let issued: Issued | undefined;
  try {
    if (vault.needsLogin)
      await reached({ name: vault.name, attempt: (probe) => vault.logIn(probe) }, context);
    const body = bodyOf(key, names, options.duration);
    await reached(
      {
        name: `vault:${path}`,
        async attempt(probe) {
          const answer = await signed(vault, path, body, { key, names, now: context.clock.date() }, probe);
          if ('state' in answer) return answer;
          issued = answer;
          return satisfied(`signed for ${commonNameOf(names)}`);
        },
      },
      context,
    );
    if (issued === undefined) throw new Error('there is no certificate');
    return issued;
  } finally {
    // Where the role makes leases, the certificate would be revoked with the token.
    await giveBack({ vault }, issued !== undefined, context);
  }
}

async function reached(target: Target, context: Context): Promise<void> {
  const plan = { schedule: proportional(1), policy: once, overlap: 1, patient: true };
  const outcome = waitOutcome(await waitFor([target], plan, context));
  if (outcome.kind === 'failed') throw new Failure(outcome);
}

/** https://developer.hashicorp.com/vault/api-docs/secret/pki#sign-certificate. The names stand beside the request, too, for roles that look at them alone. */
function bodyOf(key: KeyObject, names: readonly AlternativeName[], duration: number): object {
  const commonName = commonNameOf(names);
  const isAddress = ({ element }: AlternativeName): boolean => element[0] === 0x87;
  const listed = (those: readonly AlternativeName[]): string => those.map(({ text }) => text).join(',');
  const request = signingRequest(
    key,
    commonName,
    names.map(({ element }) => element),
  );
  return {
    csr: writePem('CERTIFICATE REQUEST', request),
    common_name: commonName,
    alt_names: listed(names.filter((name) => !isAddress(name))),
    ip_sans: listed(names.filter(isAddress)),
    ttl: `${Math.ceil(duration / 1000)}s`,
    format: 'pem',
  };
}

async function signed(
  vault: Vault,
  path: string,
  body: object,
  { key, names, now }: Asked & { readonly now: Date },
  probe: Probe,
): Promise<Issued | NotYet | Never> {
  const made = await vault.make(path, body, probe);
  if (made.state !== 'made') return made;
  const texts = [made.data['certificate'], made.data['ca_chain'], made.data['issuing_ca']].flatMap(textsOf);
  const refuse = (why: string, hint?: string): Never => never(exitStatus.refused, why, hint);
  let all: FoundCertificate[];
  try {
    all = texts.flatMap((text) =>
      pemBlocks(Buffer.from(text)).map((block) => readCertificate(pemBytes(block), `vault:${path}`)),
    );
  } catch (error) {
    if (error instanceof PemDamaged || error instanceof NotCertificate)
      return refuse('answered with what is not a certificate');
    throw error;
  }
  const unique = [...new Map(all.map((one) => [one.fingerprint, one])).values()];
  const [certificate, ...above] = chainOf(key, unique)?.certificates ?? [];
  if (certificate === undefined)
    return refuse('answered with a certificate for another key than the one sent');
  if (above.length === 0) return refuse('answered without the certificate of the authority that signed');
  if (!hasNames(certificate.bytes, names))
    return refuse(
      'signed for other names than were asked for',
      'the role must take the names of the request: use_csr_sans=true, or the names that are allowed to it',
    );
  const unfit = [certificate, ...above].map((one) => whyExpired(one, now)).find((why) => why !== undefined);
  if (unfit !== undefined)
    return refuse(
      unfit,
      'look at what the role and the issuer say of its times, and at the clock of the node',
    );
  if (certificate.x509.ca)
    return refuse('signed a certificate of an authority, which some programs do not take for a server’s');
  if (!mayServe(certificate.x509))
    return refuse(
      'signed a certificate whose purposes are not those of a server',
      'the role must allow them: server_flag=true',
    );
  return { certificate, above };
}

/** Clocks differ, as for what is made here. */
function whyExpired({ shown, validFrom, validTo }: FoundCertificate, now: Date): string | undefined {
  const clock = `the clock here says ${now.toISOString()}`;
  if (validTo <= now) return `answered with ${shown}, which has expired on ${dayOf(validTo)}; ${clock}`;
  if (validFrom.getTime() > now.getTime() + backdated)
    return `answered with ${shown}, which is not valid before ${dayOf(validFrom)}; ${clock}`;
  return undefined;
}

function textsOf(value: FieldValue | undefined): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(textsOf);
  return typeof value === 'string' ? [value] : [];
}
