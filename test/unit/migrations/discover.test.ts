import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { readDirectory } from '../../../src/migrations/directory.ts';
import { discover } from '../../../src/migrations/discover.ts';
import { compareVersions, parseVersion } from '../../../src/migrations/version.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'initbox-unit-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function write(...names: string[]): void {
  for (const name of names) writeFileSync(join(folder, name), 'SELECT 1;');
}

test('a name that is not UTF-8 is named as Latin-1, not looked for under another', async () => {
  write('1_a.sql');
  writeFileSync(
    Buffer.concat([Buffer.from(`${folder}/2_`), Buffer.from('caf\u00e9.sql', 'latin1')]),
    'SELECT 1;',
  );
  await expect(discover(folder)).rejects.toThrow(
    `the directory ${folder} holds the name "2_caf\u00e9.sql" (as Latin-1), which is not UTF-8; rename the file`,
  );
});

describe('a plain file whose number is its own is never left out', () => {
  test.each<[string[]]>([
    [['001_log.sql', '004_undo_log.sql']],
    [['001_payment.sql', '002_down_payment.sql']],
    [['001_history.sql', '002_undo_history.sql']],
    [['001_segments.sql', '007_rollback_segments.sql']],
    [['001_price.sql', '002_revert_price.sql', '003_price.sql']],
    [['001_ext.sql', '002_uninstall_ext.sql']],
    [['001_count.sql', '003_counting_down.sql']],
    [['001_a.sql', '013_add_rollback.sql', '034_add_undo.sql', '035_b_down.sql']],
    [['20240101120000_a.sql', '20240101120001_enable_rollback.sql']],
    [['1_a.sql', '2_b.sql', '3-c-down.sql']],
    [['1-1.sql', '2-1.sql', '3-2.sql']],
    [['1-2.sql', '2-1-users.sql']],
  ])('it runs: %j', async (names) => {
    write(...names);
    const listing = await discover(folder);
    expect(listing.files.map(({ file }) => file)).toEqual(names);
    expect(listing.leftOut).toEqual([]);
  });

  test.each<[string[], string]>([
    [['001_scale.sql', '002_scale_down.sql'], '002_scale_down.sql'],
    [['001_count_up.sql', '003_count_down.sql'], '003_count_down.sql'],
    [['001_a_up.sql', '002_a_down.sql'], '002_a_down.sql'],
    [['3-b.sql', '4-b-rollback.sql'], '4-b-rollback.sql'],
    [['3-up-b.sql', '4-b-down.sql'], '4-b-down.sql'],
    [['1-a-up.sql', '2-a-down.sql'], '2-a-down.sql'],
    [['001_up.sql', '002_down.sql'], '002_down.sql'],
    [['5.c.sql', '6.undo.c.sql'], '6.undo.c.sql'],
    [['001_a.sql', '002.undo.b.sql'], '002.undo.b.sql'],
    [['001_a.sql', '0002.b.rollback.sql'], '0002.b.rollback.sql'],
    [['001_a.sql', '2_down.sql'], '2_down.sql'],
    // pg-migrator: from one version to another.
    [['1-2.sql', '2-1.sql'], '2-1.sql'],
    [['1-2.sql', '2-3.sql', '03-2.sql'], '03-2.sql'],
    [['9-10.sql', '10-9.sql'], '10-9.sql'],
    // The file that is left out for one of the same number does not stand for one of another.
    [['001_a.sql', '001_a_down.sql', '002_a_down.sql'], '002_a_down.sql'],
  ])('it is refused: %j', async (names, file) => {
    write(...names);
    await expect(discover(folder)).rejects.toMatchObject({
      name: 'UsageError',
      message: `${folder}: ${file} is named like a file that undoes a migration; if it migrates forward, rename it and keep its number; if it undoes one, move it to another directory`,
    });
  });
});

