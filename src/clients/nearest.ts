import { closest, distance } from 'fastest-levenshtein';

/** The known name that a mistyped one most likely meant; undefined where none is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  // Its first word alone, as `stable` of `stable-for`: nearer than `table`.
  const begun = known.find((other) => /^[-_]/.test(other.slice(name.length)) && other.startsWith(name));
  if (begun !== undefined || known.length === 0) return begun;
  const near = closest(name, known);
  // Beyond a third of its letters it is another word: `help` is not `sql`. One that begins otherwise as well is one
  // already by its second letter: `target` is not `forget`.
  const most = near[0] === name[0] ? Math.max(1, Math.round(name.length / 3)) : 1;
  if (distance(name, near) <= most) return near;
  if (name.length < 3) return undefined;
  // Another ending, as `retry` of `retries`.
  const stem = name.length < 5 ? name : name.slice(0, -1);
  return known.find((other) => other.startsWith(stem) || name.startsWith(other));
}
