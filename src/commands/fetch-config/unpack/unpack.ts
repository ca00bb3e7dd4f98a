import { isUtf8 } from 'node:buffer';
import { closeSync } from 'node:fs';

import { type ArchiveLimits, BrokenArchive } from '../../../clients/archive/entry.ts';
import type { HttpSourceSettings, SourceSink } from '../../../clients/http/source.ts';
import type { TlsSettings } from '../../../clients/http/tls.ts';
import { fetchAll } from '../../../clients/sources/fetch.ts';
import { isSecretSource } from '../../../clients/sources/http-settings.ts';
import { openSources } from '../../../clients/sources/open.ts';
import type { SourceAddress } from '../../../config/source.ts';
import { reasonOf } from '../../../core/clock.ts';
import type { Context } from '../../../core/context.ts';
import { type Patience, startPatience } from '../../../core/deadline.ts';
import { exitStatus } from '../../../core/exit-status.ts';
import { done, Failure, failed, firstFailure, type Outcome } from '../../../core/outcome.ts';
import { formatBytes } from '../../../core/size.ts';
import { codeAmong, type Directory } from '../../../fs/directory/directory.ts';
import { isSlowThere } from '../../../fs/pace.ts';
import { type Built, type Building, stageTree } from '../../../fs/publish/atomic-directory.ts';
import { checkRelativePath } from '../../../fs/publish/file-names.ts';
import { commitAll } from '../../../fs/publish/published.ts';
import { removeFile } from '../../../fs/publish/remove.ts';
import { checkSetPlace } from '../../../fs/publish/target-checks.ts';
import { writeFile } from '../../../fs/publish/write.ts';
import { type Answer, satisfied } from '../../../wait/attempt.ts';
import { waitFor } from '../../../wait/loop.ts';
import { waitOutcome } from '../../../wait/outcome.ts';
import { fixed, proportional } from '../../../wait/schedule.ts';
import { once } from '../../../wait/target-state.ts';
import type { FetchOptions } from '../options.ts';
import { type Archive, knownType, openArchive, readArchive } from './archive.ts';
import { Arrival } from './arrival.ts';
import { Download, readAll, sumOf } from './download.ts';
import { quotedEntry, Refused } from './entry-names.ts';
import { isSame, noteName, readNote, type Note, type Wanted } from './note.ts';
import { sumOfTree } from './tree-sum.ts';
import { UnpackedTree } from './tree.ts';
import { checkUnpack } from './usage.ts';

/** What an earlier run made of the same archive, as far as its note tells. */
interface Before {
  readonly note: Note;
  /** What readers see. */
  readonly current: Directory;
  /** What of it is this publication's. */
  readonly names: readonly string[];
}

const archiveName = '..initbox-archive';

/** Something that waiting may change did not change in time, or will not change: said already in words. */
class NotFetched extends Error {
  readonly outcome: Outcome;

  constructor(outcome: Outcome) {
    super('the archive could not be fetched');
    this.outcome = outcome;
  }
}

export interface UnpackSettings {
  readonly options: FetchOptions;
  readonly http: HttpSourceSettings;
  readonly tls: TlsSettings;
  /** Whether `--timeout` was given; if not, waiting has a bound of its own. */
  readonly limited: boolean;
}

/** How long to wait for a server or a file that gives nothing, in milliseconds, unless `--timeout` is given. */
const waiting = 5 * 60_000;

/**
 * Unpacks one archive into a directory: all of it, or nothing.
 * @throws UsageError where the options do not fit together
 */
export async function unpackArchive(
  addresses: readonly SourceAddress[],
  settings: UnpackSettings,
  context: Context,
): Promise<Outcome> {
  const { options, http } = settings;
  const address = checkUnpack(addresses, options);
  const path = options.to as string;
  // A file does not tell whether it is a secret; an archive in an image is none.
  const secret = address.scheme === 'file' ? http.saidSecret === true : isSecretSource(address, http);
  const memoryOnly = secret && !options['allow-disk'];
  checkSetPlace(path, [], { memoryOnly });
  const unpacking = new Unpacking(address, settings, context);
  try {
    const staged = await stageTree(
      {
        path,
        set: 'fetch-config --unpack',
        build: (building) => unpacking.build(building),
        memoryOnly,
        owner: options.owner,
      },
      context,
    );
    try {
      const { warnings } = await commitAll([staged], context.signal);
      for (const warning of warnings) context.log.warn(warning);
    } finally {
      await staged.discard();
    }
  } catch (error) {
    if (unpacking.outcome !== undefined) return unpacking.outcome;
    throw error;
  }
  return done(unpacking.summary(path));
}

class Unpacking {
  readonly #address: SourceAddress;
  readonly #settings: UnpackSettings;
  readonly #context: Context;
  readonly #limits: ArchiveLimits;
  /** Set where it ended in a way that words were found for. */
  outcome: Outcome | undefined;
  #made: { readonly files: number; readonly bytes: number } | undefined;

