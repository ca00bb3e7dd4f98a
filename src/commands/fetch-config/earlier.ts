import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, readFileSync, type Stats } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';

import type { Earlier } from '../../clients/http/source.ts';
import { asObject, asString, parseJson } from '../../config/json.ts';
import type { Output } from '../../config/outputs.ts';
import type { Fetched, SourceAddress } from '../../config/source.ts';
import type { Context } from '../../core/context.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { Failure } from '../../core/outcome.ts';
import { Directory } from '../../fs/directory/directory.ts';
import { checkFolder, checkFolderPath, checkMakeable } from '../../fs/directory/missing-folders.ts';
import { LinkInPath } from '../../fs/directory/pinned-path.ts';
import { isOpenToOthers, isOwn, openFileThere } from '../../fs/directory/safe-open.ts';
import { explained } from '../../fs/error-message.ts';
import { hasAcl } from '../../fs/inherited-acl.ts';
import { checkPlace, type PublishContext, stageFile } from '../../fs/publish/atomic-file.ts';
import { contentMode, secretMode } from '../../fs/publish/attributes.ts';
import { commitAll } from '../../fs/publish/published.ts';
import { openPublished } from '../../fs/publish/target-checks.ts';
import { etagNeedsPlainBody, type FetchJob } from './job.ts';
import type { FetchOptions } from './options.ts';
import { plainOf } from './plain.ts';
import { keptInMemory, type Spool } from './spool.ts';
import { sumOf } from './unpack/download.ts';

/**
 * What an earlier run left, where it can spare this one the download: the file has the wanted sum, or the ETag of
 * `--etag-file` is of that very file and source.
 * @throws UsageError where --etag-file goes with something else than one such body, Failure with status 2 where it
 *   leads through a link or is no file
 */
export async function earlierOf(
  job: FetchJob,
  options: FetchOptions,
  context: Pick<Context, 'signal'>,
): Promise<Earlier | undefined> {
  const plain = plainOf(job);
  const etagFile = options['etag-file'];
  if (etagFile !== undefined && (plain === undefined || job.outputs.some(({ secret }) => secret))) {
    throw etagNeedsPlainBody();
  }
  if (etagFile !== undefined) checkEtagPlace(etagFile);
  // Of what a body unpacked to, the note alone tells which body that was.
  const bySum = options.sha256 !== undefined && !options.decompress;
  if (plain === undefined || (etagFile === undefined && !bySum)) return undefined;
  let descriptor: number;
  try {
    descriptor = openPublished(plain.path);
  } catch {
    return undefined;
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile() || stat.size > options['max-size']) return undefined;
    // What nothing is written of is told of, with its size.
    const large = stat.size > keptInMemory && !options['dry-run'];
    if (large && (!isAsWanted(stat, plain.output) || hasAcl(descriptor))) return undefined;
    // Before it is read: what is changed meanwhile is another one.
    const read = stateOf(descriptor);
    const body = large ? undefined : readFileSync(descriptor);
    const sum = body === undefined ? await sumOf(descriptor, { ...context, renew() {} }) : sha256(body);
    // What another user put there was not fetched, whatever the ETag beside it says.
    const own = isOwn(stat) || stat.uid === options.owner?.uid;
    const note =
      etagFile === undefined || !own
        ? undefined
        : noteOf(etagFile, plain.address, sum, expectedType(options));
    const stays = large ? { stands: () => isStill(read, plain.path) } : {};
    if (options.decompress)
      return note?.unpacked === undefined
        ? undefined
        : { body, sum: note.unpacked, etag: note.etag, ...stays };
    // What a body was unpacked to is not that body.
    const etag = note?.unpacked === undefined ? note?.etag : undefined;
    return { body, sum, ...(etag === undefined ? {} : { etag }), ...stays };
  } catch (error) {
    if (context.signal.aborted) throw error;
    return undefined;
  } finally {
    closeSync(descriptor);
  }
}

/** Whether a path leads to the file that was read, as it was: the server may take minutes for its answer. */
function isStill(read: string, path: string): boolean {
  let descriptor: number;
  try {
    descriptor = openPublished(path);
  } catch {
    return false;
  }
  try {
    return stateOf(descriptor) === read;
  } finally {
    closeSync(descriptor);
  }
}

/** Which file it is, and when its content, mode, owner or names were changed last. */
function stateOf(descriptor: number): string {
  const { dev, ino, ctimeNs } = fstatSync(descriptor, { bigint: true });
  return `${dev} ${ino} ${ctimeNs}`;
}

/** Whether a file that is not written again has the mode and the owner that it is to have. */
function isAsWanted(stat: Stats, { mode, owner, secret }: Output): boolean {
  if ((stat.mode & 0o7777) !== (mode ?? (secret ? secretMode : contentMode))) return false;
  return owner === undefined ? isOwn(stat) : stat.uid === owner.uid && stat.gid === owner.gid;
}

