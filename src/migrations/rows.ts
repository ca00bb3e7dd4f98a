/** A column of a row as text: numbers and booleans as JavaScript writes them, NULL and a missing row as ''. */
export function columnText(row: Readonly<Record<string, unknown>> | undefined, column: string): string {
  const value = row?.[column];
  return typeof value === 'string'
    ? value
    : typeof value === 'number' || typeof value === 'boolean'
      ? `${value}`
      : '';
}
