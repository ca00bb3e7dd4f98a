import { createHash } from 'node:crypto';

import { BrokenArchive } from '../../../clients/archive/entry.ts';
import { Pack } from '../../../clients/git/pack.ts';
import type { SshSettings } from '../../../clients/git/ssh-settings.ts';
import { Taking } from '../../../clients/git/taking.ts';
import type { HashName } from '../../../clients/git/upload-pack.ts';
import { walkCommit, type Walked } from '../../../clients/git/walk.ts';
import { fetchAll } from '../../../clients/sources/fetch.ts';
import { isSecretSource, readHttpSettings, readSourceTls } from '../../../clients/sources/http-settings.ts';
import { openSources } from '../../../clients/sources/open.ts';
import { isFullHash, parseRevision, type Revision, type SourceAddress } from '../../../config/source.ts';
import type { Context } from '../../../core/context.ts';
import type { Patience } from '../../../core/deadline.ts';
import type { Outcome } from '../../../core/outcome.ts';
import { formatBytes } from '../../../core/size.ts';
import type { Directory } from '../../../fs/directory/directory.ts';
import { isSlowThere } from '../../../fs/pace.ts';
import type { Built, Building } from '../../../fs/publish/atomic-directory.ts';
import { removeFile } from '../../../fs/publish/remove.ts';
import { checkSetPlace } from '../../../fs/publish/target-checks.ts';
import type { FetchOptions } from '../options.ts';
import { Download } from '../unpack/download.ts';
import { Refused } from '../unpack/entry-names.ts';
import type { Wanted } from '../unpack/note.ts';
import {
  beforeOf,
  withPatience,
  completeTree,
  isMemoryOnly,
  isTreeThere,
  limitsOf,
  newTree,
  NotFetched,
  patienceFor,
  publishTree,
  wantedOf,
  type Before,
  type TreeBuilder,
} from '../unpack/publish-tree.ts';
import type { UnpackedTree } from '../unpack/tree.ts';
import type { UnpackSettings } from '../unpack/unpack.ts';
import { type GitPlace, submoduleSource, submodulesAtMost } from './submodules.ts';
import { checkGit, hasSsh } from './usage.ts';

const packName = '..initbox-pack';

/**
 * Fills a directory with what a commit of a Git repository holds: all of it, or nothing.
 * @throws UsageError where the options do not fit together
 */
export async function fetchGit(
  addresses: readonly SourceAddress[],
  options: FetchOptions,
  limited: boolean,
  context: Context,
): Promise<Outcome> {
  const address = checkGit(addresses, options);
  const body = { sha256: undefined, contentType: undefined, decompress: false, htmlExpected: false };
  const http = readHttpSettings(options, body, context);
  const secret = isSecretSource(address, http);
  const ssh = hasSsh(options) ? await sshFor(address, options, context) : undefined;
  const settings = { options, secret, http, tls: readSourceTls(addresses, options, context), limited, ssh };
  const path = options.to as string;
  checkSetPlace(path, [], { memoryOnly: isMemoryOnly(settings) });
  return publishTree(new GitTree(address, settings, context), { path, options, secret }, context);
}

/** @throws UsageError where something is missing, or the server's key is not known */
async function sshFor(address: SourceAddress, options: FetchOptions, context: Context): Promise<SshSettings> {
  const { readSshSettings, sshPlaceOf } = await import('../../../clients/git/ssh-settings.ts');
  const ssh = readSshSettings(options, context);
  if (address.scheme === 'git+ssh') sshPlaceOf(address, ssh);
  return ssh;
}

/** A pack that came. */
interface FetchedPack extends Disposable {
  readonly file: Download;
  readonly hash: HashName;
  readonly commit: string;
  /** What it holds is there already, and it did not come. */
  readonly reused: boolean;
}

interface WaitingSubmodule extends GitPlace {
  /** Of its folder below the target, one character a byte. */
  readonly name: string;
  /** In how many repositories it lies. */
  readonly depth: number;
}

export interface GitTreeSettings extends UnpackSettings {
  readonly ssh: SshSettings | undefined;
}

class GitTree implements TreeBuilder {
  readonly refusedHint = 'a tree like this is not written, not even in part';
  readonly undone = 'nothing was written';
  readonly damagedHint = 'was it changed on its way, or is the repository damaged? git fsck tells';
  readonly #address: SourceAddress;
  readonly #revision: Revision;
  readonly #settings: GitTreeSettings;
  readonly #context: Context;
  #commit = '';
  #made: { readonly files: number; readonly bytes: number } | undefined;

  constructor(address: SourceAddress, settings: GitTreeSettings, context: Context) {
    this.#address = address;
    this.#revision = parseRevision(address.field);
    this.#settings = settings;
    this.#context = context;
  }

  get name(): string {
    return this.#address.text;
  }

