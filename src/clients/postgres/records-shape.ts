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

/** SQL that gives what else than columns decides what the program's statements on a table do, in a word to compare. */
export function manner(table: string): string {
  return `pg_catalog.concat(${table}.relkind, ${table}.relpersistence, ${table}.relhasrules, ${table}.relhassubclass, ${table}.relrowsecurity, ${table}.relforcerowsecurity)`;
}

/** SQL: what misuse needs to know of a table beside its columns. */
export function peculiaritiesOf(records: RecordsTable, table: string): string {
  const named = (names: readonly string[]): string => `ARRAY[${names.map((name) => `'${name}'`).join(', ')}]`;
  const states = meanings[records]['state'];
  // The table's own check names each state; one that an earlier or a later release made names others too.
  const own =
    typeof states === 'object'
      ? `(pg_catalog.array_length(x.conkey, 1) OPERATOR(pg_catalog.=) 1 AND pg_catalog.pg_get_constraintdef(x.oid) OPERATOR(pg_catalog.~~) ALL (${named(states.map((state) => `%''${state}''%`))}))`
      : 'false';
  return `${table}.relkind::pg_catalog.text AS relkind, ${table}.relpersistence::pg_catalog.text AS relpersistence,
    CASE WHEN ${table}.relrowsecurity THEN pg_catalog.row_security_active(${table}.oid) END AS secured,
    ARRAY(SELECT pg_catalog.quote_ident(w.rulename) FROM pg_catalog.pg_rewrite AS w WHERE w.ev_class OPERATOR(pg_catalog.=) ${table}.oid) AS rules,
    ARRAY(SELECT pg_catalog.format('%I.%I', k.nspname, h.relname) FROM pg_catalog.pg_inherits AS i
      JOIN pg_catalog.pg_class AS h ON h.oid OPERATOR(pg_catalog.=) i.inhrelid JOIN pg_catalog.pg_namespace AS k ON k.oid OPERATOR(pg_catalog.=) h.relnamespace
      WHERE i.inhparent OPERATOR(pg_catalog.=) ${table}.oid) AS children,
    ARRAY(SELECT pg_catalog.quote_ident(a.attname) FROM pg_catalog.pg_attribute AS a
      WHERE a.attrelid OPERATOR(pg_catalog.=) ${table}.oid AND NOT a.attisdropped AND a.attname OPERATOR(pg_catalog.=) ANY (${named(Object.keys(shapes[records].columns))})
        AND pg_catalog.to_json(a) OPERATOR(pg_catalog.->>) 'attgenerated' OPERATOR(pg_catalog.=) 's') AS generated,
    ARRAY(SELECT pg_catalog.quote_ident(a.attname) FROM pg_catalog.pg_attribute AS a
      WHERE a.attrelid OPERATOR(pg_catalog.=) ${table}.oid AND NOT a.attisdropped AND a.attnotnull AND a.attname OPERATOR(pg_catalog.=) ANY (${named(Object.keys(shapes[records].columns).filter(mayBeNull(records)))})) AS needed,
    ARRAY(SELECT pg_catalog.quote_ident(x.conname) FROM pg_catalog.pg_constraint AS x WHERE x.conrelid OPERATOR(pg_catalog.=) ${table}.oid
      AND (x.contype OPERATOR(pg_catalog.=) ANY (ARRAY['f', 'x']) OR x.contype OPERATOR(pg_catalog.=) 'c' AND NOT ${own})) AS constraints,
    ARRAY(SELECT pg_catalog.format(CASE WHEN x.oid IS NULL THEN 'DROP INDEX %1$I.%2$I' ELSE 'ALTER TABLE %1$I.%3$I DROP CONSTRAINT %4$I' END, k.nspname, h.relname, '${records}', x.conname)
      FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS h ON h.oid OPERATOR(pg_catalog.=) i.indexrelid JOIN pg_catalog.pg_namespace AS k ON k.oid OPERATOR(pg_catalog.=) h.relnamespace
      LEFT JOIN pg_catalog.pg_constraint AS x ON x.conrelid OPERATOR(pg_catalog.=) i.indrelid AND x.conindid OPERATOR(pg_catalog.=) i.indexrelid AND x.contype OPERATOR(pg_catalog.=) ANY (ARRAY['u', 'p'])
      WHERE i.indrelid OPERATOR(pg_catalog.=) ${table}.oid AND i.indisunique AND NOT ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid OPERATOR(pg_catalog.=) i.indrelid AND a.attnum OPERATOR(pg_catalog.=) ANY (i.indkey)) OPERATOR(pg_catalog.@>) ${named(shapes[records].key)}) AS uniques`;
}

