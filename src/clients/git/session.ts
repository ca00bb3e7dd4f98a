import type { Never, NotYet } from '../../wait/attempt.ts';
import type { Packet } from './packet-line.ts';
import type { Advertisement, PackAnswer } from './upload-pack.ts';

/** A conversation with git-upload-pack about one repository, however it is reached. */
export interface GitSession extends Disposable {
  /** @throws Ended, NotGit, RemoteError */
  advertisement(): Promise<Advertisement>;
  /** Asks for what is short. @throws as advertisement */
  ask(request: string): Promise<readonly Packet[]>;
  /** Asks for a pack, which may be cut off. @throws as advertisement, or what the answer throws */
  fetch(request: string, answer: PackAnswer): Promise<void>;
}

/** What ends an attempt, in the words of an answer. */
export class Ended extends Error {
  readonly answer: NotYet | Never;

  constructor(answer: NotYet | Never) {
    super(answer.reason);
    this.answer = answer;
  }
}
