import { closeSync } from 'node:fs';

import type { ArchiveLimits } from '../../../clients/archive/entry.ts';
import type { HttpSourceSettings, SourceSink } from '../../../clients/http/source.ts';
import type { TlsSettings } from '../../../clients/http/tls.ts';
import { fetchAll } from '../../../clients/sources/fetch.ts';
import { isSecretSource } from '../../../clients/sources/http-settings.ts';
import { openSources } from '../../../clients/sources/open.ts';
import { isObjectPrefix, type SourceAddress } from '../../../config/source.ts';
import type { Context } from '../../../core/context.ts';
import type { Patience } from '../../../core/deadline.ts';
import { exitStatus } from '../../../core/exit-status.ts';
import { failed, type Outcome } from '../../../core/outcome.ts';
import { formatBytes } from '../../../core/size.ts';
import type { Directory } from '../../../fs/directory/directory.ts';
import { isSlowThere } from '../../../fs/pace.ts';
import type { Built, Building } from '../../../fs/publish/atomic-directory.ts';
import { removeFile } from '../../../fs/publish/remove.ts';
import { checkSetPlace } from '../../../fs/publish/target-checks.ts';
import { type Answer, satisfied } from '../../../wait/attempt.ts';
import { waitFor } from '../../../wait/loop.ts';
import { waitOutcome } from '../../../wait/outcome.ts';
import { fixed, proportional } from '../../../wait/schedule.ts';
import { once } from '../../../wait/target-state.ts';
import { type Archive, knownType, openArchive, readArchive } from './archive.ts';
import { Arrival } from './arrival.ts';
import { Download, readAll, sumOf } from './download.ts';
import { Refused } from './entry-names.ts';
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
  type TreeRequest,
} from './publish-tree.ts';
import { UnpackedTree } from './tree.ts';
import { checkUnpack } from './usage.ts';

const archiveName = '..initbox-archive';

export interface UnpackSettings extends TreeRequest {
  readonly http: HttpSourceSettings;
  readonly tls: TlsSettings;
  /** Whether `--timeout` was given; if not, waiting has a bound of its own. */
  readonly limited: boolean;
}

/**
 * Unpacks one archive into a directory: all of it, or nothing.
 * @throws UsageError where the options do not fit together
 */
export async function unpackArchive(
  addresses: readonly SourceAddress[],
  asked: Omit<UnpackSettings, 'secret'>,
  context: Context,
): Promise<Outcome> {
  const { options, http } = asked;
  const address = checkUnpack(addresses, options);
  const path = options.to as string;
  // A file does not tell whether it is a secret; an archive in an image is none.
  const secret = address.scheme === 'file' ? http.saidSecret === true : isSecretSource(address, http);
  checkSetPlace(path, [], { memoryOnly: isMemoryOnly({ options, secret }) });
  const unpacking = new Unpacking(address, { ...asked, secret }, context);
  return publishTree(unpacking, { path, options, secret }, context);
}

class Unpacking implements TreeBuilder {
  readonly damagedHint = 'was it cut off on its way, or damaged? --sha256 tells';
  readonly #address: SourceAddress;
  readonly #settings: UnpackSettings;
  readonly #context: Context;
  readonly #limits: ArchiveLimits;
  #made: { readonly files: number; readonly bytes: number } | undefined;

  constructor(address: SourceAddress, settings: UnpackSettings, context: Context) {
    this.#address = address;
    this.#settings = settings;
    this.#context = context;
    this.#limits = limitsOf(settings.options);
  }

  get name(): string {
    return this.#address.text;
  }

