/** Milliseconds that an entry may take before its volume is a slow one: in memory it takes 0.01, on a disk not much more. */
const quick = 0.2;

/** Entries that are remembered, and how many of them make a volume slow: a container that has used up its share of the processors stands still now and then. */
const remembered = 24;
const decisive = 16;

/** Whether calls on a volume take so long that many of them should be under way at a time. */
export class Pace {
  readonly #slow: boolean[] = [];
  #count = 0;
  #slowCount = 0;
  #last = false;

  /** @param milliseconds that one entry took */
  note(milliseconds: number): void {
    const at = this.#count++ % remembered;
    if (this.#slow[at] === true) this.#slowCount--;
    this.#slow[at] = this.#last = milliseconds > quick;
    if (this.#last) this.#slowCount++;
  }

  get isSlow(): boolean {
    return this.#slowCount >= decisive;
  }

  /** Whether enough has been seen to say that it is not slow. */
  get isKnown(): boolean {
    return this.#count >= remembered;
  }

  /** Whether every entry counts now; otherwise one now and then is enough, since a volume may become slow. */
  get isOpen(): boolean {
    return this.#last || this.#count < remembered;
  }
}
