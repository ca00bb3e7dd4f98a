// Servers that send what no Git sends: each is refused in one sentence, in little memory, and nothing is written.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { deflateSync } from 'node:zlib';

import { describe, expect, test } from 'vitest';

import { underStrace } from '../../../../support/faults.ts';
import {
  answering,
  commitOf,
  copies,
  hashDelta,
  headOf,
  objectOf,
  packAnswer,
  packed,
  packet,
  packOf,
  treeOf,
} from '../../../../support/git-pack.ts';
import { startGitServer } from '../../../../support/git-server.ts';
import { memoryFolders } from '../../../../support/memory-folders.ts';
import { limitMemory } from '../../../../support/memory-limit.ts';
import { runInitbox } from '../../../../support/program.ts';
import { requireOrSkip } from '../../../../support/tools.ts';
import { temporaryDirectory } from '../../../../support/undo.ts';

const folder = memoryFolders('64m');
const blob = objectOf('blob', 'x\n');

async function against(
  commit: string,
  answer: Uint8Array,
  more: readonly string[] = [],
  prefix: readonly string[] = [],
): Promise<{ status: number | null; stderr: string }> {
  await using server = await startGitServer({ instead: answering(commit, answer) });
  const to = folder();
  const result = await runInitbox(['fetch-config', `git+${server.url}/r.git`, '--to', to, ...more], {
    prefix,
  });
  if (result.status !== 0) expect(readdirSync(to).filter((name) => !name.startsWith('..'))).toEqual([]);
  return result;
}

/** A commit whose tree has these entries, each of which is a file. */
function withEntries(...entries: readonly string[]): { commit: string; answer: Buffer } {
  const tree = treeOf(entries.map((entry) => [entry, blob.hash]));
  const commit = commitOf(tree);
  return { commit: commit.hash, answer: packAnswer(packOf([commit, tree, blob].map(packed))) };
}

describe('names', () => {
  test('an honest tree of the same making is taken', async () => {
    const { commit, answer } = withEntries('100644 a', '100644 b');
    expect((await against(commit, answer)).status).toBe(0);
  });

  test.each([
    ['100644 ..', /an entry named ".."/],
    ['100644 .', /an entry named "."/],
    ['100644 .git', /an entry named ".git"/],
    ['100644 .GiT', /an entry named ".GiT"/],
    ['100644 git~1', /an entry named "git~1"/],
    ['100644 a/../../b', /an entry named "a\/..\/..\/b"/],
    ['100644 /etc/passwd', /an entry named "\/etc\/passwd"/],
    ['100644 ', /an entry named ""/],
    ['100644 ..data', /begins with ".."/],
    ['100644 ..initbox-archive.json', /begins with ".."/],
    [`100644 ${'n'.repeat(300)}`, /longer than 255 bytes/],
    ['20666 device', /an entry of an unsupported type/],
    ['40000 folder', /a folder is no tree/],
  ])('%s', async (entry, words) => {
    const { commit, answer } = withEntries(entry);
    const { status, stderr } = await against(commit, answer);
    expect(stderr).toMatch(words);
    expect(stderr).toContain('nothing was written');
    expect(status).toBe(69);
  });

  test.each([
    [['100644 a', '100644 a'], 'has two entries of the name "a"'],
    [['100644 a', '100644 A'], 'differ in nothing but capitals or the way to write an accent'],
  ])('%j', async (entries, words) => {
    const { commit, answer } = withEntries(...entries);
    const { status, stderr } = await against(commit, answer);
    expect(stderr).toContain(words);
    expect(status).toBe(69);
  });

  test.each(['/etc/passwd', '../../x', 'a/../../x'])('a link to %s', async (target) => {
    const link = objectOf('blob', target);
    const tree = treeOf([['120000 l', link.hash]]);
    const commit = commitOf(tree);
    const { status, stderr } = await against(
      commit.hash,
      packAnswer(packOf([commit, tree, link].map(packed))),
    );
    expect(stderr).toContain('has the link "l"');
    expect(status).toBe(69);
  });

  test('a file below a link of the same name', async () => {
    const link = objectOf('blob', 'elsewhere');
    const inner = treeOf([['100644 x', blob.hash]]);
    const tree = treeOf([
      ['120000 a', link.hash],
      ['40000 A', inner.hash],
    ]);
    const commit = commitOf(tree);
    const { status } = await against(
      commit.hash,
      packAnswer(packOf([commit, tree, inner, link, blob].map(packed))),
    );
    expect(status).toBe(69);
  });
});

