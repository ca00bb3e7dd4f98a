import type { SourceAddress } from '../../config/source.ts';
import { excerpt, flattened } from '../../core/excerpt.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { percentDecoded } from '../../core/userinfo.ts';
import { never, notYet, type Never, type NotYet, type Probe } from '../../wait/attempt.ts';
import { startOverSsh, type SshPlace, type SshProgram } from '../ssh/program.ts';
import { flushPacket, NotGit, PacketReader, type Packet } from './packet-line.ts';
import { Ended, type GitSession } from './session.ts';
import { readAdvertisement, type Advertisement, type PackAnswer } from './upload-pack.ts';

export interface GitSshSettings {
  readonly place: SshPlace;
  /** Of an answer that is not a pack, and of a pack, in bytes, with the options that say so. */
  readonly maxSize: number;
  readonly most: number;
  readonly mostOrigin: string;
}

/** The rest of what startOverSsh needs. */
type SshContext = Parameters<typeof startOverSsh>[3];

/**
 * The path of a repository as git-upload-pack takes it: `/~user/…` is below that user's home (git-clone(1), "Git URLs").
 */
export function sshPath({ path }: Pick<SourceAddress, 'path'>): string {
  const behindHost = path.replace(/^\/\/[^/]*/, '');
  const plain = percentDecoded(behindHost).toString('utf8');
  return plain.startsWith('/~') ? plain.slice(1) : plain;
}

/** A word for the shell of the other end, as Git itself quotes it (sq_quote_buf in its quote.c). */
export function quotedWord(text: string): string {
  return `'${text.replaceAll(/['!]/g, (letter) => `'\\${letter}'`)}'`;
}

/** Begins Git's smart protocol over SSH. @throws Ended */
export async function openGitOverSsh(
  address: SourceAddress,
  settings: GitSshSettings,
  context: SshContext,
  probe: Probe,
): Promise<GitSession> {
  const command = `git-upload-pack ${quotedWord(sshPath(address))}`;
  // Of servers that do not take the variable, the old version of the protocol is understood as well.
  const program = await startOverSsh(settings.place, command, { GIT_PROTOCOL: 'version=2' }, context, probe);
  if ('state' in program) throw new Ended(program);
  return new GitSshSession(program, settings, context.redact, probe);
}

class GitSshSession implements GitSession {
  readonly #program: SshProgram;
  readonly #settings: GitSshSettings;
  readonly #redact: (text: string) => string;
  readonly #probe: Probe;
  readonly #bytes: AsyncIterator<Buffer>;

  constructor(program: SshProgram, settings: GitSshSettings, redact: (text: string) => string, probe: Probe) {
    this.#program = program;
    this.#settings = settings;
    this.#redact = redact;
    this.#probe = probe;
    this.#bytes = program.stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  [Symbol.dispose](): void {
    if (this.#program.stream.writable) this.#program.stream.end(flushPacket);
    this.#program[Symbol.dispose]();
  }

  async advertisement(): Promise<Advertisement> {
    this.#probe.phase(`waiting for the list of branches from ${this.#program.peer}`);
    return readAdvertisement(await this.#packets());
  }

  async ask(request: string): Promise<readonly Packet[]> {
    this.#program.stream.write(request);
    return this.#packets();
  }

  async fetch(request: string, answer: PackAnswer): Promise<void> {
    this.#probe.phase(`waiting for the pack from ${this.#program.peer}`);
    this.#program.stream.write(request);
    const { most, mostOrigin } = this.#settings;
    for (let came = 0; !answer.isWhole;) {
      const bytes = await this.#next();
      came += bytes.length;
      if (came > most) throw new Ended(never(exitStatus.refused, `sends more than ${mostOrigin} allows`));
      answer.write(bytes);
      this.#probe.phase(`receiving the pack (${this.#program.peer})`);
    }
  }

  /** Packets up to the one that ends them. */
  async #packets(): Promise<Packet[]> {
    const packets: Packet[] = [];
    let ended = false;
    const reader = new PacketReader((packet) => {
      if (ended) throw new NotGit('sent something that was not asked for');
      ended = packet === 'flush';
      packets.push(typeof packet === 'string' ? packet : Buffer.from(packet));
    });
    for (let came = 0; !ended;) {
      const bytes = await this.#next();
      came += bytes.length;
      if (came > this.#settings.maxSize)
        throw new Ended(never(exitStatus.refused, 'sends a longer list of branches than --max-size allows'));
      reader.write(bytes);
    }
    return packets;
  }

  async #next(): Promise<Buffer> {
    const next = await this.#bytes.next();
    if (next.done !== true) return next.value;
    if (this.#probe.signal.aborted) throw new Ended(notYet(`no answer (${this.#program.peer})`));
    throw new Ended(endOf(await this.#program.ended, this.#program.peer, this.#redact));
  }
}

/** What waiting does not change, in the words of Git and of the hosts that many have. */
const final =
  /not (?:be )?found|does not appear to be|does not exist|denied|not permitted|no such|unauthori[sz]ed|not allowed/i;

/** Status of a shell that has no such program (POSIX). */
const noProgram = 127;

function endOf(
  { code, stderr, flooded }: Awaited<SshProgram['ended']>,
  peer: string,
  redact: (text: string) => string,
): NotYet | Never {
  const said = flattened(excerpt(stderr, 300, redact))
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim();
  if (flooded)
    return never(exitStatus.refused, `the server sends messages without an end, and no repository (${peer})`);
  if (code === noProgram)
    return never(exitStatus.refused, `the server has no git-upload-pack (${peer})`, 'install Git there');
  const words = said === '' ? '' : `: it says ${JSON.stringify(said)}`;
  if (code !== undefined && code !== 0 && final.test(said))
    return never(
      exitStatus.refused,
      `the server refuses the repository${words} (${peer})`,
      'is the path right, and may this key read it? hosts answer alike where no repository is there and where it may not be read',
    );
  return notYet(
    `the server ended the conversation${code === undefined ? '' : ` with status ${code}`}${words} (${peer})`,
    { busy: {} },
  );
}
