/** What became of a publication; counts are of files. */
export interface Published {
  readonly written: number;
  readonly unchanged: number;
  /** Files of an earlier run of the same publication that are gone now. */
  readonly removed: number;
  /** Of what was written. */
  readonly bytes: number;
  readonly warnings: readonly string[];
}

/** Everything is on the volume, and no reader sees it yet. */
export interface Staged {
  /**
   * Shows all of it at once, by one rename.
   * @throws the signal's reason where it was aborted before, and Failure; nothing is visible then
   */
  commit(): Promise<Published>;
  /** Takes back what was staged; after commit it does nothing. Always call it. */
  discard(): Promise<void>;
}