export interface Peculiarities {
  /** pg_class.relkind */
  readonly relkind: string;
  /** pg_class.relpersistence */
  readonly relpersistence: string;
  /** Policies choose among the rows for this role. */
  readonly secured: boolean;
  /** Names in SQL. */
  readonly rules: readonly string[];
  /** Names in SQL of the tables that inherit from it, whose rows no statement of this program reads. */
  readonly children: readonly string[];
  /** Names in SQL of known columns whose value the server makes. */
  readonly generated: readonly string[];
  /** The same of those that must have a value, and have none while work runs. */
  readonly needed: readonly string[];
  /** Names in SQL of constraints that this program does not make. */
  readonly constraints: readonly string[];
  /** Statements that take away what else must be unique than the key. */
  readonly uniques: readonly string[];
}

/** What may be NULL in a row that this program writes. */
function mayBeNull(table: RecordsTable): (column: string) => boolean {
  const nullable: Readonly<Record<RecordsTable, readonly string[]>> = {
    locks: ['address', 'released'],
    once: ['finished', 'exit_status'],
    sql_migrations: ['applied_at', 'duration_ms'],
  };
  return (column) => nullable[table].includes(column);
}

/** What a table is beside its columns that lets records be lost, or go elsewhere; and the statement that ends it. */
export function misuse(
  table: string,
  {
    relkind,
    relpersistence,
    secured,
    rules,
    children,
    generated,
    needed,
    constraints,
    uniques,
  }: Peculiarities,
): { readonly problem: string; readonly mend: string } | undefined {
  if (relkind !== 'r') return undefined;
  if (relpersistence !== 'p')
    return {
      problem: 'it is UNLOGGED, so that a crash of the server empties it',
      mend: `ALTER TABLE ${table} SET LOGGED`,
    };
  if (rules.length > 0)
    return {
      problem: `rules change what is done to it (${rules.slice(0, 3).join(', ')})`,
      mend: rules.map((rule) => `DROP RULE ${rule} ON ${table}`).join('; '),
    };
  if (secured)
    return {
      problem: 'row level security may hide its rows from this role',
      mend: `ALTER TABLE ${table} DISABLE ROW LEVEL SECURITY`,
    };
  if (children.length > 0)
    return {
      problem: `other tables inherit from it, whose rows are not read (${children.slice(0, 3).join(', ')})`,
      mend: children.map((child) => `ALTER TABLE ${child} NO INHERIT ${table}`).join('; '),
    };
  if (generated.length > 0)
    return {
      problem: `the server makes the values of its columns (${generated.join(', ')})`,
      mend: generated.map((column) => `ALTER TABLE ${table} ALTER ${column} DROP EXPRESSION`).join('; '),
    };
  if (needed.length > 0)
    return {
      problem: `its columns must have a value that is not there while work runs (${needed.join(', ')})`,
      mend: needed.map((column) => `ALTER TABLE ${table} ALTER ${column} DROP NOT NULL`).join('; '),
    };
  if (constraints.length > 0)
    return {
      problem: `it has constraints that initbox does not make (${constraints.slice(0, 3).join(', ')})`,
      mend: constraints.map((name) => `ALTER TABLE ${table} DROP CONSTRAINT ${name}`).join('; '),
    };
  if (uniques.length > 0)
    return { problem: 'more than its key must be unique in it', mend: uniques.join('; ') };
  return undefined;
}

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

/** States of a record of work that is to be done once. */
export const onceStates = ['running', 'done', 'failed'] as const;

export const migrationStates = [
  /** Runs, or ran and did not end: only outside a transaction can this be seen. */
  'running',
  'done',
  /** Another tool, or somebody, ran it before. */
  'baseline',
  /** It ran, and its file has been taken out of the directory since, which was accepted. */
  'retired',
] as const;

/** What a value must be that this program has written; with `?` it may be NULL. */
type Meaning =
  | 'text'
  | 'version'
  | 'time'
  | 'time?'
  /** NULL while the state is running, and a time after that. */
  | 'end'
  | 'token'
  /** Of a holder, after whom others come. */
  | 'last token'
  | 'duration?'
  | 'number'
  | 'number?'
  | 'milliseconds'
  | readonly string[];

