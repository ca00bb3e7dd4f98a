export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** A row of a table in Markdown. */
export function row(...cells: readonly (string | number)[]): string {
  return `| ${cells.map((cell) => (typeof cell === 'number' ? cell.toFixed(cell < 10 ? 2 : 0) : escapePipes(cell))).join(' | ')} |`;
}

/** Within a table of Markdown a bar ends the cell. */
function escapePipes(cell: string): string {
  return cell.replaceAll('|', '\\|');
}

export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  return [row(...head), `|${head.map(() => ' --- ').join('|')}|`, ...rows.map((cells) => row(...cells))].join(
    '\n',
  );
}