describe('another commit than was asked for', () => {
  test('does not pass for it', async () => {
    const { answer } = withEntries('100644 a');
    const asked = '1'.repeat(40);
    await using server = await startGitServer({ instead: answering(asked, answer) });
    const { status, stderr } = await runInitbox([
      'fetch-config',
      `git+${server.url}/r.git#${asked}`,
      '--to',
      folder(),
    ]);
    expect(stderr).toContain(`is not whole: the object ${asked} did not come`);
    expect(status).toBe(69);
  });

  test('nor does a file that was changed', async () => {
    const tree = treeOf([['100644 a', blob.hash]]);
    const commit = commitOf(tree);
    const other = objectOf('blob', 'evil');
    const { status, stderr } = await against(
      commit.hash,
      packAnswer(packOf([commit, tree, other].map(packed))),
    );
    expect(stderr).toContain(`the object ${blob.hash} did not come`);
    expect(status).toBe(69);
  });
});

describe('sizes', () => {
  const bomb = objectOf('blob', Buffer.alloc(20 << 20));
  const tree = treeOf([['100644 a', bomb.hash]]);
  const commit = commitOf(tree);
  const one = packAnswer(packOf([commit, tree, bomb].map(packed)));

  test.each([
    [['--max-unpacked', '1Mi'], /unpacks to more than 1 MiB \(--max-unpacked\)/],
    [['--max-unpacked', '1Ki'], /the body has .*--max-unpacked/],
  ])('%j', async (more, words) => {
    const { status, stderr } = await against(commit.hash, one, more);
    expect(stderr).toMatch(words);
    expect(status).toBe(69);
  });

  test('more objects, and more entries, than allowed', async () => {
    const { commit: hash, answer } = withEntries(
      ...Array.from({ length: 50 }, (_, index) => `100644 f${index}`),
    );
    expect((await against(hash, answer, ['--max-entries', '49'])).stderr).toContain('(--max-entries)');
    expect((await against(hash, answer, ['--max-entries', '50'])).status).toBe(0);
    const blobs = Array.from({ length: 50 }, (_, index) => objectOf('blob', `${index}`));
    const { status, stderr } = await against(
      commit.hash,
      packAnswer(packOf([commit, tree, ...blobs].map(packed))),
      ['--max-entries', '10'],
    );
    expect(stderr).toContain('has 52 objects, more than 10 (--max-entries)');
    expect(status).toBe(69);
  });

  test('folders in folders, of which there are few and many more', async () => {
    const trees = [treeOf([['100644 f', blob.hash]])];
    for (let level = 0; level < 12; level++) {
      const { hash } = trees[0] as (typeof trees)[0];
      trees.unshift(treeOf(Array.from({ length: 10 }, (_, index) => [`40000 ${index}`, hash] as const)));
    }
    const top = commitOf(trees[0] as (typeof trees)[0]);
    const { status, stderr } = await against(
      top.hash,
      packAnswer(packOf([top, ...trees, blob].map(packed))),
      ['--max-entries', '2000'],
    );
    expect(stderr).toContain('has more than 2000 entries (--max-entries)');
    expect(status).toBe(69);
  });

  test('a folder in a folder, without end', async () => {
    const trees = [treeOf([['100644 f', blob.hash]])];
    for (let level = 0; level < 3000; level++)
      trees.unshift(treeOf([['40000 d', (trees[0] as (typeof trees)[0]).hash]]));
    const top = commitOf(trees[0] as (typeof trees)[0]);
    const { status, stderr } = await against(top.hash, packAnswer(packOf([top, ...trees, blob].map(packed))));
    expect(stderr).toContain('lies in more than 512 folders');
    expect(status).toBe(69);
  });

  test('folders of many names in each other: their lists are not all kept', async () => {
    const names = Array.from({ length: 3000 }, (_, index) => `100644 f${index}`);
    let inner = treeOf(names.map((name) => [name, blob.hash] as const));
    const trees = [inner];
    for (let level = 0; level < 40; level++) {
      const { hash } = inner;
      inner = treeOf([['40000 a', hash] as const, ...names.map((name) => [name, blob.hash] as const)]);
      trees.unshift(inner);
    }
    const top = commitOf(inner);
    const { status, stderr } = await against(
      top.hash,
      packAnswer(packOf([top, ...trees, blob].map(packed))),
      ['--max-entries', '20000'],
    );
    expect(stderr).toContain('has more than 20000 entries (--max-entries)');
    expect(status).toBe(69);
  });

  /** Each copies all of the one before many times over. */
  function deltaBomb(levels: number, times: number): Buffer {
    const small = objectOf('blob', 'x'.repeat(1000));
    const deltas: Buffer[] = [];
    let base = small;
    for (let level = 0; level < levels; level++) {
      deltas.push(hashDelta(base.hash, copies(base.bytes.length, times)));
      if (base.bytes.length * times > 100e6) break;
      base = objectOf('blob', Buffer.concat(Array.from({ length: times }, () => base.bytes)));
    }
    return packAnswer(packOf([packed(commit), packed(tree), packed(small), ...deltas]));
  }

  test('deltas that copy and copy', async () => {
    const { status, stderr } = await against(commit.hash, deltaBomb(4, 100));
    expect(stderr).toContain('has a delta of more than 32 MiB');
    expect(status).toBe(69);
    const less = await against(commit.hash, deltaBomb(2, 150), ['--max-unpacked', '10Mi']);
    expect(less.stderr).toContain('unpacks to more than 10 MiB');
    expect(less.status).toBe(69);
  });

  const documented = 128 << 20;
  using probed = limitMemory(documented);
  test.skipIf(requireOrSkip('memory of a fetch', probed === undefined ? 'no cgroup can be made' : undefined))(
    'a large file and many small ones within 128 MiB',
    async () => {
      const large = objectOf('blob', randomBytes(48 << 20));
      const files = Array.from({ length: 5000 }, (_, index) => objectOf('blob', `file ${index}`));
      const many = treeOf([
        ...files.map(({ hash }, index) => [`100644 f${index}`, hash] as const),
        ['100644 large', large.hash],
      ]);
      const top = commitOf(many);
      using limit = limitMemory(documented)!;
      const answer = packAnswer(packOf([top, many, large, ...files].map(packed)));
      await using server = await startGitServer({ instead: answering(top.hash, answer) });
      const { path } = temporaryDirectory('large');
      const { status, stderr } = await runInitbox(['fetch-config', `git+${server.url}/r.git`, '--to', path], {
        prefix: limit.prefix,
      });
      expect(stderr).toContain('has 5001 files');
      expect(status).toBe(0);
    },
  );
});

