import { describe, expect, test } from 'vitest';
import { partsOf } from '../../../src/commands/migrate-with-lock/sql/markers.ts';

function up(text: string): [marking: string, up: string, transaction: false | undefined] {
  const parts = partsOf(text, 'x.sql');
  return [parts.marking, text.slice(parts.from, parts.to).trim(), parts.transaction];
}

describe('the part that migrates up', () => {
  test.each<[string, string, [string, string, false | undefined]]>([
    ['no marks', 'SELECT 1;', ['none', 'SELECT 1;', undefined]],
    ['dbmate', '-- head\n-- migrate:up\nUP\n-- migrate:down\nDOWN', ['dbmate', 'UP', undefined]],
    ['dbmate without down', '--migrate:up\nUP\n', ['dbmate', 'UP', undefined]],
    [
      'dbmate outside',
      '-- migrate:up transaction:false\r\nUP\r\n-- migrate:down\r\nDOWN',
      ['dbmate', 'UP', false],
    ],
    ['dbmate, said to be inside', '-- migrate:up transaction:true\nUP', ['dbmate', 'UP', undefined]],
    ['goose', '-- +goose Up\nUP\n-- +goose Down\nDOWN', ['goose', 'UP', undefined]],
    [
      'goose outside, in any case',
      '-- +goose no transaction\n-- +GOOSE UP\nUP\n-- +goose down',
      ['goose', 'UP', false],
    ],
    ['sql-migrate', '-- +migrate Up\nUP\n-- +migrate Down\nDOWN', ['sql-migrate', 'UP', undefined]],
    ['sql-migrate outside', '-- +migrate Up notransaction\nUP', ['sql-migrate', 'UP', false]],
    ['node-pg-migrate', '-- Up Migration\nUP\n-- Down Migration\nDOWN', ['node-pg-migrate', 'UP', undefined]],
    [
      'node-pg-migrate with dashes',
      '---- up migration ----\nUP\n--- down migration',
      ['node-pg-migrate', 'UP', undefined],
    ],
    [
      'node-pg-migrate with the second mark alone',
      'UP\n-- Down Migration\nDOWN',
      ['node-pg-migrate', 'UP', undefined],
    ],
    ['tern', 'UP\n---- create above / drop below ----\nDOWN', ['tern', 'UP', undefined]],
    ['tern outside', '---- tern: disable-tx ----\nUP', ['tern', '---- tern: disable-tx ----\nUP', false]],
    ['the own directive', '-- initbox:no-transaction\nUP', ['none', '-- initbox:no-transaction\nUP', false]],
    [
      'the own directive beside marks',
      '-- migrate:up\n-- initbox:no-transaction\nUP',
      ['dbmate', '-- initbox:no-transaction\nUP', false],
    ],
    [
      'words that are no mark',
      '-- scale down the pool\n-- undo log of orders\nSELECT 1; -- down',
      ['none', '-- scale down the pool\n-- undo log of orders\nSELECT 1; -- down', undefined],
    ],
  ])('%s', (_name, text, expected) => {
    expect(up(text)).toEqual(expected);
  });
});

describe('refused with the line', () => {
  test.each<[string, string, RegExp]>([
    ['dbmate without up', 'SELECT 1;\n-- migrate:down\nDOWN', /^x\.sql has marks, but no "-- migrate:up"/],
    ['two ups', '-- migrate:up\n-- migrate:up\n', /^x\.sql:2: a second "-- migrate:up"/],
    ['two downs', '-- +goose Up\n-- +goose Down\n-- +goose Down\n', /^x\.sql:3: a second/],
    [
      'down before up',
      '-- migrate:down\nDOWN\n-- migrate:up\nUP',
      /^x\.sql:1: "-- migrate:down" stands before/,
    ],
    [
      'SQL before up',
      '\nSELECT 1;\n-- +goose Up\n',
      /^x\.sql:2: SQL before "-- \+goose Up" belongs to no part/,
    ],
    ['an unknown mark of dbmate', '-- migrate:sideways\n', /^x\.sql:1: "-- migrate:sideways" is neither/],
    [
      'an unknown option of dbmate',
      '-- migrate:up transaction:maybe\n',
      /^x\.sql:1: "transaction:maybe" is not an option/,
    ],
    [
      'variables of goose',
      '-- +goose ENVSUB ON\n-- +goose Up\n',
      /^x\.sql:1: "-- \+goose ENVSUB ON" is not supported/,
    ],
    [
      'marks of two tools',
      '-- migrate:up\n-- +goose Up\n',
      /^x\.sql is marked for both dbmate \(line 1\) and goose \(line 2\)/,
    ],
    [
      'node-pg-migrate upside down',
      '-- Down Migration\n-- Up Migration\n',
      /^x\.sql:1: "-- Down Migration" stands before/,
    ],
    ['an unknown directive', '\n-- initbox:parallel\n', /^x\.sql:2: "-- initbox:parallel" is not known/],
    ['MyBatis', 'A\n-- //@UNDO\nB', /^x\.sql:2: this line looks like the start of a part that undoes/],
    ['a plain word', 'A\n-- DOWN\nB', /^x\.sql:2: this line/],
    ['a plain word with ornaments', 'A\n--- [ rollback ] ---\nB', /^x\.sql:2: this line/],
    ['Play', '# --- !Ups\nA\n\n# --- !Downs\nB', /^x\.sql:4: this line/],
  ])('%s', (_name, text, expected) => {
    expect(() => partsOf(text, 'x.sql')).toThrow(expected);
  });
});

// Were it read in steps that grow with what was read, this would take hours.
test('a load of data full of dashes is read once', () => {
  const text = `${'-- a comment\n'.repeat(200_000)}SELECT '${'--'.repeat(500_000)}';`;
  expect(up(text)[0]).toBe('none');
});
