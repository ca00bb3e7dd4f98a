import type { Position } from '../../clients/yaml/nodes.ts';
import { quotedValue, shownWord } from '../../core/misplaced-secret.ts';
import { mostOfName } from './keys.ts';

/** A step as its neighbours see it. */
export interface Linked {
  readonly name: string;
  readonly at: Position;
  readonly needs: readonly { readonly name: string; readonly at: Position }[];
}

/** A mistake of a plan and where it stands. */
export interface Mistake {
  readonly at: Position;
  readonly text: string;
}

/** What is wrong between steps: one name twice, a need that is no step, a cycle. */
export async function linkMistakes(steps: readonly Linked[]): Promise<Mistake[]> {
  const byName = new Map<string, Linked>();
  const mistakes: Mistake[] = [];
  for (const step of steps) {
    const first = byName.get(step.name);
    if (first === undefined) byName.set(step.name, step);
    else
      mistakes.push({
        at: step.at,
        text: `two steps are named ${quotedValue(step.name, mostOfName)}; the first is in line ${first.at.line}`,
      });
  }
  for (const step of steps) {
    for (const need of step.needs) {
      if (need.name === step.name)
        mistakes.push({ at: need.at, text: `step ${quotedValue(step.name, mostOfName)} needs itself` });
      else if (!byName.has(need.name))
        mistakes.push({ at: need.at, text: await unknownNeed(need.name, step.name, [...byName.keys()]) });
    }
  }
  return [...mistakes, ...findCycles(steps, byName)];
}

async function unknownNeed(name: string, by: string, known: readonly string[]): Promise<string> {
  const { nearest } = await import('../../clients/nearest.ts');
  const near = nearest(
    name,
    known.filter((other) => other !== by),
  );
  return `step ${quotedValue(by, mostOfName)} needs ${quotedValue(name, mostOfName)}, and no step has that name${near === undefined ? '' : `; did you mean ${near}?`}`;
}

/** Each cycle that shares no step with one that is told already. */
function findCycles(steps: readonly Linked[], byName: ReadonlyMap<string, Linked>): readonly Mistake[] {
  const finished = new Set<string>();
  const path: Linked[] = [];
  const told = new Set<Linked>();
  const cycles: Mistake[] = [];
  const visit = (step: Linked, at: Position): void => {
    if (finished.has(step.name)) return;
    const start = path.indexOf(step);
    if (start >= 0) {
      const cycle = path.slice(start);
      if (cycle.some((one) => told.has(one))) return;
      for (const one of cycle) told.add(one);
      const names = [...cycle, step].map(({ name }) => name);
      cycles.push({ at, text: `dependency cycle: ${names.map((name) => shownWord(name)).join(' → ')}` });
      return;
    }
    path.push(step);
    for (const need of step.needs) {
      const needed = need.name === step.name ? undefined : byName.get(need.name);
      if (needed !== undefined) visit(needed, need.at);
    }
    path.pop();
    finished.add(step.name);
  };
  for (const step of steps) visit(step, step.at);
  return cycles;
}

/** How many steps must be done one after another before each one: 0 for those that start at once. */
export function depths(steps: readonly Linked[]): ReadonlyMap<string, number> {
  const byName = new Map(steps.map((step) => [step.name, step]));
  const known = new Map<string, number>();
  const depthOf = (step: Linked): number => {
    const depth =
      known.get(step.name) ??
      Math.max(-1, ...step.needs.map(({ name }) => depthOf(byName.get(name) as Linked))) + 1;
    known.set(step.name, depth);
    return depth;
  };
  for (const step of steps) depthOf(step);
  return known;
}