  get refusedHint(): string {
    return isObjectPrefix(this.#address)
      ? 'such a folder is not copied, not even in part'
      : 'an archive like this is not unpacked, not even in part';
  }

  get undone(): string {
    return isObjectPrefix(this.#address) ? 'nothing was written' : 'nothing was unpacked';
  }

  summary(): string {
    return this.#made === undefined
      ? `what ${this.#address.text} holds already`
      : `${this.#made.files} file${this.#made.files === 1 ? '' : 's'} (${formatBytes(this.#made.bytes)}) of ${this.#address.text}`;
  }

  async build(building: Building): Promise<Built | 'unchanged'> {
    const { sha256 } = this.#settings.options;
    const before = beforeOf(building);
    if (isObjectPrefix(this.#address)) {
      using patience = this.#patience();
      return await this.#fromObjects(() => building.stage(), before, patience);
    }
    // The sum says what would come: then it need not come.
    if (sha256 !== undefined) {
      using patience = this.#patience();
      if (await this.#isThere(sha256, before, patience)) return 'unchanged';
    }
    const tree = building.stage();
    if (this.#address.scheme === 'file') {
      const descriptor = await this.#openFile();
      try {
        using patience = this.#patience();
        return await this.#fromFile(descriptor, tree, before, patience);
      } finally {
        closeSync(descriptor);
      }
    }
    using patience = this.#patience();
    // Without a sum, whether anything changed shows at the end: then the same is not unpacked again.
    if (before === undefined || sha256 !== undefined) return await this.#asItComes(tree, patience);
    using download = this.#newDownload(tree, () => patience.renew());
    await this.#download(download, patience);
    const { descriptor } = download;
    if (await this.#isThere(download.sum(), before, patience)) return 'unchanged';
    const archive = { descriptor, type: knownType(descriptor), sum: download.sum() };
    return await this.#unpack(archive, tree, patience);
  }

  async #asItComes(stage: Directory, patience: Patience): Promise<Built> {
    const slow = await isSlowThere([stage.fd], patience.signal);
    this.#context.host.saveMemory();
    await using arrival = new Arrival({
      stage,
      limits: this.#limits,
      patience,
      newTree: () => this.#newTree(stage, slow),
      newDownload: () => this.#newDownload(stage, () => patience.renew()),
    });
    try {
      await this.#download(arrival, patience);
    } catch (error) {
      if (patience.signal.aborted || arrival.fatal === undefined) throw error;
      throw arrival.fatal.error;
    }
    const whole = await arrival.whole();
    if (whole instanceof UnpackedTree) return await this.#complete(whole, arrival.sum(), stage, patience);
    const { descriptor } = whole;
    return await this.#unpack(
      { descriptor, type: knownType(descriptor), sum: arrival.sum() },
      stage,
      patience,
    );
  }

  /** The objects below a prefix, as if they were the entries of an archive. */
  async #fromObjects(
    stage: () => Directory,
    before: Before | undefined,
    patience: Patience,
  ): Promise<Built | 'unchanged'> {
    const { options, tls, http } = this.#settings;
    const { copyObjects, listObjects, sumOfObjects } = await import('./objects.ts');
    using sources = await openSources(
      [this.#address],
      { options, http, tls, earlier: undefined, folderOf: options['max-entries'] },
      this.#context,
    );
    const work = {
      folder: sources.folder(this.#address),
      interval: options.interval,
      context: withPatience(this.#context, patience),
      patience,
      failed: (outcome: Outcome) => new NotFetched(outcome),
    };
    const objects = await listObjects(this.#address, sources.logins, work);
    const sum = sumOfObjects(this.#address, objects);
    if (await this.#isThere(sum, before, patience)) return 'unchanged';
    const place = stage();
    await using tree = this.#newTree(place, await isSlowThere([place.fd], patience.signal));
    this.#context.host.saveMemory();
    await copyObjects(objects, tree, work);
    return await this.#complete(tree, sum, place, patience);
  }

  /** Whether readers see all of an archive with this sum, as it was unpacked. */
  #isThere(sha256: string, before: Before | undefined, patience: Patience): Promise<boolean> {
    return isTreeThere(wantedOf(sha256, this.#settings), before, patience);
  }

  /** Whoever owns the file may write to it meanwhile: what is unpacked are the very bytes whose sum was made. */
  async #fromFile(
    file: number,
    stage: Directory,
    before: Before | undefined,
    patience: Patience,
  ): Promise<Built | 'unchanged'> {
    const { sha256 } = this.#settings.options;
    if (sha256 !== undefined || before !== undefined) {
      const sum = await sumOf(file, patience);
      this.#checkSum(sum);
      if (await this.#isThere(sum, before, patience)) return 'unchanged';
    }
    const type = knownType(file);
    // Of these, the sum is made of what is read to be unpacked, once from its beginning to its end.
    if (type !== 'zip') return this.#unpack({ descriptor: file, type, sum: undefined }, stage, patience);
    // A zip file is read here and there: it is copied to where nobody else can write.
    using copy = this.#newDownload(stage, () => patience.renew());
    await this.#copyOf(file, copy, patience);
    this.#checkSum(copy.sum());
    const { descriptor } = copy;
    const archive = { descriptor, type: knownType(descriptor), sum: copy.sum() };
    return await this.#unpack(archive, stage, patience);
  }

  async #copyOf(file: number, copy: Download, { signal }: Patience): Promise<void> {
    const most = this.#limits.bytes;
    let bytes = 0;
    await readAll(
      file,
      (more) => {
        bytes += more.length;
        if (bytes > most)
          throw new Refused(
            `is larger than ${formatBytes(most)} (--max-unpacked)`,
            '--max-unpacked raises the limit',
          );
        copy.write(more);
      },
      signal,
    );
  }

  #newDownload(stage: Directory, came: () => void): Download {
    const download = new Download(stage, archiveName, came, () => this.#context.host.collectGarbage());
    // By its descriptor alone: its place is free for what the archive holds.
    removeFile(stage, archiveName);
    return download;
  }

  async #unpack(archive: Archive, stage: Directory, patience: Patience): Promise<Built> {
    await using tree = this.#newTree(stage, await isSlowThere([stage.fd], patience.signal));
    this.#context.host.saveMemory();
    const sum = await readArchive(archive, tree, this.#limits, patience);
    return await this.#complete(tree, sum, stage, patience);
  }

  #newTree(stage: Directory, slow: boolean): UnpackedTree {
    return newTree(stage, slow, this.#settings, this.#context);
  }

  async #complete(tree: UnpackedTree, sum: string, stage: Directory, patience: Patience): Promise<Built> {
    const { options } = this.#settings;
    this.#checkSum(sum);
    const nothing =
      options['strip-components'] > 0 && tree.entries > 0
        ? new Refused(
            `has nothing below ${options['strip-components']} components (--strip-components)`,
            'give fewer; tar tf lists what an archive holds',
          )
        : new Refused('is empty', 'is it the right one?');
    const wanted = wantedOf(sum, this.#settings);
    const built = await completeTree(tree, { wanted, stage, nothing }, patience, this.#context);
    this.#made = tree;
    return built;
  }

  #patience(): Patience {
    return patienceFor(this.#settings.limited, this.#context);
  }

  async #download(sink: SourceSink, patience: Patience): Promise<void> {
    const { options, tls } = this.#settings;
    const http = { ...this.#settings.http, maxSize: options['max-unpacked'] };
    using sources = await openSources(
      [this.#address],
      { options, http, tls, earlier: undefined, sink },
      this.#context,
    );
    const context = withPatience(this.#context, patience);
    const result = await fetchAll([this.#address], sources, options.interval, context);
    if (result.kind === 'failed') throw new NotFetched(result);
  }

  /** Waits for the file as fetch-config does: another container may write it. */
  async #openFile(): Promise<number> {
    const { interval } = this.#settings.options;
    let descriptor: number | undefined;
    const attempt = async (): Promise<Answer> => {
      const found = openArchive(this.#address.path);
      if (typeof found !== 'number') return found;
      descriptor = found;
      return satisfied('read');
    };
    const plan = {
      schedule: interval === undefined ? proportional(1) : fixed(interval),
      policy: once,
      overlap: 1,
      patient: true,
    };
    using patience = this.#patience();
    const target = { name: this.#address.text, attempt };
    const outcome = waitOutcome(await waitFor([target], plan, withPatience(this.#context, patience)));
    if (descriptor === undefined) throw new NotFetched(outcome);
    return descriptor;
  }

  #checkSum(sum: string): void {
    const { sha256 } = this.#settings.options;
    if (sha256 === undefined || sha256 === sum) return;
    throw new NotFetched(
      failed(exitStatus.refused, `${this.#address.text} has the SHA-256 ${sum}, not ${sha256}`, {
        hint: 'it is not the expected file: was it replaced, or is the checksum of another version?',
      }),
    );
  }
}
