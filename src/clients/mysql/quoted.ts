/** A name in SQL, also a user’s or a host’s, whatever sql_mode says of quotes. */
export function mysqlName(name: string): string {
  return `\`${name.replaceAll('`', '``')}\``;
}

/** A text in SQL, whatever sql_mode says of backslashes, and whatever is in it; not where the grammar asks for a string itself. */
export function mysqlText(text: string): string {
  return `_utf8mb4 X'${Buffer.from(text).toString('hex')}'`;
}
