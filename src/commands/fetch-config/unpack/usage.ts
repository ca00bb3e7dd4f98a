import type { SourceAddress } from '../../../config/source.ts';
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
  if (address.scheme !== 'file' && address.scheme !== 'http' && address.scheme !== 'https')
    throw new UsageError(`--unpack takes an archive by https, http or file, not by ${address.scheme}`);
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
