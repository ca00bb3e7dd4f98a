import { closest, distance } from 'fastest-levenshtein';

/** The known name that a mistyped one most likely meant; undefined where none is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const longer = known.find(
    (other) => name.length >= 3 && (other.startsWith(name) || name.startsWith(other)),
  );
  const near = closest(name, known);
  if (distance(name, near) <= Math.max(1, Math.ceil(name.length / 3))) return near;
  return longer;
}
