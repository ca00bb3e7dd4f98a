import type { Socket } from 'node:net';
import type { PeerCertificate } from 'node:tls';

import { exitStatus } from '../../core/exit-status.ts';
import { connectHint, connectWords } from '../../core/socket-errors.ts';
import { never, notYet, type Never, type NotYet } from '../../wait/attempt.ts';
import { NameNotFound, ProxyFailure, ProxyRefused } from './agents.ts';
import { AnswerFault } from './answer-head.ts';
import { busyOf, type AnswerHead } from './retry-after.ts';

interface SystemError extends Error {
  readonly code?: string;
  readonly address?: string;
  readonly errors?: readonly SystemError[];
  readonly reason?: string;
  readonly cert?: PeerCertificate;
}

/** What is known of the connection that failed. */
export interface Scene {
  readonly url: URL;
  readonly socket: Socket | undefined;
  /** What the server showed, where it got as far as that. */
  readonly certificate: PeerCertificate | undefined;
  readonly proxy: URL | undefined;
  readonly now: Date;
  /** What the server does wrong may be put right while we wait. */
  readonly forgiving: boolean;
}

/** Whom the failure is about: what was connected to, which need not be the URL's server. */
interface Peer {
  /** `the server`, or `the proxy proxy.internal:3128`. */
  readonly who: string;
  /** Whose certificate it is. */
  readonly owner: string;
  /** Its host and port. */
  readonly host: string;
  /** The variable that names it; undefined for the server itself. */
  readonly variable: string | undefined;
}

function peerOf({ url, proxy }: Scene, aboutProxy: boolean): Peer {
  if (proxy === undefined || !aboutProxy)
    return { who: 'the server', owner: url.hostname, host: url.host, variable: undefined };
  const who = `the proxy ${proxy.host}`;
  const variable = url.protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  return { who, owner: who, host: proxy.host, variable };
}

/** Says in words why a request got no answer, and whether waiting may help. */
export function failureOf(given: unknown, before: Scene): NotYet | Never {
  const ofProxy = given instanceof ProxyFailure;
  const error = ofProxy ? given.cause : given;
  const scene = ofProxy ? { ...before, certificate: given.certificate, socket: undefined } : before;
  // A request for http goes to the proxy itself; one for https through its tunnel.
  const peer = peerOf(scene, ofProxy || scene.url.protocol === 'http:');
  if (error instanceof NameNotFound) {
    const whose = scene.proxy === undefined ? '' : ` (the proxy ${scene.proxy.host})`;
    return notYet(`${error.answer.reason}${whose}`, { hint: error.answer.hint });
  }
  if (error instanceof ProxyRefused) return proxyRefusal(error.head, scene);
  const failure = error as SystemError;
  const code = codeOf(failure);
  const wrong =
    error instanceof AnswerFault
      ? answerFailure(error, peer)
      : (certificateFailure(code, failure, scene, peer) ?? protocolFailure(code, failure, peer));
  if (wrong !== undefined) return scene.forgiving ? notYet(wrong.reason, { hint: wrong.hint }) : wrong;
  const each = failure.errors && failure.errors.length > 0 ? failure.errors : [failure];
  const said = new Map<string, Set<string>>();
  for (const { code: one, address, message } of each) {
    const words = one === undefined ? message : connectWords(one);
    said.set(words, (said.get(words) ?? new Set()).add(address ?? scene.socket?.remoteAddress ?? ''));
  }
  const text = [...said].map(([words, addresses]) => {
    const list = [...addresses].filter(Boolean).join(', ');
    return list === '' ? words : `${words} (${list})`;
  });
  const through = scene.proxy === undefined ? '' : ` by the proxy ${scene.proxy.host}`;
  return notYet(`${text.join('; ')}${through}`, {
    hint: connectHint(each[0]?.code ?? ''),
    absent: scene.proxy === undefined && each.every((one) => proofs.has(one.code ?? '')),
  });
}

/**
 * Says in words why a handshake of another protocol than HTTP failed. What does not speak TLS may be another server that
 * stands there for now; what its certificate is, waiting does not change.
 * @param peer `cache:6379, 10.0.0.4`
 */
export function tlsFailureOf(
  error: unknown,
  {
    host,
    certificate,
    now,
  }: { readonly host: string; readonly certificate: PeerCertificate | undefined; readonly now: Date },
  peer: string,
): NotYet | Never {
  const failure = error as SystemError;
  const code = codeOf(failure);
  const owner = { who: 'the server', owner: host, host, variable: undefined };
  const wrong =
    certificateFailure(code, failure, { certificate, now }, owner) ?? protocolFailure(code, failure, owner);
  if (wrong === undefined) return notYet(`the TLS handshake failed: ${connectWords(code)} (${peer})`);
  if (/does not speak TLS/.test(wrong.reason))
    return notYet(`${wrong.reason} (${peer})`, {
      hint: 'is it the right port, and does it have TLS turned on?',
    });
  return { ...wrong, reason: `${wrong.reason} (${peer})` };
}

