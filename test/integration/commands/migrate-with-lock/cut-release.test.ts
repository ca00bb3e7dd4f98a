import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

// The connection breaks as the lock is released: the work is over by then, and what is recorded is done.
import { describe, expect, test } from 'vitest';

import { startPostgres } from '../../../support/postgres.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { quick, startRelay, startReplica } from './contenders.ts';

function temporaryDirectoryOf(files: Record<string, string>): Disposable & { readonly path: string } {
  const { path, remove } = temporaryDirectory('cut');
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  return { path, [Symbol.dispose]: remove };
}

const releasing = /UPDATE ONLY initbox\.locks SET released/;
const unlocking = /pg_advisory_unlock/;

describe('the answer to the release never comes', () => {
  test.each([
    ['the release', releasing],
    ['the unlock', unlocking],
  ])('%s: work that is recorded as done is done', async (_, cut) => {
    await using postgres = await startPostgres();
    await using relay = await startRelay(postgres, cut);
    const args = [...quick, '--once', 'v1', '--', 'echo', 'ran'];
    const first = await (await startReplica(postgres, args, { url: relay.url })).exit;
    expect(first).toMatchObject({ status: 0, stdout: 'ran\n' });
    expect(first.stderr).toMatch(
      /connection broke as it was released; what was done is recorded|could not be released; it goes with its connection/,
    );
    expect(first.stderr).not.toContain('runs it again');
    expect(await (await startReplica(postgres, args)).exit).toMatchObject({ status: 0, stdout: '' });
  });

  test('the unlock: the session answered after the work had ended, so that it had the lock to that end', async () => {
    await using postgres = await startPostgres();
    await using relay = await startRelay(postgres, unlocking);
    const result = await (
      await startReplica(postgres, [...quick, '--', 'echo', 'ran'], { url: relay.url })
    ).exit;
    expect(result).toMatchObject({ status: 0, stdout: 'ran\n' });
    expect(result.stderr).toContain('the lock could not be released; it goes with its connection');
    expect(result.stderr).not.toContain('stopping the command');
  });

  test('the release, and nothing is recorded: nobody knows whether the lock was held to the end', async () => {
    await using postgres = await startPostgres();
    await using relay = await startRelay(postgres, releasing);
    const result = await (
      await startReplica(postgres, [...quick, '--', 'echo', 'ran'], { url: relay.url })
    ).exit;
    expect(result).toMatchObject({ status: 75, stdout: 'ran\n' });
    expect(result.stderr).not.toContain('stopp');
  });
});

/** The last word of `--once`, of a file in its transaction, and of one outside of it. */
const completing = /UPDATE ONLY initbox\.once SET state = \$2/;
const committing = /COMMIT\0/;
const completingOutside = /SET state = 'done', finished = statements/;

describe('the answer to the end of --once never comes', () => {
  const args = [...quick, '--once', 'v1', '--', 'echo', 'ran'];

  test.each([
    ['it is written, and the server is there', { again: true }, 0, /^/, ''],
    [
      'it is written, and nobody can ask',
      {},
      75,
      /the command is done, but whether its record was written is not known[\s\S]*where the record does not say that it is done, the next start/,
      '',
    ],
    [
      'it is not written, and the server is there',
      { again: true, dropped: true },
      75,
      /the command is done, but its record was not written[\s\S]*the next start runs the command again/,
      'ran\n',
    ],
  ])('%s', async (_what, how, status, words, next) => {
    await using postgres = await startPostgres();
    await using relay = await startRelay(postgres, completing, how);
    const first = await (await startReplica(postgres, args, { url: relay.url })).exit;
    expect(first, first.stderr).toMatchObject({ status, stdout: 'ran\n' });
    expect(first.stderr).toMatch(words);
    expect(first.stderr).not.toContain('stopp');
    expect(await (await startReplica(postgres, args)).exit).toMatchObject({ status: 0, stdout: next });
  });
});

describe('--sql', () => {
  const inside = { '1_a.sql': 'CREATE TABLE a ();' };
  const outside = { '1_a.sql': '-- initbox:no-transaction\nCREATE TABLE a ();' };
  const two = { ...inside, '2_b.sql': 'CREATE TABLE b ();' };
  const stays = /what is recorded as done is not run again; the next start goes on from there/;

  test.each<
    [string, Record<string, string>, RegExp, Parameters<typeof startRelay>[2], number, RegExp, number]
  >([
    ['the release', inside, releasing, {}, 0, /what was done is recorded/, 0],
    ['the unlock', inside, unlocking, {}, 0, /1_a\.sql ran in/, 0],
    ['the COMMIT came through, and is seen', inside, committing, { again: true }, 0, /1_a\.sql ran in/, 0],
    ['the same outside', outside, completingOutside, { again: true }, 0, /1_a\.sql ran in/, 0],
    [
      'the COMMIT came through, and another file is left',
      two,
      committing,
      { again: true },
      75,
      /1 of 2 migrations ran, the last of them 1_a\.sql\n.*1_a\.sql is done and recorded/,
      1,
    ],
    [
      'the COMMIT did not come through, and is seen',
      inside,
      committing,
      { again: true, dropped: true },
      75,
      /1_a\.sql was cut off and rolled back; nothing of it is left/,
      1,
    ],
    [
      'nobody can ask',
      inside,
      committing,
      {},
      75,
      /1_a\.sql was rolled back, unless its COMMIT came through; its record tells/,
      0,
    ],
    [
      'nobody can ask, outside',
      outside,
      completingOutside,
      {},
      75,
      /1_a\.sql ran to its end outside a transaction, and whether that is recorded is not known/,
      0,
    ],
  ])('%s', async (_what, files, cut, how, status, words, left) => {
    await using postgres = await startPostgres();
    using folder = temporaryDirectoryOf(files);
    await using relay = await startRelay(postgres, cut, how);
    const args = [...quick, '--sql', folder.path];
    const first = await (await startReplica(postgres, args, { url: relay.url })).exit;
    expect(first.status, first.stderr).toBe(status);
    expect(first.stderr).toMatch(words);
    if (status !== 0) expect(first.stderr).toMatch(stays);
    expect(first.stderr).not.toMatch(/runs it again|the command (?:is|was|had)/);
    const next = await (await startReplica(postgres, args)).exit;
    expect(next.status, next.stderr).toBe(0);
    expect(next.stderr).toContain(left === 0 ? 'nothing to migrate' : ' ran in ');
  });
});
