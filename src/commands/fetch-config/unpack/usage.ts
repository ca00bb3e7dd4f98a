import { isBodySource, isObjectPrefix, type SourceAddress } from '../../../config/source.ts';
import { UsageError } from '../../../core/outcome.ts';
import type { FetchOptions } from '../options.ts';

/**
 * @returns the archive
 * @throws UsageError where the words and flags do not go with --unpack
 */
export function checkUnpack(addresses: readonly SourceAddress[], options: FetchOptions): SourceAddress {
  const [address, second] = addresses;
  if (options.spec !== undefined) throw new UsageError('--unpack and --spec cannot be combined');
  if (address === undefined || second !== undefined)
    throw new UsageError(`--unpack takes one source, and ${addresses.length} are given`);
  if (address.scheme !== 'file' && !isBodySource(address))
    throw new UsageError(
      `--unpack takes an archive by https, http, s3, gs, azure-blob or file, not by ${address.scheme}`,
    );
  if (isObjectPrefix(address)) return checkPrefix(address, options);
  if (address.field !== undefined)
    throw new UsageError('--unpack takes a whole archive, and no #FIELD of it');
  if (options.to === undefined) throw new UsageError('--unpack needs --to and the folder that it fills');
  if (options.env) throw new UsageError('--unpack and --env cannot be combined');
  if (options['etag-file'] !== undefined)
    throw new UsageError(
      '--unpack and --etag-file cannot be combined: the sum of the archive is kept beside the tree',
    );
  if (options.decompress)
    throw new UsageError(
      '--unpack and --decompress cannot be combined: --unpack fills a folder from an archive, compressed or not; --decompress writes one file',
    );
  if (options.optional)
    throw new UsageError('--unpack and --optional cannot be combined: a folder is made of an archive');
  if (options['dry-run'])
    throw new UsageError('--unpack has no --dry-run: what an archive holds is known when it is unpacked');
  if (options.format !== 'raw')
    throw new UsageError('--unpack and --format cannot be combined: an archive says what its files are');
  return address;
}

/** @throws UsageError where the flags do not go with the objects below a prefix */
function checkPrefix(address: SourceAddress, options: FetchOptions): SourceAddress {
  const { text } = address;
  if (options.unpack) throw new UsageError(`${text} is a folder, and not an archive: leave --unpack out`);
  if (address.field !== undefined) throw new UsageError(`${text} is a folder, which has no fields`);
  if (options.to === undefined) throw new UsageError(`${text} needs --to and the folder that it fills`);
  for (const flag of ['env', 'etag-file', 'sha256', 'decompress', 'optional', 'dry-run'] as const)
    if (options[flag] !== undefined && options[flag] !== false)
      throw new UsageError(`${text} is a folder, and --${flag} is about single sources`);
  if (options.format !== 'raw')
    throw new UsageError(`${text} is a folder, whose files are written as they are: leave --format out`);
  return address;
}

/** Whether sources fill a folder: an archive, or the objects below one prefix. */
export function fillsFolder(addresses: readonly SourceAddress[], { unpack }: FetchOptions): boolean {
  const [only, second] = addresses;
  return unpack || (only !== undefined && second === undefined && isObjectPrefix(only));
}