/** Nothing is there: proof, as against silence. */
const proofs: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOENT']);

/** Where a write met OpenSSL's error, its reason stands in the message alone: `…:SSL routines:…:wrong version number:…`. */
function codeOf({ code = '', message }: SystemError): string {
  const reason = code === 'EPROTO' ? /:SSL routines:[^:]*:([^:]+):/.exec(message)?.[1] : undefined;
  return reason === undefined ? code : `ERR_SSL_${reason.toUpperCase().replaceAll(' ', '_')}`;
}

function proxyRefusal(head: AnswerHead, { proxy, now }: Scene): NotYet | Never {
  const { status } = head;
  const said = `the proxy ${proxy?.host ?? ''} answered ${status} to CONNECT`;
  if (status === 407) {
    return never(
      exitStatus.refused,
      said,
      'it requires a user and password: set them in HTTPS_PROXY, or list the host in NO_PROXY',
    );
  }
  if (status >= 500 || status === 429 || status === 0) return notYet(said, { busy: busyOf(head, now) });
  return never(
    exitStatus.refused,
    said,
    'the proxy does not allow connections to that host: list the host in NO_PROXY if it is inside the cluster',
  );
}

/** Codes of OpenSSL's verification, as Node names them (https://nodejs.org/api/tls.html#x509-certificate-error-codes). */
const untrusted: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'INVALID_CA',
]);

/** What is wrong with a certificate that no authority's certificate makes right, and what to do; the same reference. */
const rejected: ReadonlyMap<string, readonly [what: string, hint: string]> = new Map([
  [
    'INVALID_PURPOSE',
    [
      'is not meant for a server: its key usage or extended key usage does not allow that',
      'make a new certificate with extendedKeyUsage = serverAuth (a certificate for clients alone has clientAuth)',
    ],
  ],
  ['CERT_REJECTED', ['is rejected for servers by its authority', 'make a new certificate']],
  ['CERT_CHAIN_TOO_LONG', ['has a chain of too many authorities', 'make a new certificate']],
  [
    'PATH_LENGTH_EXCEEDED',
    [
      'comes from an authority below one that allows no further authority (pathlen)',
      'make a new certificate',
    ],
  ],
  ['ERROR_IN_CERT_NOT_BEFORE_FIELD', ['has a first date that cannot be read', 'make a new certificate']],
  ['ERROR_IN_CERT_NOT_AFTER_FIELD', ['has a last date that cannot be read', 'make a new certificate']],
  ['UNABLE_TO_DECRYPT_CERT_SIGNATURE', ['has a signature that cannot be read', 'make a new certificate']],
  [
    'UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY',
    ['comes from an authority whose key cannot be read', 'make a new certificate'],
  ],
  ['UNSPECIFIED', ['is not valid', 'make a new certificate']],
]);

function certificateFailure(
  code: string,
  error: SystemError,
  scene: Pick<Scene, 'certificate' | 'now'>,
  { owner: host, variable }: Peer,
): Never | undefined {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return never(
      exitStatus.refused,
      `the certificate of ${host} is for another name: ${namesIn(error.cert) ?? error.message}`,
      variable === undefined
        ? 'use a name that is in the certificate, or name it for verification (--tls-server-name, or VAULT_TLS_SERVER_NAME for Vault)'
        : `write the proxy's address in ${variable} with a name that is in its certificate`,
    );
  }
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
    const { certificate } = scene;
    const dates = certificate?.valid_from
      ? ` (valid from ${certificate.valid_from} to ${certificate.valid_to})`
      : '';
    const state = code === 'CERT_HAS_EXPIRED' ? 'has expired' : 'is not valid yet';
    return never(
      exitStatus.refused,
      `the certificate of ${host} ${state}${dates}; the clock here says ${scene.now.toISOString()}`,
      code === 'CERT_HAS_EXPIRED'
        ? "renew the certificate, or set the node's clock if it is the one that is wrong"
        : "set the node's clock if it is behind, or the clock of whoever issued the certificate",
    );
  }
  if (code === 'CERT_REVOKED') return never(exitStatus.refused, `the certificate of ${host} is revoked`);
  // OpenSSL's security level (https://docs.openssl.org/master/man3/SSL_CTX_set_security_level/): Node has no code for it.
  const weak = /\b(key|digest algorithm|signature\b.*) too (?:weak|small)/i.exec(error.message)?.[1];
  if (weak !== undefined && (code === 'UNSPECIFIED' || /^ERR_SSL_.*(TOO_WEAK|TOO_SMALL)/.test(code)))
    return never(
      exitStatus.refused,
      `the certificate of ${host} is too weak (${error.message})`,
      'make a new certificate, with an RSA key of at least 2,048 bits or an EC key, and with a SHA-256 signature',
    );
  const wrong = rejected.get(code);
  if (wrong !== undefined)
    return never(exitStatus.refused, `the certificate of ${host} ${wrong[0]} (${code})`, wrong[1]);
  if (!untrusted.has(code)) return undefined;
  return never(
    exitStatus.refused,
    `the certificate of ${host} comes from an authority that is not trusted here (${code})`,
    'give the authority’s certificate: --ca-file, VAULT_CACERT for Vault, AWS_CA_BUNDLE for AWS, SSL_CERT_FILE or NODE_EXTRA_CA_CERTS for all',
  );
}