/** Keeps the ETag for the next run; returns why it could not. */
export async function keepEtag(
  job: FetchJob,
  options: FetchOptions,
  found: ReadonlyMap<SourceAddress, Fetched>,
  context: PublishContext,
  spool: Spool | undefined,
  bodySum: string | undefined,
): Promise<string | undefined> {
  const path = options['etag-file'];
  const plain = plainOf(job);
  const fetched = plain && found.get(plain.address);
  if (path === undefined || plain === undefined || fetched?.content.kind !== 'value') return undefined;
  const {
    provenance: { etag },
    etagOf: address,
  } = fetched;
  const body = fetched.content.value;
  // What is kept of a file that stayed is right still.
  if (etag === undefined || !(body instanceof Uint8Array) || fetched.reused === true) return undefined;
  // Without the sum of what came, nothing tells what the file was unpacked from.
  if (options.decompress && bodySum === undefined) return undefined;
  const sum = spool?.isLarge === true ? spool.sum() : sha256(body);
  const unpacked = bodySum === undefined ? {} : { unpacked: bodySum };
  const type = expectedType(options);
  const expected = type === undefined ? {} : { type };
  const kept = { source: sourceSum(plain.address), address, etag, sha256: sum, ...unpacked, ...expected };
  const bytes = Buffer.from(`${JSON.stringify(kept)}\n`);
  try {
    const file = { bytes, mode: contentMode, lasting: false };
    const staged = await stageFile(path, file, { memoryOnly: false }, context);
    try {
      await commitAll([staged], context.signal);
    } finally {
      await staged.discard();
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return `--etag-file: ${error.outcome.what}; the next run downloads again`;
  }
}

/**
 * Only what others may have made, and places to which nothing is ever written: where it cannot be written, the next run
 * downloads again.
 * @throws Failure with status 2
 */
function checkEtagPlace(path: string): void {
  const whole = resolve(path);
  try {
    checkFolderPath(dirname(whole), whole);
    const { directory, missing } = Directory.nearest(dirname(whole));
    using nearest = directory;
    checkFolder(nearest.fd, nearest.shown, whole);
    const [first] = missing;
    if (first === undefined) checkPlace(nearest, basename(whole), whole, exitStatus.usage);
    else checkMakeable(nearest.fd, nearest.shown, first, whole);
  } catch (error) {
    if (error instanceof LinkInPath || error instanceof Failure) throw explained(error, whole);
  }
}

interface EtagNote {
  readonly etag: NonNullable<Earlier['etag']>;
  /** The sum of the body that the file was unpacked from. */
  readonly unpacked: string | undefined;
}

/** The media type that an answer was or is compared with: an answer 304 says nothing of it. */
function expectedType(options: Pick<FetchOptions, 'content-type'>): string | undefined {
  return options['content-type']?.toLowerCase();
}

/** @param type with another expectation the body is asked for anew */
function noteOf(
  path: string,
  address: SourceAddress,
  sum: string,
  type: string | undefined,
): EtagNote | undefined {
  try {
    const read = readRegular(() => openFileThere(path, toRead), largestEtag);
    // A link is not read, nor another user's file, nor one that has another name: it would be sent to the server.
    if (read === undefined || !isOwn(read.stat) || isOpenToOthers(read.stat) || read.stat.nlink > 1)
      return undefined;
    const kept = asObject(parseJson(Buffer.from(read.body).toString()));
    if (kept?.['source'] !== sourceSum(address) || kept['sha256'] !== sum) return undefined;
    if (asString(kept['type']) !== type) return undefined;
    const etag = asString(kept['etag']);
    const of = asString(kept['address']);
    if (etag === undefined || of === undefined) return undefined;
    return { etag: { value: etag, of }, unpacked: asString(kept['unpacked']) };
  } catch {
    return undefined; // the first run, or a file that was cut off: download as if there were none
  }
}

/** Not blocking: a FIFO without a writer would hang in open(2). */
const toRead = constants.O_RDONLY | constants.O_NONBLOCK;

/** A file of an ETag that is larger is not ours, in bytes. */
const largestEtag = 1 << 16;

/** A file's content; undefined where there is none that could be ours. */
function readRegular(
  open: () => number,
  maxSize: number,
): { readonly body: Uint8Array; readonly stat: Stats } | undefined {
  let descriptor: number;
  try {
    descriptor = open();
  } catch {
    return undefined;
  }
  try {
    const stat = fstatSync(descriptor);
    return stat.isFile() && stat.size <= maxSize ? { body: readFileSync(descriptor), stat } : undefined;
  } catch {
    return undefined;
  } finally {
    closeSync(descriptor);
  }
}

/** The whole address, whose query may hold what is not to be kept. */
function sourceSum({ scheme, path }: SourceAddress): string {
  return sha256(Buffer.from(`${scheme}:${path}`));
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