test.each<[string[], string]>([
  [['001_a.sql', '001_a_down.sql'], '001_a_down.sql'],
  [['001_a_up.sql', '1_a_down.sql'], '1_a_down.sql'],
  [['0002.do.a.sql', '0002.undo.a.sql'], '0002.undo.a.sql'],
  [['0007.d.sql', '0007.d.rollback.sql'], '0007.d.rollback.sql'],
  [['3-up.sql', '3-down.sql'], '3-down.sql'],
  [['001_a.sql', '001_undo_a.sql'], '001_undo_a.sql'],
])('a plain file that undoes the one of its number is left out, and named: %j', async (names, left) => {
  write(...names);
  const listing = await discover(folder);
  expect(listing.files.map(({ file }) => file)).toEqual(names.filter((name) => name !== left));
  expect(listing.leftOut).toEqual([left]);
});

describe('names', () => {
  test.each<[string, string[], string, string[]]>([
    [
      'golang-migrate',
      ['10_c.up.sql', '2_b.up.sql', '2_b.down.sql', '0001_a.up.sql', '7_gone.down.sql'],
      'golang-migrate',
      ['1 0001_a.up.sql', '2 2_b.up.sql', '10 10_c.up.sql'],
    ],
    [
      'numbers by value, not by text',
      ['9_a.sql', '10_b.sql', '20240101120000_c.sql', '100.sql'],
      'numbered',
      ['9 9_a.sql', '10 10_b.sql', '100 100.sql', '20240101120000 20240101120000_c.sql'],
    ],
    [
      'longer than any number',
      ['99999999999999999998_a.sql', '99999999999999999999_b.sql'],
      'numbered',
      ['99999999999999999998 99999999999999999998_a.sql', '99999999999999999999 99999999999999999999_b.sql'],
    ],
    [
      'other separators',
      ['001-a.sql', '002 b.sql', '003.c.sql', '4d.sql', '5.1_e.sql', '5.02.sql'],
      'numbered',
      ['1 001-a.sql', '2 002 b.sql', '3 003.c.sql', '4 4d.sql', '5.1 5.1_e.sql', '5.2 5.02.sql'],
    ],
    [
      'Flyway',
      ['V1.10__b.sql', 'V1.9__a.sql', 'V2_1__c.sql', 'R__z.sql', 'R__a b.sql', 'U1.9__a.sql', 'V3.sql'],
      'flyway',
      [
        '1.9 V1.9__a.sql',
        '1.10 V1.10__b.sql',
        '2.1 V2_1__c.sql',
        '3 V3.sql',
        'R__a b R__a b.sql',
        'R__z R__z.sql',
      ],
    ],
    [
      'other files beside',
      ['1_a.sql', 'README.md', '.hidden.sql', 'schema.json', 'run.sh'],
      'numbered',
      ['1 1_a.sql'],
    ],
  ])('%s', async (_name, names, naming, expected) => {
    write(...names);
    const listing = await discover(folder);
    expect(listing.naming).toBe(naming);
    expect(listing.files.map(({ key, file }) => `${key} ${file}`)).toEqual(expected);
  });

  test('a ConfigMap’s volume: links through a hidden folder', async () => {
    mkdirSync(join(folder, '..2026_11_22'));
    writeFileSync(join(folder, '..2026_11_22', '1_a.sql'), 'SELECT 1');
    symlinkSync('..2026_11_22', join(folder, '..data'));
    symlinkSync('..data/1_a.sql', join(folder, '1_a.sql'));
    expect((await discover(folder)).files.map(({ file }) => file)).toEqual(['1_a.sql']);
  });

  test('a folder without SQL beside the files, as Drizzle has it', async () => {
    write('0000_a.sql');
    mkdirSync(join(folder, 'meta'));
    writeFileSync(join(folder, 'meta', '_journal.json'), '{}');
    expect((await discover(folder)).files).toHaveLength(1);
  });
});

