// What somebody else who may write to the volume can have put there before, or puts there meanwhile.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { attackSeconds } from '../../../support/attack.ts';
import { canMount, mountTmpfs, type Mounted } from '../../../support/faults.ts';
import { runInitbox, runToDeadline } from '../../../support/program.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { quote, temporaryDirectory, undoAtDeath } from '../../../support/undo.ts';
import { respond, startFaultServer, type Behaviour } from '../../commands/fetch-config/fault-server.ts';
import { contents, leftovers } from './drive.ts';

const skip = requireOrSkip('what others plant on a volume', canMount());

/** Seconds of exchanges under runs: short while developing, what is promised where everything must hold. */

/** Who else may write to the volume. */
const other = 4321;

const body = 'setting: 1\n';
const sumOf = (text: string): string => createHash('sha256').update(text).digest('hex');

describe.skipIf(skip)('on a volume that others write to', () => {
  let mounted: Mounted;
  let disk: ReturnType<typeof temporaryDirectory>;
  let template: string;
  let archive: string;
  let values: string;
  let volume: string;
  let elsewhere: string;

  beforeAll(() => {
    mounted = mountTmpfs({ size: '32m' });
    disk = temporaryDirectory('planted');
    template = join(disk.path, 'template');
    writeFileSync(template, body);
    mkdirSync(join(disk.path, 'archived'));
    writeFileSync(join(disk.path, 'archived', 'app'), 'the program');
    archive = join(disk.path, 'site.tar');
    values = join(disk.path, 'values.json');
    writeFileSync(values, '{"app":"the value"}');
    execFileSync('tar', ['-cf', archive, '-C', join(disk.path, 'archived'), 'app']);
  });
  afterAll(() => {
    mounted.remove();
    disk.remove();
  });
  beforeEach(() => {
    volume = mkdtempSync(join(mounted.path, 'volume-'));
    chmodSync(volume, 0o777);
    elsewhere = mkdtempSync(join(disk.path, 'elsewhere-'));
    chmodSync(elsewhere, 0o755);
  });

  /** As the other one makes it. */
  function plantLink(target: string, name: string): void {
    symlinkSync(target, join(volume, name));
    execFileSync('chown', ['-h', `${other}:${other}`, join(volume, name)]);
  }

  function plantFile(name: string, content: string, mode = 0o444): void {
    writeFileSync(join(volume, name), content);
    chmodSync(join(volume, name), mode);
    chownSync(join(volume, name), other, other);
  }

  describe('a link in the parents of a target', () => {
    const writers: readonly (readonly [string, (conf: string) => string[]])[] = [
      ['fetch-config', (conf) => ['fetch-config', `file:${template}`, '--to', `${conf}/f`]],
      ['fetch-config, deeper', (conf) => ['fetch-config', `file:${template}`, '--to', `${conf}/sub/f`]],
      [
        'fetch-config --format files',
        (conf) => ['fetch-config', 'env:PLANTED_*', '--allow-disk', '--format', 'files', '--to', conf],
      ],
      ['fetch-config --unpack', (conf) => ['fetch-config', `file:${archive}`, '--unpack', '--to', conf]],
      ['render, a file', (conf) => ['render', template, '--to', `${conf}/f`]],
      ['render, a folder', (conf) => ['render', template, '--to', `${conf}/`]],
      [
        'fetch-config --spec',
        (conf) => {
          const spec = join(disk.path, 'spec.yaml');
          const parts = ['a', 'b'].map((name) => `  - path: ${name}\n    from: file:${template}\n`);
          writeFileSync(spec, `to: ${conf}\nfiles:\n${parts.join('')}`);
          return ['fetch-config', '--spec', spec];
        },
      ],
    ];

    test.each(writers)('%s: refused, with the link and its target', async (_, args) => {
      plantLink(elsewhere, 'conf');
      mkdirSync(join(elsewhere, 'sub'));
      const result = await runInitbox(args(`${volume}/conf`), { env: { PLANTED_A: 'x', PLANTED_B: 'y' } });
      expect(result.stderr).toContain(`${volume}/conf is a symbolic link to "${elsewhere}"`);
      expect(result.stderr).toContain('write the real path, without links');
      expect(result.status).toBe(2);
      expect(readdirSync(elsewhere)).toEqual(['sub']);
      expect(readdirSync(join(elsewhere, 'sub'))).toEqual([]);
    });

    test('one of several outputs: nothing is written to the others', async () => {
      plantLink(elsewhere, 'conf');
      mkdirSync(join(volume, 'good'));
      const spec = join(disk.path, 'several.yaml');
      const paths = [`${volume}/good/a`, `${volume}/conf/b`];
      const parts = paths.map((path) => `  - path: ${path}\n    from: file:${template}\n`);
      writeFileSync(spec, `files:\n${parts.join('')}`);
      const { status, stderr } = await runInitbox(['fetch-config', '--spec', spec]);
      expect(stderr).toContain(`${volume}/conf is a symbolic link`);
      expect(status).toBe(2);
      expect(readdirSync(join(volume, 'good'))).toEqual([]);
      expect(readdirSync(elsewhere)).toEqual([]);
    });

    test('nothing is fetched', async () => {
      plantLink(elsewhere, 'conf');
      await using server = await startFaultServer({ '/f': respond(200, body) });
      const { status } = await runInitbox(['fetch-config', `${server.url}/f`, '--to', `${volume}/conf/f`]);
      expect(status).toBe(2);
      expect(server.requests).toEqual([]);
      expect(readdirSync(elsewhere)).toEqual([]);
    });

    test("a link of root's own is refused too: whoever had the volume before may have been root", async () => {
      symlinkSync(elsewhere, join(volume, 'conf'));
      chmodSync(volume, 0o755);
      expect((await runInitbox(['render', template, '--to', `${volume}/conf/f`])).status).toBe(2);
      expect(readdirSync(elsewhere)).toEqual([]);
    });

    test('a user without capabilities is not led elsewhere either', async () => {
      chmodSync(elsewhere, 0o777);
      symlinkSync(elsewhere, join(volume, 'conf'));
      const user = { uid: 65532, gid: 65532 };
      const { status, stderr } = await runInitbox(['render', template, '--to', `${volume}/conf/f`], { user });
      expect(stderr).toContain(`${volume}/conf is a symbolic link`);
      expect(status).toBe(2);
      expect(readdirSync(elsewhere)).toEqual([]);
    });

    test('in a folder of the root file system that others write to as well', async () => {
      const shared = mkdtempSync(join(disk.path, 'shared-'));
      chmodSync(shared, 0o777);
      symlinkSync(elsewhere, join(shared, 'conf'));
      expect((await runInitbox(['render', template, '--to', `${shared}/conf/f`])).status).toBe(2);
      expect(readdirSync(elsewhere)).toEqual([]);
    });
  });

  describe("the image's own links", () => {
    test('are followed: /var/run', async () => {
      const folder = mkdtempSync('/run/initbox-test-');
      const undo = undoAtDeath(`rm -rf ${quote(folder)}`);
      try {
        const to = `/var${folder}`;
        expect(lstatSync('/var/run').isSymbolicLink()).toBe(true);
        const { status, stderr } = await runInitbox(['render', template, '--to', `${to}/f`]);
        expect(stderr).toContain('1 file written');
        expect(status).toBe(0);
        expect(readFileSync(join(folder, 'f'), 'utf8')).toBe(body);

        const spec = join(disk.path, 'twice.yaml');
        const parts = [`${folder}/a`, `${to}/b`].map((path) => `  - path: ${path}\n    from: env:HOME\n`);
        writeFileSync(spec, `files:\n${parts.join('')}`);
        const twice = await runInitbox(['fetch-config', '--spec', spec, '--allow-disk']);
        expect(twice.stderr).toContain(`${to} is the same folder as ${folder}`);
        expect(twice.status).toBe(2);
      } finally {
        rmSync(folder, { recursive: true });
        undo.forget();
      }
    });

    test('are followed, one behind another, up and down and onto a volume', async () => {
      const image = mkdtempSync('/opt/initbox-test-');
      const undo = undoAtDeath(`rm -rf ${quote(image)}`);
      try {
        chmodSync(image, 0o755);
        mkdirSync(join(image, 'etc'));
        mkdirSync(join(image, 'opt'));
        symlinkSync('../opt/./app', join(image, 'etc', 'app'));
        symlinkSync(volume, join(image, 'opt', 'app'));
        mkdirSync(join(volume, 'conf.d'));
        for (const [to, at] of [
          [`${image}/etc/app/f`, 'f'],
          [`${image}/etc/app/conf.d/f`, 'conf.d/f'],
        ] as const) {
          const { status, stderr } = await runInitbox(['render', template, '--to', to]);
          expect(stderr).toContain('1 file written');
          expect(status).toBe(0);
          expect(readFileSync(join(volume, at), 'utf8')).toBe(body);
        }
        // Behind them begins what others may write to.
        plantLink(elsewhere, 'led');
        const led = await runInitbox(['render', template, '--to', `${image}/etc/app/led/f`]);
        expect(led.stderr).toContain(`${volume}/led is a symbolic link to "${elsewhere}"`);
        expect(led.status).toBe(2);
        symlinkSync('loop', join(image, 'loop'));
        const loop = await runInitbox(['render', template, '--to', `${image}/loop/f`]);
        expect(loop.stderr).toContain('(ELOOP)');
        expect(loop.status).toBe(2);
      } finally {
        rmSync(image, { recursive: true });
        undo.forget();
      }
    });

    test('a parent that may be entered and not read is no obstacle', async () => {
      const image = mkdtempSync(join(volume, 'closed-'));
      mkdirSync(join(image, 'open'));
      chmodSync(join(image, 'open'), 0o777);
      chmodSync(image, 0o711);
      const user = { uid: 65532, gid: 65532 };
      const { status } = await runInitbox(['render', template, '--to', `${image}/open/f`], { user });
      expect(status).toBe(0);
    });
  });

  test(
    `a parent that is exchanged for a link for ${attackSeconds} s: a secret reaches no disk`,
    async () => {
      mkdirSync(join(volume, 'conf'));
      mkdirSync(join(elsewhere, 'conf'));
      plantLink(elsewhere, 'link');
      const exchanger = spawn(
        'python3',
        [join(import.meta.dirname, 'exchanger.py'), join(volume, 'conf'), join(volume, 'link')],
        { stdio: ['pipe', 'pipe', 'inherit'] },
      );
      let said = '';
      exchanger.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
      const ended = new Promise((resolve) => exchanger.once('close', resolve));
      while (!said.includes('ready')) await new Promise((resolve) => setTimeout(resolve, 20));
      const statuses = new Set<number | null>();
      const until = performance.now() + attackSeconds * 1000;
      try {
        for (let round = 0; performance.now() < until || round < 12; round++) {
          const to = round % 2 === 0 ? [`${volume}/conf/f`] : [`${volume}/conf/`];
          const templates = round % 2 === 0 ? [template] : [template, join(disk.path, 'archived/app')];
          const result = await runInitbox(['render', ...templates, '--secret', '--to', ...to]);
          statuses.add(result.status);
          expect([0, 1, 2], result.stderr).toContain(result.status);
          expect(result.stderr).not.toContain('not foreseen');
          expect(readdirSync(elsewhere)).toEqual(['conf']);
        }
      } finally {
        exchanger.stdin.end('stop\n');
        await ended;
      }
      expect(statuses).toContain(2);
      expect(Number(said.trim().split('\n').at(-1))).toBeGreaterThan(100);
      expect(readdirSync(join(elsewhere, 'conf'))).toEqual([]);
    },
    attackSeconds * 1000 + 60_000,
  );

  describe('--etag-file', () => {
    const answer: Behaviour = (socket, request) => {
      const known = /if-none-match: "v1"/i.test(request);
      (known ? respond(304, '', { ETag: '"v1"' }) : respond(200, body, { ETag: '"v1"' }))(socket, request);
    };
    /** What the program keeps of one body, as anybody can make it. */
    const kept = (url: string, text: string, etag = '"v1"'): string =>
      JSON.stringify({ source: sumOf(url), etag, sha256: sumOf(text) });

    async function fetchIt(names: { to?: string; etag?: string } = {}) {
      await using server = await startFaultServer({ '/f': answer });
      const run = async () => {
        const result = await runInitbox([
          'fetch-config',
          `${server.url}/f`,
          '--to',
          join(volume, names.to ?? 'f'),
          '--etag-file',
          join(volume, names.etag ?? 'etag'),
          '--timeout',
          '10s',
        ]);
        const asked = server.requests.map(({ headers }) =>
          headers.find((header) => header.startsWith('if-none-match')),
        );
        return { ...result, asked };
      };
      return { ...(await run()), url: `${server.url}/f` };
    }

    /** The same server for what is planted, which must know its address, and the run. */
    async function planted(plant: (url: string) => void) {
      await using server = await startFaultServer({ '/f': answer });
      plant(`${server.url}/f`);
      const args = [
        'fetch-config',
        `${server.url}/f`,
        '--to',
        `${volume}/f`,
        '--etag-file',
        `${volume}/etag`,
      ];
      const result = await runInitbox([...args, '--timeout', '10s']);
      const asked = server.requests.map(({ headers }) =>
        headers.find((header) => header.startsWith('if-none-match')),
      );
      return { ...result, asked };
    }

    test.each(['etag.tmp', 'etag'])('a link planted as %s: nothing is written through it', async (name) => {
      const victim = join(elsewhere, 'victim');
      writeFileSync(victim, 'precious', { mode: 0o600 });
      plantLink(victim, name);
      const { status } = await fetchIt();
      expect(status).toBe(0);
      expect(readFileSync(victim, 'utf8')).toBe('precious');
      expect(lstatSync(join(volume, 'etag')).isFile()).toBe(true);
      expect(lstatSync(join(volume, 'etag')).uid).toBe(0);
    });

    test.each<[string, (path: string) => void]>([
      ['a hard link', (path) => linkSync(join(volume, 'victim'), path)],
      ['a FIFO', (path) => execFileSync('mkfifo', [path])],
      ['a folder', (path) => mkdirSync(path)],
    ])('%s planted as etag.tmp is neither used nor touched', async (_, plant) => {
      writeFileSync(join(volume, 'victim'), 'precious');
      plant(join(volume, 'etag.tmp'));
      const before = lstatSync(join(volume, 'etag.tmp')).ino;
      const { status } = await fetchIt();
      expect(status).toBe(0);
      expect(readFileSync(join(volume, 'victim'), 'utf8')).toBe('precious');
      expect(lstatSync(join(volume, 'etag')).isFile()).toBe(true);
      expect(lstatSync(join(volume, 'etag.tmp')).ino).toBe(before);
    });

    test('a link in its parents: refused, and nothing is fetched', async () => {
      plantLink(elsewhere, 'conf');
      const { status, stderr, asked } = await fetchIt({ etag: 'conf/etag' });
      expect(stderr).toContain(`${volume}/conf is a symbolic link to "${elsewhere}"`);
      expect(status).toBe(2);
      expect(asked).toEqual([]);
      expect(readdirSync(elsewhere)).toEqual([]);
      expect(existsSync(join(volume, 'f'))).toBe(false);
    });

    test('what a link or another name of a file holds is not sent to a server', async () => {
      for (const plant of [
        (victim: string) => plantLink(victim, 'etag'),
        (victim: string) => {
          writeFileSync(join(volume, 'victim'), readFileSync(victim));
          linkSync(join(volume, 'victim'), join(volume, 'etag'));
        },
      ]) {
        rmSync(join(volume, 'etag'), { force: true });
        const { status, asked } = await planted((url) => {
          const victim = join(elsewhere, 'victim');
          writeFileSync(victim, kept(url, body, '"of-another"'), { mode: 0o600 });
          writeFileSync(join(volume, 'f'), body);
          plant(victim);
        });
        expect(status).toBe(0);
        expect(asked).toEqual([undefined]);
      }
    });

    test('a body and an ETag that another user put there are not taken for fetched', async () => {
      const { status, asked } = await planted((url) => {
        plantFile('f', 'evil');
        plantFile('etag', kept(url, 'evil'));
      });
      expect(status).toBe(0);
      expect(asked).toEqual([undefined]);
      expect(readFileSync(join(volume, 'f'), 'utf8')).toBe(body);
      expect(statSync(join(volume, 'f')).uid).toBe(0);
    });

    test('nor are those that a group could have changed', async () => {
      const { status, asked } = await planted((url) => {
        writeFileSync(join(volume, 'f'), 'evil', { mode: 0o444 });
        writeFileSync(join(volume, 'etag'), kept(url, 'evil'));
        chownSync(join(volume, 'etag'), 0, other);
        chmodSync(join(volume, 'etag'), 0o664);
      });
      expect(status).toBe(0);
      expect(asked).toEqual([undefined]);
      expect(readFileSync(join(volume, 'f'), 'utf8')).toBe(body);
    });

    test('a FIFO in its place does not hold up the run', async () => {
      execFileSync('mkfifo', [join(volume, 'etag')]);
      const { status, stderr } = await fetchIt();
      expect(status, stderr).toBe(2);
      expect(stderr).toContain(`${volume}/etag: it is there already, and no file`);
    });
  });

  describe('the termination log', () => {
    const waitFor = (log: string) =>
      runToDeadline(['wait-tcp', '127.0.0.1:1', '--timeout', '100ms', '--termination-log', log]);

    test.each<[string, (victim: string) => string]>([
      [
        'a link',
        (victim) => {
          plantLink(victim, 'log');
          return join(volume, 'log');
        },
      ],
      [
        'a link in the parents',
        () => {
          plantLink(elsewhere, 'conf');
          return join(volume, 'conf', 'victim');
        },
      ],
      [
        'another name of a file',
        () => {
          linkSync(join(elsewhere, 'victim'), join(elsewhere, 'log'));
          return join(elsewhere, 'log');
        },
      ],
    ])('%s: nothing is emptied or written there', async (_, plant) => {
      const victim = join(elsewhere, 'victim');
      writeFileSync(victim, 'precious');
      const { status } = await waitFor(plant(victim));
      expect(status).toBe(124);
      expect(readFileSync(victim, 'utf8')).toBe('precious');
    });
  });

  test.each<[string, (victim: string) => void]>([
    ['a hard link', (victim) => linkSync(victim, join(volume, 'f'))],
    ['a link', (victim) => plantLink(victim, 'f')],
  ])('%s in the place of the target is replaced, and not written through', async (_, plant) => {
    const victim = join(volume, 'victim');
    writeFileSync(victim, 'precious', { mode: 0o600 });
    plant(victim);
    const { status } = await runInitbox(['render', template, '--to', `${volume}/f`]);
    expect(status).toBe(0);
    expect(readFileSync(join(volume, 'f'), 'utf8')).toBe(body);
    expect(readFileSync(victim, 'utf8')).toBe('precious');
    expect(statSync(victim).mode & 0o7777).toBe(0o600);
  });

  test('a mount that appears while a secret is fetched: it reaches no disk', async () => {
    const to = join(volume, 'conf');
    mkdirSync(to);
    const undo = undoAtDeath(`umount -l ${quote(to)}`);
    try {
      const answer: Behaviour = (socket, request) => {
        execFileSync('mount', ['--bind', elsewhere, to]);
        respond(200, body)(socket, request);
      };
      await using server = await startFaultServer({ '/f': answer });
      const headers = join(disk.path, 'headers');
      writeFileSync(headers, 'Authorization: Bearer abcdefgh\n', { mode: 0o600 });
      const args = ['fetch-config', `${server.url}/f`, '--header-file', headers, '--to', `${to}/f`];
      const { status, stderr } = await runInitbox(args);
      expect(stderr).toContain(`it is a secret, and ${to} is not in memory`);
      expect(status).toBe(2);
      expect(readdirSync(elsewhere)).toEqual([]);
    } finally {
      execFileSync('umount', ['-l', to]);
      undo.forget();
    }
  });

  describe('a file that is right already', () => {
    test('and belongs to another user is made anew: its owner could change it later', async () => {
      plantFile('f', body);
      const { status } = await runInitbox(['render', template, '--to', `${volume}/f`]);
      expect(status).toBe(0);
      expect(lstatSync(join(volume, 'f')).uid).toBe(0);
    });

    test('an unpacked tree with the right note, which another user made, is made anew', async () => {
      const note = { sha256: sumOf(readFileSync(archive, 'latin1')), strip: 0, mode: null, owner: null };
      const generation = '..initbox_20260101T000000Z_x_y';
      mkdirSync(join(volume, generation));
      plantFile(`${generation}/..initbox-archive.json`, JSON.stringify({ ...note, files: 1 }));
      plantFile(`${generation}/app`, 'evil');
      const sets = { 'fetch-config --unpack': ['app'] };
      plantFile(`${generation}/..initbox.json`, JSON.stringify({ sets }));
      chownSync(join(volume, generation), other, other);
      plantLink(generation, '..data');
      plantLink('..data/app', 'app');
      const args = ['fetch-config', `file:${archive}`, '--unpack', '--sha256', note.sha256, '--to', volume];
      const { status, stderr } = await runInitbox(args);
      expect(status, stderr).toBe(0);
      expect(contents(volume)).toEqual({ app: 'the program' });
      // What is not root's own may have root's folders in it: it is left to its owner.
      expect(leftovers(volume)).toEqual([generation]);
    });
  });

  describe('what a group may write to is not taken for right, as fsGroup leaves it', () => {
    /** What readers see, made so that a group may write to it; a member of it puts another file there. */
    function exchangeAsGroup(name: string): string {
      const generation = readlinkSync(join(volume, '..data'));
      const file = join(volume, generation, name);
      const { mode, mtime } = statSync(file);
      chownSync(join(volume, generation), 0, other);
      chmodSync(join(volume, generation), 0o2775);
      const text = readFileSync(file, 'utf8');
      rmSync(file);
      writeFileSync(file, 'x'.repeat(text.length));
      chmodSync(file, mode);
      utimesSync(file, mtime, mtime);
      return generation;
    }

    test('--unpack makes the tree anew', async () => {
      const sum = sumOf(readFileSync(archive, 'latin1'));
      const args = ['fetch-config', `file:${archive}`, '--unpack', '--sha256', sum, '--to', volume];
      expect(await runInitbox(args)).toMatchObject({ status: 0 });
      exchangeAsGroup('app');
      const { status, stderr } = await runInitbox(args);
      expect(status, stderr).toBe(0);
      expect(contents(volume)).toEqual({ app: 'the program' });
      expect(statSync(join(volume, readlinkSync(join(volume, '..data')))).mode & 0o777).toBe(0o755);
      expect(leftovers(volume)).toEqual([]);
    });

    test('--format files writes anew, and keeps what another run has there', async () => {
      const sum = sumOf(readFileSync(archive, 'latin1'));
      const unpack = ['fetch-config', `file:${archive}`, '--unpack', '--sha256', sum, '--to', volume];
      expect(await runInitbox(unpack)).toMatchObject({ status: 0 });
      const args = ['render', template, values, '--to', `${volume}/`];
      expect(await runInitbox(args)).toMatchObject({ status: 0 });
      const generation = readlinkSync(join(volume, '..data'));
      chownSync(join(volume, generation), 0, other);
      chmodSync(join(volume, generation), 0o2775);
      const { status, stderr } = await runInitbox(args);
      expect(status, stderr).toBe(0);
      expect(readlinkSync(join(volume, '..data'))).not.toBe(generation);
      expect(Object.keys(contents(volume))).toContain('app');
      expect(stderr).not.toContain('no longer shown');
    });
  });

  describe('what another publication has there', () => {
    /** A generation with a file of another publication, and what readers see of it. */
    function plantGeneration(name: string): void {
      mkdirSync(join(volume, name));
      plantFile(`${name}/planted`, 'evil', 0o644);
      plantFile(`${name}/..initbox.json`, JSON.stringify({ sets: { 'another run': ['planted'] } }));
      plantLink(name, '..data');
      plantLink('..data/planted', 'planted');
    }

    const generation = '..initbox_20260101T000000Z_x_y';
    const runs: readonly [string, () => string[]][] = [
      ['--unpack', () => ['fetch-config', `file:${archive}`, '--unpack', '--to', volume]],
      [
        '--format files',
        () => ['fetch-config', `file:${values}`, '--to', volume, '--format', 'files', '--allow-disk'],
      ],
      ['copy --atomic', () => ['copy', join(disk.path, 'archived'), volume, '--atomic']],
    ];

    test.each(runs)('is not taken over from a generation of another user: %s', async (_, args) => {
      plantGeneration(generation);
      chownSync(join(volume, generation), other, other);
      const { status, stderr } = await runInitbox(args());
      expect(status, stderr).toBe(0);
      expect(Object.keys(contents(volume))).toEqual(['app']);
      expect(stderr).toContain(`${volume}/${generation}`);
      expect(stderr).toMatch(/not taken over.*no longer shown/);
      expect(readdirSync(join(volume, generation))).toContain('planted');
    });

    test("is not taken over where everybody may write to the generation, or where the note is another user's", async () => {
      for (const open of [true, false]) {
        const name = `${generation}${open ? 'open' : 'note'}`;
        plantGeneration(name);
        if (open) {
          chownSync(join(volume, name, '..initbox.json'), 0, 0);
          chmodSync(join(volume, name), 0o777);
        }
        const { status, stderr } = await runInitbox([
          'copy',
          join(disk.path, 'archived'),
          volume,
          '--atomic',
        ]);
        expect(status, stderr).toBe(0);
        expect(Object.keys(contents(volume))).toEqual(['app']);
        rmSync(join(volume, '..data'));
      }
    });

    test("is kept where root's run made it", async () => {
      for (const [, args] of runs.slice(0, 2)) {
        const { status, stderr } = await runInitbox(args());
        expect(status, stderr).toBe(0);
        expect(stderr).not.toContain('not taken over');
      }
    });
  });

  test('what another user put into a note of whose files are whose does not lead out of the volume', async () => {
    const generation = '..initbox_20260101T000000Z_x_y';
    mkdirSync(join(volume, generation));
    const sets = { other: ['../f', '/etc/f', '.', '..data', ''] };
    plantFile(`${generation}/..initbox.json`, JSON.stringify({ sets }));
    chownSync(join(volume, generation), other, other);
    plantLink(generation, '..data');
    const args = ['render', template, join(disk.path, 'archived/app'), '--to', `${volume}/`];
    const { status, stderr } = await runInitbox(args);
    expect(status, stderr).toBe(0);
    expect(contents(volume)).toEqual({ template: body, app: 'the program' });
  });

  test("a folder of root's that was renamed to look left over is not removed", async () => {
    const name = '..initbox_20200101T000000Z_x_y';
    mkdirSync(join(volume, name), { mode: 0o700 });
    writeFileSync(join(volume, name, 'precious'), 'of root');
    utimesSync(join(volume, name), 1, 1);
    const { status } = await runInitbox(['render', template, '--to', `${volume}/f`]);
    expect(status).toBe(0);
    expect(readFileSync(join(volume, name, 'precious'), 'utf8')).toBe('of root');
    expect(statSync(join(volume, name)).mode & 0o7777).toBe(0o700);
  });

  describe('a mount in what looks left over', () => {
    const name = '..initbox_20250126T015602Z_b87e1328-1ulajuh_6nzcg4ssjqfi';
    const writers: readonly (readonly [string, () => string[]])[] = [
      ['render', () => ['render', template, '--to', `${volume}/f`]],
      ['render, a folder', () => ['render', template, '--to', `${volume}/`]],
      [
        'fetch-config --format files',
        () => ['fetch-config', 'env:PLANTED_*', '--allow-disk', '--format', 'files', '--to', volume],
      ],
      ['fetch-config --unpack', () => ['fetch-config', `file:${archive}`, '--unpack', '--to', volume]],
      ['copy --atomic', () => ['copy', join(disk.path, 'archived'), volume, '--atomic']],
    ];
    const owners = [other, 0];
    test.each(owners.flatMap((owner) => writers.map(([label, args]) => [label, owner, args] as const)))(
      '%s empties neither it nor the folder where that is planted: the folder is of user %i',
      async (_, owner, args) => {
        const folder = join(volume, name);
        mkdirSync(join(folder, 'cache'), { recursive: true });
        mkdirSync(join(folder, 'root'));
        writeFileSync(join(folder, 'root', 'precious'), 'of root');
        plantFile(`${name}/..initbox.json`, '{"sets":{}}');
        for (const path of [folder, join(folder, '..initbox.json')]) chownSync(path, owner, owner);
        writeFileSync(join(elsewhere, 'data'), 'precious');
        execFileSync('mount', ['--bind', elsewhere, join(folder, 'cache')]);
        const undo = undoAtDeath(`umount -l ${quote(join(folder, 'cache'))}`);
        try {
          utimesSync(folder, 1, 1);
          const { status, stderr } = await runInitbox(args(), { env: { PLANTED_A: 'x', PLANTED_B: 'y' } });
          expect(status, stderr).toBe(0);
          expect(readFileSync(join(elsewhere, 'data'), 'utf8')).toBe('precious');
          expect(existsSync(join(folder, 'root', 'precious'))).toBe(owner === other);
        } finally {
          execFileSync('umount', ['-l', join(folder, 'cache')]);
          undo.forget();
        }
      },
    );
  });
});