describe('what is no pack', () => {
  const tree = treeOf([['100644 a', blob.hash]]);
  const commit = commitOf(tree);
  const objects = [commit, tree, blob].map(packed);
  const pack = packOf(objects);
  const lying = Buffer.concat([headOf(3, 5), deflateSync(Buffer.from('much longer than it says'))]);

  test.each<readonly [string, Buffer, RegExp]>([
    ['text', Buffer.from('<html>'), /something that is not a packet/],
    ['a length of three', Buffer.from('0003'), /something that is not a packet/],
    ['a line of no meaning', packet('hello\n'), /something other than a pack/],
    [
      'an error',
      packet('ERR access denied \u0007or not exported'),
      /the server says \\?"access denied +or not exported"/,
    ],
    ['no pack', packAnswer(Buffer.alloc(0)), /checksum is wrong/],
    [
      'a wrong checksum',
      packAnswer(Buffer.concat([pack.subarray(0, -1), Buffer.from([0])])),
      /checksum is wrong/,
    ],
    [
      'another version',
      packAnswer(resummed(Buffer.concat([Buffer.from('PACK\0\0\0\x09'), pack.subarray(8, -20)]))),
      /not a pack of Git’s version 2/,
    ],
    ['fewer objects than it has', packAnswer(packOf(objects, 2)), /something after its last object/],
    ['more objects than it has', packAnswer(packOf(objects, 4)), /is damaged|truncated/],
    [
      'four thousand million objects',
      packAnswer(packOf(objects, 0xffffffff)),
      /more than 200000 \(--max-entries\)/,
    ],
    ['an object of another size', packAnswer(packOf([...objects, lying])), /another size than it says/],
    [
      'an object that claims 2^60 bytes',
      packAnswer(packOf([...objects, headOf(3, 2 ** 60)])),
      /no possible size|--max-unpacked/,
    ],
    [
      'broken zlib',
      packAnswer(packOf([...objects, Buffer.concat([headOf(3, 5), Buffer.alloc(20, 0x55)])])),
      /is damaged/,
    ],
    [
      'a delta of nothing',
      packAnswer(packOf([...objects, hashDelta('2'.repeat(40), copies(5, 1))])),
      /a delta of an object that is not in it/,
    ],
    [
      'a delta that is wrong',
      packAnswer(packOf([...objects, hashDelta(blob.hash, copies(5, 1))])),
      /a delta that is not valid/,
    ],
    [
      'something after the pack',
      Buffer.concat([packAnswer(pack), packet('\x01more')]),
      /something after the end of the pack/,
    ],
  ])('%s', async (_, answer, words) => {
    const { status, stderr } = await against(commit.hash, answer);
    expect(stderr).toMatch(words);
    expect(status).toBe(69);
  });

  test('a server that gives up in the middle is asked again, after pauses that grow', async () => {
    // Of each attempt two: for the branches, and for the pack.
    const asked: number[] = [];
    const broken = Buffer.concat([
      packet('packfile\n'),
      packet('\x03aborting due to possible repository corruption\n'),
    ]);
    await using server = await startGitServer({
      instead(request, response) {
        if (request.method === 'POST') asked.push(performance.now());
        return answering(commit.hash, asked.length > 4 ? packAnswer(pack) : broken)(request, response);
      },
    });
    const to = folder();
    const { status } = await runInitbox(['fetch-config', `git+${server.url}/r.git`, '--to', to]);
    expect(status).toBe(0);
    expect(existsSync(`${to}/a`)).toBe(true);
    expect(asked).toHaveLength(6);
    // A second, then half as much again, each up to an eighth less.
    const [, gaveUp = 0, again = 0, gaveUpAgain = 0, last = 0] = asked;
    expect(again - gaveUp).toBeGreaterThan(850);
    expect(last - gaveUpAgain).toBeGreaterThan(1275);
  });
});

