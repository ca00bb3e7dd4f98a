import {
  isFullHash,
  type FetchAnswer,
  type Fetched,
  type ReadSource,
  type Revision,
  type SourceAddress,
} from '../../config/source.ts';
import { excerpt } from '../../core/excerpt.ts';
import { exitStatus } from '../../core/exit-status.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { never, notYet, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import { NotGit } from './packet-line.ts';
import { Ended, type GitSession } from './session.ts';
import type { Taking } from './taking.ts';
import {
  fetchRequest,
  givesByHash,
  lacking,
  lsRefsRequest,
  PackAnswer,
  pickRef,
  readRefs,
  RemoteError,
  type Advertisement,
} from './upload-pack.ts';

export interface GitSettings {
  readonly revision: Revision;
  readonly taking: Taking;
  readonly redactor: Redactor;
  /** Whether what is fetched is a secret. */
  readonly secret: boolean;
}

/**
 * Fetches one commit from a server that speaks Git's smart protocol.
 * @param open begins a conversation; it throws Ended where none comes about
 */
export function gitReader(
  address: SourceAddress,
  settings: GitSettings,
  open: (probe: Probe) => Promise<GitSession>,
): ReadSource {
  return async (probe) => {
    try {
      using session = await open(probe);
      return await new Fetching(address, settings, session).run();
    } catch (error) {
      const answer = answerFor(error, settings.redactor);
      if (answer === undefined) throw error;
      return answer;
    }
  };
}

/** What a fault of the protocol means; undefined for errors that are none. */
function answerFor(error: unknown, redactor: Redactor): NotYet | Never | undefined {
  if (error instanceof Ended) return error.answer;
  if (error instanceof NotGit)
    return never(
      exitStatus.refused,
      error.message,
      'is it the address of a repository? look at what answers there, and at any proxy in between',
    );
  if (!(error instanceof RemoteError)) return undefined;
  const words = excerpt(error.message, 300, redactor.redact).replace(/[^\x20-\x7e]+/g, ' ');
  if (error.midway) return notYet(`the server gave up: ${JSON.stringify(words.trim())}`, { busy: {} });
  if (/not our ref/.test(words))
    return never(
      exitStatus.refused,
      `has no such commit: the server says ${JSON.stringify(words)}`,
      'was the branch that it was on deleted or rewritten? write a commit that is there, or a branch or tag',
    );
  return never(exitStatus.refused, `refused: the server says ${JSON.stringify(words)}`);
}

class Fetching {
  readonly #settings: GitSettings;
  readonly #address: SourceAddress;
  readonly #session: GitSession;

  constructor(address: SourceAddress, settings: GitSettings, session: GitSession) {
    this.#settings = settings;
    this.#address = address;
    this.#session = session;
  }

  async run(): Promise<FetchAnswer> {
    const { revision, taking } = this.#settings;
    const advertised = await this.#session.advertisement();
    const lacks = lacking(advertised);
    if (lacks !== undefined)
      throw new Ended(
        never(
          exitStatus.refused,
          `its server cannot send one commit without its history (it does not offer ${JSON.stringify(lacks)})`,
        ),
      );
    const commit = await this.#commit(advertised);
    if (commit !== revision.ref && (await taking.has(commit))) return this.#fetched(commit, true);
    await this.#pack(advertised, commit);
    return this.#fetched(commit, false);
  }

  #fetched(commit: string, reused: boolean): FetchAnswer {
    const fetched: Fetched = {
      content: { kind: 'value', value: Buffer.alloc(0) },
      secret: this.#settings.secret,
      provenance: { source: this.#address.text, version: commit },
      ...(reused && { reused }),
    };
    return { state: 'fetched', fetched };
  }

  /** The commit that is meant. */
  async #commit(advertised: Advertisement): Promise<string> {
    const { ref } = this.#settings.revision;
    if (ref !== undefined && isFullHash(ref)) {
      const name = ref.length === 40 ? 'sha1' : 'sha256';
      if (name !== advertised.hash)
        throw new Ended(
          never(
            exitStatus.refused,
            `names its objects by ${advertised.hash.toUpperCase()}, and ${ref} is not such a hash`,
          ),
        );
      if (!givesByHash(advertised, ref))
        throw new Ended(
          never(
            exitStatus.refused,
            `its server sends the newest commits of branches and tags alone, and ${ref} is none of them`,
            'write the tag in place of the commit, or let the server allow it (uploadpack.allowReachableSHA1InWant)',
          ),
        );
      return ref;
    }
    const refs = advertised.refs ?? readRefs(await this.#session.ask(lsRefsRequest(advertised, ref)));
    const found = pickRef(refs, ref);
    if (found !== undefined) {
      if (!isFullHash(found)) throw new NotGit('sent a hash that is none');
      return found;
    }
    if (ref === undefined)
      throw new Ended(
        never(
          exitStatus.refused,
          'has no default branch: it is empty, or its HEAD leads to a branch that is not there',
          'name a branch, tag or commit after #',
        ),
      );
    throw new Ended(
      never(
        exitStatus.refused,
        `has no branch or tag ${JSON.stringify(ref)}`,
        /^[0-9a-f]{4,39}$/i.test(ref)
          ? 'a commit is named by all of its 40 digits: git rev-parse HEAD prints them'
          : 'look at its branches and tags: git ls-remote shows them',
      ),
    );
  }

  async #pack(advertised: Advertisement, commit: string): Promise<void> {
    const { taking } = this.#settings;
    taking.begin(advertised.hash);
    const pack = new PackAnswer(advertised, taking);
    await this.#session.fetch(fetchRequest(advertised, commit), pack);
    if (!pack.isWhole) throw new Ended(notYet('the answer ended inside the pack'));
    if (!taking.isRight())
      throw new Ended(
        never(exitStatus.refused, 'sent a pack whose checksum is wrong', 'was it changed on its way?'),
      );
  }
}
