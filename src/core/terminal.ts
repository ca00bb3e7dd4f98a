/** One thing's line in a block that is redrawn in place. */
export interface BlockLine {
  readonly state: 'waiting' | 'satisfied' | 'never';
  readonly name: string;
  /** After the name. What matters most stands first: the line is cut to the width of the terminal. */
  readonly words: string;
}

/** Lines below the log that are redrawn in place. */
export interface Block {
  /** What the lines say may have changed. */
  changed(): void;
  /** Draws them a last time; they stay as they are from then on. */
  stop(): void;
}

/** A terminal on standard error. process/terminal.ts is the one that draws on it. */
export interface Terminal {
  /**
   * Begins a block, one at a time.
   * @param lines asked for each time that it is drawn, as many as at first; not redacted
   * @param giveUp called once, where the block cannot be drawn any more: the terminal became too small, or somebody else has it
   * @returns undefined where it cannot be drawn as things stand
   */
  begin(lines: () => readonly BlockLine[], giveUp: () => void): Block | undefined;
}
