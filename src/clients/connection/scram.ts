import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

/**
 * Iterations that are worked through: whoever answers names their number, and each takes a microsecond of a thread that
 * the end of the process does not wait for. Servers are told to have from 4,096 to some 100,000s.
 */
export const mostScramIterations = 1_000_000;

/** With fewer, whoever answers could try passwords quickly (RFC 7677, 4); MongoDB and Kafka have no fewer either. */
const fewestIterations = 4096;

const derive = promisify(pbkdf2);

/** Bytes of the hashes that servers log in by. */
const lengths = { sha1: 20, sha256: 32, sha512: 64 } as const;

export interface ScramClient {
  readonly first: string;
  /** @returns undefined where that is no answer of SCRAM */
  readonly answer: (serverFirst: string) => Promise<string | undefined>;
  /** Whether the server has shown that it knows the password, too. */
  readonly verify: (serverFinal: string) => boolean;
  /** What the client has sent so far that must not be shown. */
  readonly sent: readonly string[];
}

/** The client's half of SCRAM (RFC 5802), without channel binding. */
export function scramClient(hash: keyof typeof lengths, user: string, password: string): ScramClient {
  const nonce = randomBytes(18).toString('base64');
  const bare = `n=${user.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`;
  let expected: Buffer = Buffer.alloc(0);
  const sent = [nonce];
  const hmac = (key: Buffer, text: string): Buffer => createHmac(hash, key).update(text).digest();
  return {
    sent,
    first: `n,,${bare}`,
    async answer(serverFirst) {
      const [, both = '', salt = '', count = ''] =
        /^r=([^,]+),s=([^,]+),i=(\d{1,9})(?:,|$)/.exec(serverFirst) ?? [];
      const iterations = Number(count);
      if (
        !both.startsWith(nonce) ||
        both === nonce ||
        iterations < fewestIterations ||
        iterations > mostScramIterations
      )
        return undefined;
      const salted = await derive(
        password.normalize('NFKC'),
        Buffer.from(salt, 'base64'),
        iterations,
        lengths[hash],
        hash,
      );
      const clientKey = hmac(salted, 'Client Key');
      const stored = createHash(hash).update(clientKey).digest();
      const withoutProof = `c=biws,r=${both}`;
      const signed = `${bare},${serverFirst},${withoutProof}`;
      const signature = hmac(stored, signed);
      expected = hmac(hmac(salted, 'Server Key'), signed);
      const proof = Buffer.from(clientKey.map((byte, index) => byte ^ (signature[index] ?? 0)));
      const shown = proof.toString('base64');
      sent.push(shown);
      return `${withoutProof},p=${shown}`;
    },
    verify(serverFinal) {
      const shown = Buffer.from(/^v=([^,]+)/.exec(serverFinal)?.[1] ?? '', 'base64');
      return shown.length === expected.length && expected.length > 0 && timingSafeEqual(shown, expected);
    },
  };
}