const meanings: Readonly<Record<RecordsTable, Readonly<Record<string, Meaning>>>> = {
  locks: {
    token: 'last token',
    host: 'text',
    role: 'text',
    started: 'time',
    settle_ms: 'milliseconds',
    released: 'time?',
  },
  once: {
    state: onceStates,
    token: 'token',
    command_hash: 'text',
    host: 'text',
    started: 'time',
    finished: 'time?',
    exit_status: 'number?',
  },
  sql_migrations: {
    version: 'version',
    file: 'text',
    sha256: 'text',
    state: migrationStates,
    statements: 'number',
    finished: 'number',
    token: 'token',
    started_at: 'time',
    applied_at: 'end',
    duration_ms: 'duration?',
  },
};

/** The years from 1 to 9999, in seconds since 1970: beyond them nobody's clock is, and infinity is no time. */
const times = [-62_135_596_800, 253_402_300_800] as const;

/**
 * The largest token that leaves room for those after it (lock/token.ts makes none of its own above it). Who comes after it
 * adds one, and that is the last.
 */
const largestToken = (((1n << 15n) - 1n) << 48n) - 1n;

/** SQL that is true of a value that can be; it casts nothing that may not be cast. */
function canBe(alias: string, name: string, meaning: Meaning): string {
  const column = `${alias}.${name}`;
  const text = `${column}::pg_catalog.text`;
  const matches = (pattern: string): string => `${text} OPERATOR(pg_catalog.~) '${pattern}'`;
  switch (meaning) {
    case 'text':
      return `${column} IS NOT NULL`;
    case 'version': {
      // As version.ts spells it. No backslashes: a role may have standard_conforming_strings off.
      const number = '(0|[1-9][0-9]*)';
      return `(${matches('^R__.')} OR ${matches(`^${number}([.]${number})*$`)} AND NOT ${matches('[.]0$')})`;
    }
    case 'end':
    case 'time?':
    case 'time': {
      const epoch = `extract(epoch FROM ${column})::pg_catalog.float8`;
      const is = `${epoch} OPERATOR(pg_catalog.>=) (${times[0]})::pg_catalog.float8 AND ${epoch} OPERATOR(pg_catalog.<) ${times[1]}::pg_catalog.float8`;
      if (meaning === 'time') return is;
      const none =
        meaning === 'end'
          ? `${column} IS NULL AND ${alias}.state::pg_catalog.text OPERATOR(pg_catalog.=) 'running'`
          : `${column} IS NULL`;
      return `(${none} OR ${is})`;
    }
    case 'last token':
    case 'token': {
      const largest = meaning === 'token' ? largestToken + 1n : largestToken;
      return `(${matches('^[0-9]{1,19}$')} AND pg_catalog.lpad(${text}, 19, '0') COLLATE pg_catalog."C" OPERATOR(pg_catalog.<=) '${largest}' COLLATE pg_catalog."C")`;
    }
    case 'duration?':
      return `(${column} IS NULL OR ${matches('^[0-9]{1,15}$')})`;
    case 'number?':
      return `(${column} IS NULL OR ${matches('^-?[0-9]{1,9}$')})`;
    case 'number':
      return matches('^[0-9]{1,9}$');
    case 'milliseconds':
      // Of a grace of a hundred days. Too short a time tells of nothing, and is not used (held.ts).
      return matches('^-?[0-9]{1,10}$');
    default:
      return `${text} OPERATOR(pg_catalog.=) ANY (ARRAY[${meaning.map((each) => `'${each}'`).join(', ')}])`;
  }
}

/**
 * SQL that gives the name of the first column whose value this program cannot have written, a space, and the value; NULL
 * where there is none.
 * @param alias of the table
 */
export function oddValue(table: RecordsTable, alias: string): string {
  const cases = Object.entries(meanings[table]).map(([name, meaning]) => {
    const column = `${alias}.${name}`;
    return `WHEN NOT coalesce(${canBe(alias, name, meaning)}, false) THEN pg_catalog.concat('${name} ', coalesce(pg_catalog.left(${column}::pg_catalog.text, 100), 'NULL'))`;
  });
  return `CASE ${cases.join('\n    ')} END`;
}

/** What makes good a value that cannot be, in SQL. */
export function likelyValue(table: RecordsTable, column: string): string {
  const meaning = meanings[table][column];
  if (typeof meaning === 'object') return `'done'`;
  if (meaning === 'time' || meaning === 'time?' || meaning === 'end') return 'now()';
  if (meaning === 'version') return `'VERSION of its file'`;
  return meaning === 'text' ? `'unknown'` : '0';
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