describe('refused, naming the files', () => {
  test.each<[string, string[], RegExp]>([
    ['one version twice', ['1_a.sql', '001_b.sql', '2_c.sql'], /001_b\.sql and 1_a\.sql are both version 1/],
    [
      'one version twice in Flyway',
      ['V1__a.sql', 'V1.0__b.sql'],
      /V1\.0__b\.sql and V1__a\.sql are both version 1/,
    ],
    [
      'a name without a version',
      ['1_a.sql', 'schema.sql'],
      /schema\.sql does not fit the names of numbered files such as 1_a\.sql/,
    ],
    [
      'no version at all',
      ['schema.sql', 'seed.sql'],
      /no name begins with a version \(schema\.sql, seed\.sql\).*accepted are/,
    ],
    [
      'golang-migrate and plain',
      ['1_a.up.sql', '2_b.sql'],
      /2_b\.sql does not fit the names of golang-migrate such as 1_a\.up\.sql/,
    ],
    [
      'Flyway and its callbacks',
      ['V1__a.sql', 'afterMigrate.sql', 'B2__base.sql'],
      /B2__base\.sql, afterMigrate\.sql do not fit the names of Flyway/,
    ],
    ['one underscore in Flyway', ['V1__a.sql', 'V2_b.sql'], /V2_b\.sql does not fit/],
    ['capitals in the ending', ['1_a.sql', '2_b.SQL'], /2_b\.SQL does not fit/],
    ['one version twice, whatever undoes', ['1_a.sql', '1_b_down.sql'], /are both version 1/],
    ['files that undo only', ['1_a.down.sql'], /only files that undo \(1_a\.down\.sql\)/],
    ['programs', ['00001_a.sql', '00002_b.go'], /programs \(00002_b\.go\); only their own tool/],
    ['JavaScript', ['1700000000000_a.js', '1700000000001_b.sql'], /programs \(1700000000000_a\.js\)/],
    ['nothing', [], /holds no migration: it is empty; accepted are/],
    ['no SQL', ['README.md'], /holds no migration, only README\.md/],
  ])('%s', async (_name, names, expected) => {
    write(...names);
    await expect(discover(folder)).rejects.toMatchObject({
      name: 'UsageError',
      message: expect.stringMatching(expected),
    });
  });

  test('folders with SQL in them', async () => {
    mkdirSync(join(folder, '20240101_init'));
    writeFileSync(join(folder, '20240101_init', 'migration.sql'), 'SELECT 1');
    await expect(discover(folder)).rejects.toThrow(/20240101_init\/migration\.sql lies in a folder below/);
  });

  test('what is no directory', async () => {
    write('1_a.sql');
    await expect(discover(join(folder, 'none'))).rejects.toThrow(/there is no directory .*none/);
    await expect(discover(join(folder, '1_a.sql'))).rejects.toThrow(
      /1_a\.sql is a file; --sql takes the directory/,
    );
  });

  test('a pipe in place of a file', async () => {
    execFileSync('mkfifo', [join(folder, '1_a.sql')]);
    await expect(discover(folder)).rejects.toThrow(/1_a\.sql is not a regular file/);
  });

  test('a link that leads nowhere', async () => {
    symlinkSync('nowhere', join(folder, '1_a.sql'));
    await expect(discover(folder)).rejects.toThrow(/1_a\.sql cannot be read \(ENOENT\)/);
  });
});

