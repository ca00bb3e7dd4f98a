import { derTags, NotDer, readDer, readDerList, type DerElement } from '../../clients/x509/der.ts';
import { jksKinds, jksMagic, jksVersion } from './jks.ts';
import { pkcs12Ids } from './pkcs12-ids.ts';

/** What a store of Java's, such as the `cacerts` of an image, trusts. */
export interface JavaStoreContent {
  /** DER. */
  readonly certificates: readonly Uint8Array[];
  /** How many entries it has that are no trusted certificates: keys with their chains. */
  readonly others: number;
}

/** A store that cannot be read; the message follows its path. */
export class JavaStoreRefused extends Error {
  override readonly name = 'JavaStoreRefused';
}

/**
 * Reads the trusted certificates of a store, for which no password is needed: JKS encrypts none, and the PKCS12 that Java has
 * had as its `cacerts` since version 18 has none either (JDK-8275252).
 * @returns undefined where the bytes are not a store
 * @throws JavaStoreRefused where it is encrypted or damaged
 */
export function readJavaStore(bytes: Buffer): JavaStoreContent | undefined {
  try {
    if (bytes.length >= 4 && bytes.readUInt32BE() === jksMagic) return readJks(bytes);
    const parts = partsOfPkcs12(bytes);
    return parts === undefined ? undefined : readPkcs12(parts);
  } catch (error) {
    // RangeError: a buffer ended too soon.
    if (!(error instanceof NotDer || error instanceof RangeError)) throw error;
    throw new JavaStoreRefused('is a store of Java (JKS or PKCS12) that is damaged');
  }
}

function readJks(bytes: Buffer): JavaStoreContent {
  let at = 4;
  const number32 = (): number => bytes.readUInt32BE((at += 4) - 4);
  const part = (length: number): Buffer => {
    if (at + length > bytes.length) throw new RangeError('it ends too soon');
    return bytes.subarray(at, (at += length));
  };
  const text = (): Buffer => part(bytes.readUInt16BE((at += 2) - 2));
  const certificate = (): Buffer => {
    text(); // X.509
    return part(number32());
  };
  if (number32() !== jksVersion) throw new RangeError('another version');
  const certificates: Buffer[] = [];
  let others = 0;
  for (let left = number32(); left > 0; left--) {
    const kind = number32();
    text(); // its alias
    part(8); // its date
    if (kind === jksKinds.trusted) certificates.push(certificate());
    else if (kind === jksKinds.key) {
      others++;
      part(number32());
      for (let chain = number32(); chain > 0; chain--) certificate();
    } else throw new RangeError('an unknown kind of entry');
  }
  // A digest that only the password could check.
  if (bytes.length - at !== 20) throw new RangeError('another length');
  return { certificates, others };
}

/** The parts of a PFX (RFC 7292, 4), which begins with its version, 3; undefined of other bytes. */
function partsOfPkcs12(bytes: Buffer): readonly DerElement[] | undefined {
  try {
    const whole = readDer(bytes);
    const parts = whole.tag === derTags.sequence ? readDerList(whole.body) : [];
    const [version, safe] = parts;
    return version?.tag === derTags.integer && version.body.length === 1 && version.body[0] === 3 && safe
      ? parts
      : undefined;
  } catch (error) {
    if (error instanceof NotDer) return undefined;
    throw error;
  }
}

function readPkcs12([, safe]: readonly DerElement[]): JavaStoreContent {
  const certificates: Uint8Array[] = [];
  let others = 0;
  for (const { body } of readDerList(dataIn(safe).body)) {
    for (const bag of readDerList(dataIn({ body }).body)) {
      const [id, value, attributes] = readDerList(bag.body);
      if (!isId(id, pkcs12Ids.certificateBag)) {
        others++;
        continue;
      }
      // As Java does: others belong to a key.
      const isTrusted = readDerList(attributes?.body ?? new Uint8Array()).some((one) =>
        isId(readDerList(one.body)[0], pkcs12Ids.trustedKeyUsage),
      );
      if (!isTrusted) continue;
      const [, tagged] = readDerList(readDer(inside(value)).body);
      certificates.push(readDer(inside(tagged)).body);
    }
  }
  return { certificates, others };
}

/** What a ContentInfo holds, which must be plain data: a sequence. */
function dataIn(content: Pick<DerElement, 'body'> | undefined): DerElement {
  const [id, value] = readDerList(inside(content));
  if (isId(id, pkcs12Ids.encryptedData))
    throw new JavaStoreRefused(
      'is an encrypted PKCS12 store; write what it holds as PEM: openssl pkcs12 -in FILE -nokeys',
    );
  if (!isId(id, pkcs12Ids.data)) throw new NotDer('another kind of content');
  return readDer(readDer(inside(value)).body);
}

function inside(element: Pick<DerElement, 'body'> | undefined): Uint8Array {
  if (element === undefined) throw new NotDer('a part is missing');
  return element.body;
}

function isId(element: DerElement | undefined, id: Buffer): boolean {
  return element !== undefined && id.equals(element.whole);
}
