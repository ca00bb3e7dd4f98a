/** What an attempt goes through, in this order, as far as its target's kind has it. */
export const stages = ['dns', 'tcp', 'tls', 'protocol', 'login', 'assertion'] as const;

export type WaitStage = (typeof stages)[number];

/** How far a target came: what it passed, and where it stands. */
export interface StagesReached {
  readonly passed: readonly WaitStage[];
  /** The first that it has not passed; undefined where it passed all. */
  readonly at: WaitStage | undefined;
}

/**
 * @param own the stages of the target, in order
 * @param passed those that an attempt said it had passed; one that is passed implies those before it
 */
export function stagesReached(own: readonly WaitStage[], passed: ReadonlySet<WaitStage>): StagesReached {
  const last = own.findLastIndex((stage) => passed.has(stage));
  return { passed: own.slice(0, last + 1), at: own[last + 1] };
}
