/** What one object says of one expectation. */
export interface Verdict {
  /** `never`: it cannot become true of this very object any more. */
  readonly state: 'yes' | 'no' | 'never';
  /** After its name: `is complete`, `has 1 of 3 replicas available`. */
  readonly seen: string;
  /** What to look at, as a sentence. */
  readonly hint?: string | undefined;
}

export const yes = (seen: string): Verdict => ({ state: 'yes', seen });
export const no = (seen: string, hint?: string): Verdict => ({ state: 'no', seen, hint });
export const neverAgain = (seen: string, hint?: string): Verdict => ({ state: 'never', seen, hint });
