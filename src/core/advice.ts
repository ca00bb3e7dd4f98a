/** Words for values that were quoted once too often, as YAML's `'"db:5432"'`, or hold several arguments; else nothing. */
export function quotingAdvice(text: string): string {
  if (/^(["']).*\1$/s.test(text))
    return '; the quotes are part of the value: write it without the inner ones';
  // A flag, or a second target, after a space.
  if (/\s--?([a-z]|\s)|:\d+\s+\S/i.test(text))
    return '; it contains spaces: give each word as an argument of its own';
  return '';
}
