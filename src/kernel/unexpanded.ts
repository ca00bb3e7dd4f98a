/**
 * Says so where a text still holds a reference that somebody meant to be replaced: `$(DB_HOST)`, `${DB_HOST}`, `$DB_HOST`.
 * Kubernetes leaves `$(NAME)` as it is where NAME is not set, and without a shell nothing replaces the others.
 */
export function unexpandedVariable(text: string): string | undefined {
  const reference = /\$(?:\((\w+)\)|\{(\w+)|(\w+))/.exec(text);
  if (reference === null) return undefined;
  const name = reference[1] ?? reference[2] ?? reference[3] ?? '';
  return `the variable ${name} in it was not replaced by a value; Kubernetes replaces $(${name}) in args where ${name} is set in this container's env, and nothing else`;
}
