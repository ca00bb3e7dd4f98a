import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Earlier } from '../../clients/http/source.ts';
import { asObject, asString, parseJson } from '../../kernel/json.ts';
import { UsageError } from '../../kernel/outcome.ts';
import type { Fetched, SourceAddress } from '../../kernel/source.ts';
import type { Job } from './job.ts';
import type { FetchOptions } from './options.ts';

/** One body of http or https that goes into one file as it is: what an earlier run may have done already. */
interface Plain {
  readonly address: SourceAddress;
  readonly path: string;
}

/**
 * What an earlier run left, where it can spare this one the download: the file has the wanted sum, or the ETag of
 * `--etag-file` is of that very file and source.
 * @throws UsageError where --etag-file goes with something else than one such body
 */
export function earlierOf(job: Job, options: FetchOptions): Earlier | undefined {
  const plain = plainOf(job);
  const etagFile = options['etag-file'];
  if (etagFile !== undefined && (plain === undefined || job.outputs.some(({ secret }) => secret))) {
    throw new UsageError(
      '--etag-file is for one http or https source without credentials that goes into one file as it is: what it keeps would tell about a secret',
    );
  }
  if (plain === undefined || (etagFile === undefined && options.sha256 === undefined)) return undefined;
  const body = readRegular(plain.path, options['max-size']);
  if (body === undefined) return undefined;
  const etag = etagFile === undefined ? undefined : etagOf(etagFile, plain.address, body);
  return { body, ...(etag === undefined ? {} : { etag }) };
}

/** Keeps the ETag for the next run; returns why it could not. */
export function keepEtag(
  job: Job,
  options: FetchOptions,
  found: ReadonlyMap<SourceAddress, Fetched>,
): string | undefined {
  const path = options['etag-file'];
  const plain = plainOf(job);
  const fetched = plain && found.get(plain.address);
  if (path === undefined || fetched?.content.kind !== 'value') return undefined;
  const { etag } = fetched.provenance;
  const body = fetched.content.value;
  if (etag === undefined || !(body instanceof Uint8Array)) return undefined;
  try {
    writeFileSync(
      `${path}.tmp`,
      `${JSON.stringify({ source: sourceSum(plain!.address), etag, sha256: sha256(body) })}\n`,
    );
    renameSync(`${path}.tmp`, path);
    return undefined;
  } catch (error) {
    return `--etag-file: ${path} cannot be written (${(error as NodeJS.ErrnoException).code}), so that the next run downloads again`;
  }
}

function plainOf({ addresses, outputs }: Job): Plain | undefined {
  const [address, another] = addresses;
  const [output, more] = outputs;
  if (address === undefined || another !== undefined || output?.name === undefined || more !== undefined)
    return undefined;
  if (!/^https?$/.test(address.scheme) || address.field !== undefined || output.format !== 'raw')
    return undefined;
  return { address, path: join(output.folder, output.name) };
}

function etagOf(path: string, address: SourceAddress, body: Uint8Array): string | undefined {
  try {
    const kept = asObject(parseJson(readFileSync(path, 'utf8')));
    if (kept?.['source'] !== sourceSum(address) || kept['sha256'] !== sha256(body)) return undefined;
    return asString(kept['etag']);
  } catch {
    return undefined; // the first run, or a file that was cut off: download as if there were none
  }
}

/** A file's content; undefined where there is none that could be ours. */
function readRegular(path: string, maxSize: number): Uint8Array | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    const stat = fstatSync(descriptor);
    return stat.isFile() && stat.size <= maxSize ? readFileSync(descriptor) : undefined;
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