/** `DNS:vault.vault.svc, IP Address:10.0.0.4`, or the common name where there is nothing else. */
function namesIn(certificate: PeerCertificate | undefined): string | undefined {
  return certificate?.subjectaltname ?? certificate?.subject.CN?.toString();
}

function protocolFailure(
  code: string,
  error: SystemError,
  { who, host, variable }: Peer,
): NotYet | Never | undefined {
  // As EPROTO, OpenSSL's words stand in the message alone.
  const words = code === 'EPROTO' ? error.message.toUpperCase().replaceAll(' ', '_') : code;
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST/.test(words)) {
    return never(
      exitStatus.refused,
      variable === undefined ? 'the server does not speak TLS there' : `${who} does not speak TLS`,
      variable === undefined
        ? `is it http://${host}, or another port?`
        : `is ${variable} to be http://${host}, or another port?`,
    );
  }
  const alert =
    /ALERT_(CERTIFICATE_REQUIRED|BAD_CERTIFICATE|UNKNOWN_CA|CERTIFICATE_(?:EXPIRED|UNKNOWN|REVOKED))/.exec(
      words,
    )?.[1];
  if (alert !== undefined) {
    const told = `TLS alert: ${alert.toLowerCase().replaceAll('_', ' ')}`;
    return never(
      exitStatus.refused,
      variable === undefined
        ? `the server refused our client certificate, or wants one (${told})`
        : `${who} wants a client certificate (${told})`,
      variable === undefined
        ? 'give one that it trusts: --cert-file and --key-file, or VAULT_CLIENT_CERT and VAULT_CLIENT_KEY for Vault'
        : 'initbox shows no client certificate to a proxy',
    );
  }
  if (/UNRECOGNIZED_NAME/.test(words)) {
    return never(
      exitStatus.refused,
      `${who} does not know the name that was asked for (TLS alert: unrecognized name)`,
      variable === undefined
        ? 'use a name that it serves, in the URL or by --tls-server-name; behind an ingress or gateway, look at its hosts'
        : `write the proxy's address in ${variable} with a name that it serves`,
    );
  }
  if (/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/.test(words)) {
    return never(
      exitStatus.refused,
      `${who} speaks no version of TLS from 1.2 on`,
      'let it speak TLS 1.2 or 1.3: older versions are not safe',
    );
  }
  if (/^ERR_SSL_.*ALERT|^EPROTO$|^ERR_SSL_/.test(code)) {
    return never(
      exitStatus.refused,
      `the TLS handshake ${variable === undefined ? '' : `with ${who} `}failed (${error.reason ?? code})`,
      'do both ends have a TLS version and cipher in common?',
    );
  }
  return undefined;
}

/** An answer that curl would not read either (answers.ts). */
function answerFailure({ kind, message }: AnswerFault, { who, host, variable }: Peer): NotYet | Never {
  if (kind === 'cut') return notYet(message);
  if (kind === 'broken')
    return never(
      exitStatus.refused,
      variable === undefined
        ? `the answer is not valid HTTP: ${message}`
        : `the answer of ${who} is not valid HTTP: ${message}`,
      'look at the server, and at any proxy in between',
    );
  const scheme = variable === undefined ? '' : `${variable} with `;
  const hints: Readonly<Record<typeof kind, string>> = {
    'not-http': `is it ${scheme}https://${host}, or another port?`,
    tls: `is it ${scheme}https://${host}?`,
    http2: 'a server that speaks only HTTP/2, as those of gRPC do, is reached at h2c:// by wait-http alone',
  };
  return never(
    exitStatus.refused,
    variable === undefined
      ? `what answers there does not speak HTTP/1.1 (${message})`
      : `${who} does not speak HTTP/1.1 (${message})`,
    hints[kind],
  );
}

/** True where the server knows no HTTP/1.1: by TLS's alert (RFC 7301, 3.2), or because it speaks HTTP/2 at once. */
export function wantsHttp2(error: unknown): boolean {
  return error instanceof AnswerFault ? error.kind === 'http2' : wantsOtherProtocol(error);
}

/** True where the server agreed on no protocol that was offered within TLS. */
export function wantsOtherProtocol(error: unknown): boolean {
  const { code = '', message } = error as NodeJS.ErrnoException;
  return /NO_APPLICATION_PROTOCOL/.test(`${code} ${message.toUpperCase().replaceAll(' ', '_')}`);
}