  summary(): string {
    const what = `${this.#address.text} (commit ${this.#commit})`;
    if (this.#made === undefined) return `what ${what} holds already`;
    const { files, bytes } = this.#made;
    return `${files} file${files === 1 ? '' : 's'} (${formatBytes(bytes)}) of ${what}`;
  }

  async build(building: Building): Promise<Built | 'unchanged'> {
    const before = beforeOf(building);
    const { ref } = this.#revision;
    using patience = patienceFor(this.#settings.limited, this.#context);
    // A commit's hash says what would come: then nobody is asked.
    if (ref !== undefined && isFullHash(ref) && (await this.#has(ref, before, patience))) return 'unchanged';
    const stage = building.stage();
    using top = await this.#fetch(
      { address: this.#address, http: this.#settings.http },
      (commit) => this.#has(commit, before, patience),
      stage,
      patience,
    );
    this.#commit = top.commit;
    if (top.reused) return 'unchanged';
    return await this.#unpack(top, stage, patience);
  }

  /** @param has whether what a commit holds is there already */
  async #fetch(
    { address, http }: GitPlace,
    has: (commit: string) => Promise<boolean>,
    stage: Directory,
    patience: Patience,
  ): Promise<FetchedPack> {
    const { options, ssh } = this.#settings;
    const collect = (): void => this.#context.host.collectGarbage();
    using stack = new DisposableStack();
    const file = stack.use(new Download(stage, packName, () => patience.renew(), collect));
    // By its descriptor alone: its place is free for what the repository holds.
    removeFile(stage, packName);
    const taking = new Taking({
      file,
      most: options['max-unpacked'],
      mostOrigin: '--max-unpacked',
      has,
    });
    const tls = readSourceTls([address], options, this.#context);
    using sources = await openSources(
      [address],
      { options, http, tls, earlier: undefined, taking, ssh },
      this.#context,
    );
    const context = withPatience(this.#context, patience);
    const result = await fetchAll([address], sources, options.interval, context);
    if (result.kind === 'failed') throw new NotFetched(result);
    const fetched = result.found.get(address);
    const held = stack.move();
    return {
      file,
      hash: taking.hash,
      commit: fetched?.provenance.version ?? '',
      reused: fetched?.reused === true,
      [Symbol.dispose]: () => held.dispose(),
    };
  }

  async #unpack(top: FetchedPack, stage: Directory, patience: Patience): Promise<Built> {
    this.#context.host.saveMemory();
    await using tree = newTree(
      stage,
      await isSlowThere([stage.fd], patience.signal),
      this.#settings,
      this.#context,
    );
    const place = { address: this.#address, http: this.#settings.http };
    const waiting = await this.#write(
      place,
      top,
      { path: this.#revision.path, prefix: '', depth: 0 },
      tree,
      patience,
    );
    let count = waiting.length;
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (count > submodulesAtMost)
        throw new BrokenArchive(`has more than ${submodulesAtMost} submodules`, false);
      using pack = await this.#fetch(next, () => Promise.resolve(false), stage, patience);
      const inner = await this.#write(
        next,
        pack,
        { path: [], prefix: `${next.name}/`, depth: next.depth },
        tree,
        patience,
      );
      count += inner.length;
      waiting.push(...inner);
    }
    const wanted = this.#wanted(this.#commit);
    const built = await completeTree(
      tree,
      {
        wanted,
        stage,
        nothing: new Refused('is empty', 'is it the branch, commit or folder that is meant?'),
      },
      patience,
      this.#context,
    );
    this.#made = tree;
    return built;
  }

  /** Writes what a commit holds. @returns the submodules of it that are still to be fetched */
  async #write(
    place: GitPlace,
    { file, hash, commit }: FetchedPack,
    {
      path,
      prefix,
      depth,
    }: { readonly path: readonly string[]; readonly prefix: string; readonly depth: number },
    tree: UnpackedTree,
    patience: Patience,
  ): Promise<WaitingSubmodule[]> {
    const { options } = this.#settings;
    const pack = await Pack.open(file.descriptor, {
      size: file.size,
      hash,
      limits: limitsOf(options),
      patience,
      collect: () => this.#context.host.collectGarbage(),
    });
    const { submodules } = options;
    const walked = await walkCommit(
      pack,
      commit,
      { hash, path, prefix, submodules, entries: options['max-entries'] },
      tree,
    );
    this.#tell(place.address, walked);
    const waiting: WaitingSubmodule[] = [];
    for (const found of walked.submodules) {
      const at = await submoduleSource(found, place, depth + 1, this.#settings, this.#context);
      waiting.push({ ...at, name: found.name, depth: depth + 1 });
    }
    return waiting;
  }

  #tell({ text }: SourceAddress, { pointers, skipped }: Walked): void {
    const { log } = this.#context;
    if (pointers !== undefined)
      log.warn(
        `${text}: ${pointers.count} file${pointers.count === 1 ? ' is a pointer' : 's are pointers'} of Git LFS, whose content is not fetched; the first is ${JSON.stringify(pointers.first)}`,
      );
    if (skipped.length > 0)
      log.info(
        `${text}: left empty, as ${this.#settings.options.submodules === 'skip' ? '--submodules skip' : '.gitmodules'} says: ${skipped.slice(0, 10).join(', ')}${skipped.length > 10 ? ', …' : ''}`,
      );
  }

  async #has(commit: string, before: Before | undefined, patience: Patience): Promise<boolean> {
    const has = await isTreeThere(this.#wanted(commit), before, patience);
    if (has) this.#commit = commit;
    return has;
  }

  /** Whichever server and branch they came from, the same commit and path make the same. */
  #wanted(commit: string): Wanted {
    const { submodules } = this.#settings.options;
    const made = JSON.stringify(['git', commit, this.#revision.path, submodules]);
    return wantedOf(createHash('sha256').update(made).digest('hex'), this.#settings);
  }
}