  constructor(address: SourceAddress, settings: UnpackSettings, context: Context) {
    this.#address = address;
    this.#settings = settings;
    this.#context = context;
    const { options } = settings;
    this.#limits = { bytes: options['max-unpacked'], entries: options['max-entries'] };
  }

  summary(path: string): string {
    return this.#made === undefined
      ? `${path} has what ${this.#address.text} holds already`
      : `${path} has ${this.#made.files} file${this.#made.files === 1 ? '' : 's'} (${formatBytes(this.#made.bytes)}) of ${this.#address.text}`;
  }

  async build({ stage, current, intact, previous }: Building): Promise<Built | 'unchanged'> {
    const { sha256 } = this.#settings.options;
    const note = current !== undefined && intact ? readNote(current) : undefined;
    const before = current && note && { note, current, names: previous };
    try {
      // The sum says what would come: then it need not come.
      if (sha256 !== undefined) {
        using patience = this.#patience();
        if (await this.#isThere(sha256, before, patience)) return 'unchanged';
      }
      const tree = stage();
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
    } catch (error) {
      this.outcome = this.#words(error);
      throw error;
    }
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

  /** Whether readers see all of an archive with this sum, as it was unpacked. */
  async #isThere(sha256: string, before: Before | undefined, patience: Patience): Promise<boolean> {
    if (before === undefined || !isSame(this.#noteOf(sha256), before.note)) return false;
    try {
      return (await sumOfTree(before.current, before.names, patience)) === before.note.tree;
    } catch (error) {
      if (patience.signal.aborted) throw reasonOf(patience.signal);
      codeAmong(error, ['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES', 'EPERM']);
      return false; // something is gone, or was exchanged, or is closed to this user
    }
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
        if (bytes > most) throw new Refused(`is larger than ${formatBytes(most)} (--max-unpacked)`);
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
    const { options } = this.#settings;
    return new UnpackedTree(stage.fd, {
      strip: options['strip-components'],
      mode: options.mode,
      owner: options.owner,
      limits: this.#limits,
      collect: () => this.#context.host.collectGarbage(),
      slow,
    });
  }

  /** All is unpacked: looks whether it is as it should be, and puts the note beside it. */
  async #complete(tree: UnpackedTree, sum: string, stage: Directory, patience: Patience): Promise<Built> {
    const { options } = this.#settings;
    this.#checkSum(sum);
    await tree.finish(patience.signal);
    if (tree.files === 0 && stage.names().length === 0)
      throw new Refused(
        options['strip-components'] > 0 && tree.entries > 0
          ? `has nothing below ${options['strip-components']} components (--strip-components)`
          : 'is empty',
      );
    const names = stage.names();
    for (const name of names) {
      if (!isUtf8(name))
        throw new Refused(`has ${quotedEntry(name.toString('latin1'))} at its top, which is not UTF-8`);
      checkRelativePath(name.toString());
    }
    const paths = names.map((name) => name.toString());
    const note: Note = {
      ...this.#noteOf(sum),
      files: tree.files,
      tree: await sumOfTree(stage, paths, patience),
    };
    const bytes = Buffer.from(`${JSON.stringify(note)}\n`);
    await writeFile(stage, noteName, { bytes, mode: 0o444 }, this.#context.signal);
    this.#made = tree;
    return {
      paths,
      written: tree.files,
      unchanged: 0,
      bytes: tree.bytes,
    };
  }

  #patience(): Patience {
    const { clock } = this.#context;
    const limit = this.#settings.limited ? 0 : waiting;
    return startPatience(clock, this.#context, limit, 'without a byte; the default of --timeout');
  }

  async #download(sink: SourceSink, patience: Patience): Promise<void> {
    const { options, tls } = this.#settings;
    const http = { ...this.#settings.http, maxSize: options['max-unpacked'] };
    using sources = await openSources(
      [this.#address],
      { options, http, tls, earlier: undefined, sink },
      this.#context,
    );
    const context = bounded(this.#context, patience);
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
    const outcome = waitOutcome(await waitFor([target], plan, bounded(this.#context, patience)));
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

  #noteOf(sha256: string): Wanted {
    const { options } = this.#settings;
    const { owner } = options;
    return {
      sha256,
      strip: options['strip-components'],
      mode: options.mode ?? null,
      owner: owner === undefined ? null : `${owner.uid}:${owner.gid}`,
    };
  }

  #words(thrown: unknown): Outcome | undefined {
    const error = firstFailure(thrown);
    if (error instanceof NotFetched) return error.outcome;
    if (error instanceof Refused || error instanceof BrokenArchive)
      return failed(exitStatus.refused, `${this.#address.text} ${error.message}; nothing was unpacked`, {
        hint:
          error instanceof BrokenArchive && error.damaged
            ? 'was it cut off on its way, or damaged? --sha256 tells'
            : 'an archive like this is not unpacked, not even in part',
      });
    return error instanceof Failure ? error.outcome : undefined;
  }
}

/** The same in a time of its own, which may move on meanwhile. */
function bounded(context: Context, patience: Patience): Context {
  return Object.defineProperty({ ...context, signal: patience.signal }, 'deadline', {
    get: () => patience.at,
  });
}
