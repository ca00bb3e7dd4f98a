/**
 * True for what is most likely a variable that nobody filled in: `$(NAME)`, `${NAME}`, `$NAME` (which no shell has read,
 * since a manifest's args have none), a template's `{{ … }}`, and what Go's templates write for what is not there.
 */
export function isUnfilled(text: string): boolean {
  return /\$[({A-Za-z_]|\{\{|<no value>|<nil>/.test(text);
}
