/** What an action did, or would do. */
export type Change = 'right' | 'made' | 'changed' | 'moved' | 'left out' | 'absent';

/** How an action is gone about. */
export interface Way {
  /** False where it is only looked at. */
  readonly apply: boolean;
  readonly ifExists: boolean;
  /** The running program's own file. */
  readonly script: string;
}