describe('a refused tree', () => {
  test('of which the deadline cuts off the removal: what is left is named, and the next run removes it', async () => {
    const link = objectOf('blob', '/etc/passwd');
    const tree = treeOf([
      ...Array.from({ length: 400 }, (_, index) => [`100644 f${index}`, blob.hash] as const),
      ['120000 last', link.hash],
    ]);
    const commit = commitOf(tree);
    await using server = await startGitServer({
      instead: answering(commit.hash, packAnswer(packOf([commit, tree, blob, link].map(packed)))),
    });
    const to = folder();
    // Each removal takes so long that all of them take longer than the deadline leaves.
    const prefix = underStrace('trace=unlink', 'inject=unlink:delay_enter=150000');
    const args = ['fetch-config', `git+${server.url}/r.git`, '--to', to];
    const { status, stderr } = await runInitbox([...args, '--timeout', '12s'], { prefix, timeout: 120_000 });
    expect(stderr).toContain('has the link "last"');
    const [left = 'none'] = readdirSync(to);
    expect(stderr).toContain(
      `readers see nothing of it, but what was staged could not be removed in time: the next run removes ${to}/${left}`,
    );
    expect(stderr).not.toContain('nothing was written');
    expect(status).toBe(69);
    const next = await runInitbox(args);
    expect(next.stderr).toContain('nothing was written');
    expect(next.status).toBe(69);
    expect(readdirSync(to)).toEqual([]);
  });
});

/** With the sum that belongs to it. */
function resummed(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, createHash('sha1').update(bytes).digest()]);
}
