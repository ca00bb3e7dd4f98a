import type { TLSSocket } from 'node:tls';

import { openConnection } from '../../clients/connection/open.ts';
import { createResolver } from '../../clients/dns/resolver.ts';
import { type FoundCertificate, readCertificate } from '../../clients/x509/certificate.ts';
import type { Context } from '../../core/context.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { shownHostPort } from '../../core/host-port.ts';
import { Failure, failed } from '../../core/outcome.ts';
import { satisfied } from '../../wait/attempt.ts';
import { waitFor } from '../../wait/loop.ts';
import { waitOutcome } from '../../wait/outcome.ts';
import { proportional } from '../../wait/schedule.ts';
import { once } from '../../wait/target-state.ts';
import type { ShownBy } from './server-flags.ts';

/** What a server showed: its own certificate first, then each one's issuer, as far as it sends them. */
export interface ShownChain {
  readonly server: string;
  readonly certificates: readonly FoundCertificate[];
  /** Whether the last one signed itself: nothing is above it. */
  readonly whole: boolean;
}

/** More than any chain has; OpenSSL takes at most 100 KiB of them. */
const most = 64;

/**
 * Looks at what a server shows, whoever it is. Waits until something answers.
 * @throws Failure, or the signal's reason
 */
export async function lookAtServer({ host, port }: ShownBy, context: Context): Promise<ShownChain> {
  const server = shownHostPort(host, port);
  const resolve = createResolver(context);
  let shown: readonly FoundCertificate[] = [];
  const report = await waitFor(
    [
      {
        name: server,
        async attempt(probe) {
          const place = {
            endpoint: { kind: 'tcp', host, port },
            // It is not trusted with anything: nothing is sent.
            tls: { verify: false, noAuthorities: true },
          } as const;
          const opened = await openConnection(place, { resolve, clock: context.clock }, probe);
          if ('state' in opened) return opened;
          try {
            shown = chainShownTo(opened.stream as TLSSocket, server);
          } finally {
            opened.stream.destroy();
          }
          return satisfied(`shows ${shown.length} certificate${shown.length === 1 ? '' : 's'}`);
        },
      },
    ],
    { schedule: proportional(1), policy: once },
    context,
  );
  const outcome = waitOutcome(report);
  if (outcome.kind === 'failed') throw new Failure(outcome);
  const last = shown.at(-1);
  if (last === undefined)
    throw new Failure(failed(exitStatus.refused, `${server} shows no certificate that can be read`));
  return { server, certificates: shown, whole: last.x509.subject === last.x509.issuer };
}

function chainShownTo(stream: TLSSocket, server: string): readonly FoundCertificate[] {
  const found: FoundCertificate[] = [];
  const seen = new Set<string>();
  for (let one = stream.getPeerCertificate(true); Buffer.isBuffer(one?.raw); one = one.issuerCertificate) {
    const certificate = readCertificate(one.raw, server);
    if (seen.has(certificate.fingerprint) || found.length === most) break;
    seen.add(certificate.fingerprint);
    found.push(certificate);
  }
  return found;
}

/**
 * Those of a chain that were named beforehand.
 * @param pins SHA-256 in hex
 * @throws Failure where one of the pins is of none of them
 */
export function pinnedIn(chain: ShownChain, pins: readonly string[]): readonly FoundCertificate[] {
  const missing = pins.filter((pin) => !chain.certificates.some(({ fingerprint }) => fingerprint === pin));
  if (missing.length > 0)
    throw new Failure(
      failed(
        exitStatus.refused,
        `${chain.server} shows no certificate with the SHA-256 ${missing.join(' or ')} (--pin)`,
        {
          details: chain.certificates.map(
            ({ shown, fingerprint }) => `it shows ${shown}, sha256:${fingerprint}`,
          ),
          hint: 'was its certificate renewed, is it another server, or does somebody stand in between? Ask whoever runs it for the SHA-256',
        },
      ),
    );
  return chain.certificates.filter(({ fingerprint }) => pins.includes(fingerprint));
}

/** For people and programs: what was shown, and how it is pinned. */
export function chainReport({ server, certificates, whole }: ShownChain): object {
  return {
    server,
    certificates: certificates.map(({ x509, fingerprint, validFrom, validTo }) => ({
      subject: x509.subject,
      issuer: x509.issuer,
      names: x509.subjectAltName,
      notBefore: validFrom.toISOString(),
      notAfter: validTo.toISOString(),
      authority: x509.ca,
      pin: `sha256:${fingerprint}`,
    })),
    sendsRoot: whole,
  };
}
