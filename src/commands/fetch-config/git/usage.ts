import { sshEndpoint, sshUser } from '../../../clients/git/ssh-address.ts';
import { isTree, type SourceAddress } from '../../../config/source.ts';
import { UsageError } from '../../../core/outcome.ts';
import type { FetchOptions } from '../options.ts';

/**
 * Whether the words ask for a tree of files.
 * @throws UsageError where they do not, and flags are given that are for one by SSH
 */
export function asksForTree(addresses: readonly SourceAddress[], options: FetchOptions): boolean {
  if (addresses.some(isTree)) return true;
  refuseOfSsh(options, '');
  return false;
}

/**
 * @returns the repository
 * @throws UsageError where the words and flags do not go with a Git repository
 */
export function checkGit(addresses: readonly SourceAddress[], options: FetchOptions): SourceAddress {
  const [address, second] = addresses;
  const refuse = (why: string): never => {
    throw new UsageError(why);
  };
  if (address === undefined || second !== undefined)
    return refuse(
      `a Git repository is fetched in a run of its own, and ${addresses.length} sources are given`,
    );
  if (options.spec !== undefined) refuse('a Git repository and --spec cannot be combined');
  checkSsh(address, options);
  if (options.to === undefined) refuse('a Git repository needs --to and the folder that it fills');
  if (options.env)
    refuse('a Git repository and --env cannot be combined: it is a tree of files, without fields');
  if (options.unpack)
    refuse(
      '--unpack takes an archive by https, http, s3, gs, azure-blob or file; a Git repository fills the folder without it',
    );
  if (options['strip-components'] !== 0)
    refuse(`--strip-components is for archives; name the folder instead: ${address.scheme}://…#REF:FOLDER`);
  if (options.sha256 !== undefined)
    refuse('--sha256 is for http and https sources; name a commit by its full hash instead: #HASH');
  if (options['etag-file'] !== undefined)
    refuse('a Git repository and --etag-file cannot be combined: its commit is kept beside the tree');
  if (options['content-type'] !== undefined) refuse('--content-type is for http and https sources');
  if (options.decompress)
    refuse('a Git repository and --decompress cannot be combined: its files are written as they are');
  if (options.optional) refuse('a Git repository and --optional cannot be combined: a folder is made of it');
  if (options['dry-run'])
    refuse('a Git repository has no --dry-run: what it holds is known when it is fetched');
  if (options.format !== 'raw')
    refuse('a Git repository and --format cannot be combined: it says what its files are');
  return address;
}

/** What only a source by SSH uses. */
const sshOptions = ['ssh-key', 'ssh-key-env', 'ssh-passphrase', 'known-hosts-file'] as const;

/** @throws UsageError where something is given that only SSH uses */
function refuseOfSsh(options: FetchOptions, more: string): void {
  const given = sshOptions.find((name) => options[name] !== undefined);
  if (given !== undefined)
    throw new UsageError(
      `--${given.replace(/^ssh-(key|passphrase)$/, 'ssh-$1-file')} is for git+ssh sources${more}`,
    );
}

/** Whether all that SSH needs is given. */
export function hasSsh(options: FetchOptions): boolean {
  const hasKey = options['ssh-key'] !== undefined || options['ssh-key-env'] !== undefined;
  return hasKey && options['known-hosts-file'] !== undefined;
}

function checkSsh(address: SourceAddress, options: FetchOptions): void {
  const fetches = options.submodules === 'fetch';
  if (address.scheme !== 'git+ssh') {
    // A submodule may be reached so.
    if (fetches && hasSsh(options)) return;
    refuseOfSsh(options, fetches ? ', and submodules by SSH need a key and --known-hosts-file' : '');
    return;
  }
  sshEndpoint(address);
  sshUser(address);
  if (options['ssh-key'] === undefined && options['ssh-key-env'] === undefined)
    throw new UsageError('a git+ssh source needs a private key: --ssh-key-file or --ssh-key-env');
  if (options['known-hosts-file'] === undefined)
    throw new UsageError(
      `a git+ssh source needs --known-hosts-file, with the keys of the server: \`ssh-keyscan ${sshEndpoint(address).host}\` prints them, and the server’s owner publishes what they must be`,
    );
}
