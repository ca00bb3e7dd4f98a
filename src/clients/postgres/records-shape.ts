import type { RecordsTable } from './trusted-owner.ts';

/** pg_type.typcategory: what a statement of ours can compare, write and read alike. */
const kinds = { D: 'time', I: 'network address', N: 'number', S: 'text' } as const;
type Kind = keyof typeof kinds;

/** The tables as this program makes them (lock/records.ts, migrations/history.ts): an older or newer one may have more. */
const shapes: Readonly<
  Record<RecordsTable, { readonly columns: Readonly<Record<string, Kind>>; readonly key: readonly string[] }>
> = {
  locks: {
    columns: {
      lock_id: 'N',
      lock_name: 'S',
      token: 'N',
      host: 'S',
      role: 'S',
      address: 'I',
      started: 'D',
      settle_ms: 'N',
      released: 'D',
    },
    key: ['lock_id'],
  },
  once: {
    columns: {
      lock_id: 'N',
      once_key: 'S',
      lock_name: 'S',
      state: 'S',
      token: 'N',
      command_hash: 'S',
      host: 'S',
      started: 'D',
      finished: 'D',
      exit_status: 'N',
    },
    key: ['lock_id', 'once_key'],
  },
  sql_migrations: {
    columns: {
      lock_name: 'S',
      version: 'S',
      file: 'S',
      sha256: 'S',
      state: 'S',
      statements: 'N',
      finished: 'N',
      token: 'N',
      started_at: 'D',
      applied_at: 'D',
      duration_ms: 'N',
    },
    key: ['lock_name', 'version'],
  },
};

/** SQL: each column of a table as its kind, whether somebody has to give it a value, a space, and its name. */
export function columnsOf(table: string): string {
  return `ARRAY(SELECT pg_catalog.concat(t.typcategory, CASE WHEN a.attnotnull AND NOT a.atthasdef AND a.attidentity OPERATOR(pg_catalog.=) '' THEN '!' END, ' ', a.attname)
    FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) a.atttypid
    WHERE a.attrelid OPERATOR(pg_catalog.=) ${table} AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped)`;
}

/** SQL that is true where a unique index stands on the table's key alone, which ON CONFLICT needs. */
export function hasKey(table: RecordsTable, oid: string): string {
  const names = shapes[table].key.map((name) => `'${name}'`).join(', ');
  return `EXISTS (SELECT FROM pg_catalog.pg_index AS i WHERE i.indrelid OPERATOR(pg_catalog.=) ${oid} AND i.indisunique AND i.indimmediate
    AND i.indisvalid AND i.indpred IS NULL AND ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute AS a
      WHERE a.attrelid OPERATOR(pg_catalog.=) i.indrelid AND a.attnum OPERATOR(pg_catalog.=) ANY (i.indkey) ORDER BY a.attname COLLATE pg_catalog."C") OPERATOR(pg_catalog.=) ARRAY[${names}])`;
}

/**
 * What makes the statements of this program fail on a table, in words.
 * @param relkind pg_class.relkind
 * @param columns what columnsOf gives
 */
export function misshape(
  table: RecordsTable,
  relkind: string,
  columns: readonly string[],
): string | undefined {
  if (relkind !== 'r') return `it is not an ordinary table (relkind ${relkind})`;
  const found = new Map(
    columns.map((each) => {
      const space = each.indexOf(' ');
      return [each.slice(space + 1), each.slice(0, space)];
    }),
  );
  const problems: string[] = [];
  for (const [name, kind] of Object.entries(shapes[table].columns)) {
    const is = found.get(name);
    if (is === undefined) problems.push(`it has no column ${name}`);
    else if (is.charAt(0) !== kind) problems.push(`its column ${name} is not a ${kinds[kind]}`);
    found.delete(name);
  }
  for (const [name, kind] of found)
    if (kind.endsWith('!'))
      problems.push(`its column ${name}, which this program does not know, needs a value`);
  return problems.length === 0 ? undefined : problems.slice(0, 3).join(', ');
}