describe('the convention by the marks', () => {
  const read = () => readDirectory(folder, new AbortController().signal);

  test('one file without marks among marked ones', async () => {
    writeFileSync(join(folder, '1_a.sql'), '-- migrate:up\nSELECT 1');
    write('2_b.sql');
    await expect(read()).rejects.toThrow(/2_b\.sql has no marks, while 1_a\.sql is marked as dbmate has it/);
  });

  test('marks of two tools', async () => {
    writeFileSync(join(folder, '1_a.sql'), '-- migrate:up\nSELECT 1');
    writeFileSync(join(folder, '2_b.sql'), '-- +goose Up\nSELECT 1');
    await expect(read()).rejects.toThrow(/1_a\.sql is marked as dbmate has it, 2_b\.sql as goose has it/);
  });

  test('names of one tool, marks of another', async () => {
    writeFileSync(join(folder, 'V1__a.sql'), '-- migrate:up\nSELECT 1');
    await expect(read()).rejects.toThrow(/V1__a\.sql is named as flyway has it, but marked as dbmate has it/);
  });

  test('a Flyway placeholder, and a settings file that says it is none', async () => {
    writeFileSync(join(folder, 'V1__a.sql'), "SELECT 1;\nSELECT '${größe}';");
    await expect(read()).rejects.toThrow(/V1__a\.sql:2: Flyway would replace \$\{größe\}/);
    writeFileSync(join(folder, 'V1__a.sql.conf'), 'placeholderReplacement=false\r\n');
    expect((await read()).convention).toBe('flyway');
    writeFileSync(join(folder, 'V1__a.sql.conf'), 'encoding=latin1\n');
    await expect(read()).rejects.toThrow(/V1__a\.sql\.conf:1: "encoding=latin1" is not supported/);
  });

  test('the checksum is of what runs, whatever the line ends', async () => {
    const sums = [];
    for (const text of [
      '-- migrate:up\nA;\nB;\n-- migrate:down\nC',
      '\uFEFF-- migrate:up\r\nA;\r\nB;\r\n-- migrate:down\r\nD',
      '-- migrate:up\rA;\rB;\r-- migrate:down\r',
    ]) {
      writeFileSync(join(folder, '1_a.sql'), text);
      sums.push((await read()).files[0]?.sha256);
    }
    expect(new Set(sums).size).toBe(1);
    writeFileSync(join(folder, '1_a.sql'), '-- migrate:up\nA;\nB; \n');
    expect((await read()).files[0]?.sha256).not.toBe(sums[0]);
  });
});

test('versions compare part by part', () => {
  const order = ['0', '1', '1.0.1', '1.2', '1.10', '2', '010', '20240101000000', '99999999999999999999999'];
  const versions = order.map((text) => parseVersion(text)).filter((version) => version !== undefined);
  expect(
    versions
      .toReversed()
      .toSorted(compareVersions)
      .map(({ text }) => text),
  ).toEqual(order);
  expect(['1', '1.0', '01', '1_0_0'].map((text) => parseVersion(text)?.key)).toEqual(['1', '1', '1', '1']);
  expect(['', 'v1', '1.', '.1', '1..2', '-1', '1a'].map((text) => parseVersion(text))).toEqual(
    Array.from({ length: 7 }),
  );
});

test.each([
  '2_b.xml',
  '2-b.yaml',
  '2_b.yml',
  '002_b.json',
  '2_b.pgsql',
  '2_b.sql.txt',
  'V2__b.sql.gz',
  '2_b.sql ',
  '2_b.ddl',
  '2_b.plsql',
  '2_b.sql.j2',
  '2_b.sql.gpg',
  '2_b.sql.',
  '2_b.sqll',
  '2_b',
  '2_b.txt',
  '2_b.sqlx',
  '2_b.sql_',
  '2_b.sql,',
  '2_b.SQ1',
  '2_b.sql-old',
  '2_b.sqlite',
  '002b.psq',
  'V2',
  'R__view',
])('a numbered file in another form is named, not left out: %j', async (name) => {
  for (const file of ['1_a.sql', name]) writeFileSync(join(folder, file), 'SELECT 1;');
  await expect(discover(folder)).rejects.toThrow(`numbered files that are not .sql (${name})`);
});

test.each([
  '2_b.sql~',
  '2_b.sql.bak',
  '2_b.sql.orig',
  '1_a.sql.sha256',
  '2_notes.md',
  '2_b.png',
  '2_seed.csv',
  '1_a.conf',
])('what is no migration by any tool is none: %j', async (name) => {
  for (const file of ['1_a.sql', name]) writeFileSync(join(folder, file), 'SELECT 1;');
  expect((await discover(folder)).files.map(({ file }) => file)).toEqual(['1_a.sql']);
});
