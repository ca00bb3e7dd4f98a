// A child in a process group of its own: how it starts, how it ends, and that nothing of it stays.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { Failure, type Failed } from '../../../src/core/outcome.ts';
import { startChild, statusOf, type ChildOptions } from '../../../src/process/child.ts';
import { systemHost } from '../../../src/process/host.ts';
import { systemClock } from '../../../src/process/system-clock.ts';
import { liveGroup, waitUntil } from '../../support/faults.ts';
import { runInitbox } from '../../support/program.ts';
import { within } from '../../support/promptly.ts';
import { requireOrSkip, whyMissing } from '../../support/tools.ts';
import { temporaryDirectory } from '../../support/undo.ts';

const options = {
  environment: { PATH: '/usr/bin:/bin' },
  grace: 300,
  clock: systemClock,
  host: systemHost,
};

const shell = (script: string): string[] => ['/bin/sh', '-c', script];

describe('a command that cannot be run', () => {
  const statusOfFailure = async (command: string[]): Promise<number> => {
    try {
      const child = await startChild(command, options);
      child.stop('SIGKILL', 0);
      await child.gone;
      return 0;
    } catch (error) {
      expect(error).toBeInstanceOf(Failure);
      return (error as Failure).outcome.status;
    }
  };

  test('is not there: 127; may not be run, names no interpreter, or gets too much: 126', async () => {
    using folder = folderOf({ plain: '#!/bin/sh\n', lost: '#!/no/such/interpreter\n' });
    chmodSync(join(folder.path, 'lost'), 0o755);
    expect(await statusOfFailure(['no-such-command'])).toBe(127);
    expect(await statusOfFailure(['/no/such/command'])).toBe(127);
    expect(await statusOfFailure([join(folder.path, 'plain')])).toBe(126);
    expect(await statusOfFailure([join(folder.path, 'lost')])).toBe(126);
    expect(await statusOfFailure(['true', 'x'.repeat(200_000)])).toBe(126);
  });
});

/** How a command that must not run was refused. */
async function refusal(command: string[], path = options.environment.PATH): Promise<Failed> {
  const child = startChild(command, { ...options, environment: { PATH: path } });
  return child
    .then(async (started) => statusOf(await started.gone))
    .then(
      (status) => expect.fail(`it ran and ended with ${status}`),
      (error) => {
        expect(error).toBeInstanceOf(Failure);
        return (error as Failure).outcome;
      },
    );
}

const program = readFileSync(process.execPath).subarray(0, 4096);

/** The smallest program: one segment, and exit(9). */
function elf({ wide = true, interpreter = '' } = {}): Buffer {
  const code = Buffer.from([0x31, 0xff, 0x40, 0xb7, 0x09, 0x31, 0xc0, 0xb0, 0x3c, 0x0f, 0x05]);
  const code32 = Buffer.from([0x31, 0xc0, 0xb0, 0x01, 0xb3, 0x09, 0xcd, 0x80]);
  const [header, entry, base] = wide ? [64, 56, 0x400000] : [52, 32, 0x8048000];
  const entries = interpreter === '' ? 1 : 2;
  const start = header + entries * entry;
  const path = Buffer.from(interpreter === '' ? '' : `${interpreter}\0`);
  const file = Buffer.concat([Buffer.alloc(start), path, wide ? code : code32]);
  file.write('\x7fELF', 'latin1');
  file.set([wide ? 2 : 1, 1, 1], 4);
  const address = (value: number, at: number): void => {
    if (wide) file.writeBigUInt64LE(BigInt(value), at);
    else file.writeUInt32LE(value, at);
  };
  file.writeUInt16LE(2, 16);
  file.writeUInt16LE(wide ? 62 : 3, 18);
  file.writeUInt32LE(1, 20);
  address(base + start + path.length, 24);
  address(header, wide ? 32 : 28);
  file.writeUInt16LE(header, wide ? 52 : 40);
  file.writeUInt16LE(entry, wide ? 54 : 42);
  file.writeUInt16LE(entries, wide ? 56 : 44);
  const segment = (index: number, type: number, offset: number, size: number): void => {
    const at = header + index * entry;
    file.writeUInt32LE(type, at);
    file.writeUInt32LE(5, at + (wide ? 4 : 24));
    address(offset, at + (wide ? 8 : 4));
    address(base + offset, at + (wide ? 16 : 8));
    address(size, at + (wide ? 32 : 16));
    address(size, at + (wide ? 40 : 20));
    address(4096, at + (wide ? 48 : 28));
  };
  segment(0, 1, 0, file.length);
  if (interpreter !== '') segment(1, 3, start, path.length);
  return file;
}

function changed(file: Buffer, change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(file);
  change(copy);
  return copy;
}

// e_machine in elf(5): of a processor that nobody has.
const foreign = changed(program, (copy) => copy.writeUInt16LE(0xfeed, 18));

const notRun: Readonly<Record<string, readonly [content: string | Buffer, words: RegExp, advice: RegExp]>> = {
  'zeros, as of a damaged volume': [
    Buffer.alloc(100_000),
    /is neither a program nor a script with a #! line: it begins with the bytes 00 00 00 00$/,
    /begin with #!\/bin\/sh, or be run by \/bin\/sh \S+\/program\n.*copied or downloaded completely/,
  ],
  'a program of another architecture': [
    foreign,
    /is not an executable for this machine/,
    /another architecture/,
  ],
  'the beginning of a program': [program.subarray(0, 40), /is cut off/, /completely/],
  'a program whose table of segments is cut off': [program.subarray(0, 64), /is cut off/, /completely/],
  'no bytes at all': ['', / is empty$/, /completely/],
  'text without a #! line': ['exit 0\n', /neither a program nor a script.*65 78 69 74$/, /#!\/bin\/sh/],
  'a lone comment': ['# nothing\n', /neither a program nor a script/, /#!\/bin\/sh/],
  'lines without words': ['\n\n\n', /begins with the bytes 0a 0a 0a$/, /#!\/bin\/sh/],
  '4 KiB of blanks': [' '.repeat(4096), /begins with the bytes 20 20 20 20$/, /#!\/bin\/sh/],
  'compressed data without a NUL': ['\x1f\x8b\x08rest', /neither a program nor a script/, /completely/],
  'a byte order mark before #!': ['\uFEFF#!/bin/sh\nexit 0\n', /begins with a byte order mark/, /without/],
  'a blank before #!': [' #!/bin/sh\nexit 0\n', /begins with the bytes 20 23 21 2f$/, /#!\/bin\/sh/],
  '#! and nothing else': ['#!', /a #! line that names no interpreter/, /#!\/bin\/sh/],
  'a #! line without an interpreter': ['#!\n', /a #! line that names no interpreter/, /#!\/bin\/sh/],
  'a #! line of blanks': ['#!   \n#x', /a #! line that names no interpreter/, /#!\/bin\/sh/],
  'a #! line of more blanks than the kernel reads': [
    `#!${' '.repeat(300)}/bin/sh\n`,
    /a #! line that names no interpreter/,
    /first 256 bytes/,
  ],
  'a #! line that the kernel cuts': [
    `#!/${'./'.repeat(150)}bin/sh\nexit 0\n`,
    /a #! line that is too long/,
    /first 256 bytes/,
  ],
  'a #! line with the line end of Windows': [
    '#!/bin/sh\r\nexit 0\n',
    /its interpreter \/bin\/sh\\r (\(named by \S+\) )?is missing/,
    /Unix/,
  ],
  'an interpreter that is a directory': [
    '#!/tmp\n',
    /its interpreter \/tmp (\(named by \S+\) )?is a directory/,
    /#!\/bin\/sh/,
  ],
  'an interpreter that is missing': [
    '#!/no/such\n',
    /its interpreter \/no\/such (\(named by \S+\) )?is missing/,
    /image/,
  ],
  'an interpreter without its folder': [
    '#!sh\n',
    /its interpreter sh (\(named by \S+\) )?is missing/,
    /PATH/,
  ],
  'an interpreter that is not executable': [
    '#!/etc/passwd\n',
    /its interpreter \/etc\/passwd (\(named by \S+\) )?is not executable/,
    /chmod/,
  ],
  'a program without its loader': [
    elf({ interpreter: '/no/such/loader' }),
    /its loader \/no\/such\/loader (\(named by \S+\) )?is missing/,
    /C library/,
  ],
  'a program whose loader is a script': [
    elf({ interpreter: '/usr/bin/ldd' }),
    /its loader \/usr\/bin\/ldd (\(named by \S+\) )?is not a program/,
    /C library/,
  ],
};

describe('a file that the kernel cannot run never reaches a shell', () => {
  test.each(Object.entries(notRun))('%s: 126', async (_name, [content, words, advice]) => {
    using folder = folderOf({ program: content, script: '' });
    const file = join(folder.path, 'program');
    writeFileSync(join(folder.path, 'script'), `#!${file}\nexit 0\n`);
    for (const name of ['program', 'script']) chmodSync(join(folder.path, name), 0o755);
    const outcome = await refusal([file]);
    expect(outcome.status).toBe(126);
    expect(outcome.what).toMatch(words);
    expect(outcome.what).toContain(`cannot run ${file}: it`);
    expect([outcome.hint].flat().join('\n')).toMatch(advice);
    const script = join(folder.path, 'script');
    const ofScript = await refusal([script]);
    expect(ofScript.status).toBe(126);
    expect(ofScript.what).toContain(`cannot run ${script}: its `);
    expect(ofScript.what).toContain(file);
    expect(ofScript.what).toMatch(words);
    // The command that takes over is judged alike.
    for (const name of ['program', 'script']) {
      const { status, stderr } = await runInitbox(['wait-dns', '127.0.0.1', '--', join(folder.path, name)]);
      expect(stderr).toContain(`initbox wait-dns: ${name === 'script' ? ofScript.what : outcome.what}\n`);
      expect(status).toBe(126);
    }
  });

  test('what it can run, runs', async () => {
    const x64 = process.arch === 'x64';
    const files = {
      script: '#!/bin/sh\nexit $1\n',
      blanks: '#! \t /bin/sh \t \nexit $1\n',
      // The kernel cuts an argument, never a path.
      long: `#!/bin/sh ${' '.repeat(300)}\nexit $1\n`,
    };
    using folder = folderOf({
      ...files,
      ...(x64 ? { elf: elf(), narrow: elf({ wide: false }) } : {}),
      // What the kernel does not look at.
      ...(x64 ? { ident: changed(elf(), (copy) => copy.set([7, 7, 7], 4)) } : {}),
      ...(x64 ? { narrowIdent: changed(elf({ wide: false }), (copy) => copy.set([2, 2, 7], 4)) } : {}),
    });
    for (const [name, status] of [
      ...Object.keys(files).map((script) => [script, 7] as const),
      ...(x64 ? ['elf', 'narrow', 'ident', 'narrowIdent'].map((binary) => [binary, 9] as const) : []),
    ]) {
      const file = join(folder.path, name);
      chmodSync(file, 0o755);
      const child = await startChild([file, '7'], options);
      expect(statusOf(await child.gone), name).toBe(status);
      const after = await runInitbox(['wait-dns', '127.0.0.1', '--', file, '7']);
      expect(after.status, name).toBe(status);
      expect(after.stderr).not.toContain('cannot run');
    }
    const child = await startChild([process.execPath, '-e', 'process.exit(8)'], options);
    expect(statusOf(await child.gone)).toBe(8);
  });

  test('scripts may name scripts as their interpreters, as many as the kernel follows', async () => {
    using folder = folderOf({ script1: '#!/bin/sh\nexit 7\n' });
    for (let depth = 2; depth <= 6; depth += 1)
      writeFileSync(join(folder.path, `script${depth}`), `#!${join(folder.path, `script${depth - 1}`)}\n`);
    for (let depth = 1; depth <= 6; depth += 1) chmodSync(join(folder.path, `script${depth}`), 0o755);
    const child = await startChild([join(folder.path, 'script5')], options);
    expect(statusOf(await child.gone)).toBe(7);
    expect((await runInitbox(['wait-dns', '127.0.0.1', '--', join(folder.path, 'script5')])).status).toBe(7);
    const outcome = await refusal([join(folder.path, 'script6')]);
    expect(outcome.status).toBe(126);
    expect(outcome.what).toContain(
      'scripts that name scripts as their interpreters; the kernel follows five',
    );
  });

  test('the kernel says the same of each', async () => {
    using folder = folderOf(
      Object.fromEntries(Object.values(notRun).map(([content], index) => [String(index), content])),
    );
    const files = Object.keys(notRun).map((_name, index) => join(folder.path, String(index)));
    for (const file of files) chmodSync(file, 0o755);
    // os.execv is execve(2) itself: nothing of it falls back to a shell.
    const oracle = [
      'import os, sys',
      'for file in sys.argv[1:]:',
      '  child = os.fork()',
      '  if child == 0:',
      '    try: os.execv(file, [file])',
      '    except OSError: os._exit(99)',
      '  print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))',
    ].join('\n');
    const said = execFileSync('python3', ['-c', oracle, ...files], { encoding: 'utf8' })
      .trim()
      .split('\n');
    expect(Object.fromEntries(Object.keys(notRun).map((name, index) => [name, said[index]]))).toEqual(
      Object.fromEntries(Object.keys(notRun).map((name) => [name, '99'])),
    );
  });
});

describe('the folders of PATH are searched as execvp(3) does', () => {
  const foldersOf = (...contents: string[]): { path: string; folders: string[] } & Disposable => {
    const folder = folderOf({});
    const folders = contents.map((content, index) => {
      const path = join(folder.path, String(index));
      mkdirSync(path);
      writeFileSync(join(path, 'tool'), content);
      chmodSync(join(path, 'tool'), content === 'closed' ? 0o644 : 0o755);
      return path;
    });
    return { path: folders.join(':'), folders, [Symbol.dispose]: () => folder[Symbol.dispose]() };
  };

  test.each([
    ['is not executable', 'closed'],
    ['has no interpreter', '#!/no/such\n'],
    ['has a directory as its interpreter', '#!/tmp\n'],
  ])('a file that %s is passed over', async (_name, content) => {
    using search = foldersOf(content, '#!/bin/sh\nexit 7\n');
    const child = await startChild(['tool'], { ...options, environment: { PATH: search.path } });
    expect(statusOf(await child.gone)).toBe(7);
    const after = await runInitbox(['wait-dns', '127.0.0.1', '--', 'tool'], { env: { PATH: search.path } });
    expect(after.status).toBe(7);
    // Alone, it is what is told of.
    const outcome = await refusal(['tool'], search.folders[0]);
    expect(outcome.status).toBe(126);
    expect(outcome.what).toContain(`cannot run ${search.folders[0]}/tool: it`);
  });

  test('a file of a wrong format ends the search', async () => {
    using search = foldersOf('exit 0\n', '#!/bin/sh\nexit 7\n');
    const outcome = await refusal(['tool'], search.path);
    expect(outcome.status).toBe(126);
    expect(outcome.what).toContain(`cannot run ${search.folders[0]}/tool: it is neither`);
  });

  test('what was judged is what is started, under the name that was given', async () => {
    using search = foldersOf('#!/bin/sh\necho "$0"\nexit 7\n');
    const here = process.cwd();
    process.chdir(search.folders[0] as string);
    try {
      const child = await startChild(['tool'], { ...options, environment: { PATH: ':/nowhere' } });
      expect(statusOf(await child.gone)).toBe(7);
      const zero = await startChild(['sh', '-c', '[ "$0" = sh ]'], options);
      expect(statusOf(await zero.gone)).toBe(0);
    } finally {
      process.chdir(here);
    }
  });
});

describe('what the kernel refuses only when it starts', () => {
  test('a file that is open for writing: 126, in words', async () => {
    using folder = folderOf({ tool: elf() });
    const file = join(folder.path, 'tool');
    chmodSync(file, 0o755);
    const descriptor = openSync(file, 'r+');
    try {
      const outcome = await refusal([file]);
      expect(outcome.status).toBe(126);
      expect(outcome.what).toBe(`cannot run ${file}: it is open for writing (ETXTBSY)`);
      expect(outcome.hint).toMatch(/still being copied/);
      const { status, stderr } = await runInitbox(['wait-dns', '127.0.0.1', '--', file]);
      expect(stderr).toContain(`initbox wait-dns: ${outcome.what}\n`);
      expect(status).toBe(126);
    } finally {
      closeSync(descriptor);
    }
  });

  test('too much: 126, in the same words under both', async () => {
    const outcome = await refusal(['true', 'x'.repeat(200_000)]);
    expect(outcome.what).toMatch(
      /^cannot run \S*\/true: its arguments and environment are too large \(E2BIG\)$/,
    );
  });

  const noCapabilities = requireOrSkip(
    'capabilities of a file',
    process.getuid?.() === 0 ? whyMissing('setpriv', 'util-linux') : 'only root may set them',
  );
  test.skipIf(noCapabilities)(
    'a capability that it may not have: 126, in the same words under both',
    async () => {
      using folder = folderOf({ tool: elf() });
      chmodSync(folder.path, 0o755);
      const file = join(folder.path, 'tool');
      chmodSync(file, 0o755);
      // vfs_cap_data: revision 2, effective, CAP_NET_BIND_SERVICE (linux/capability.h).
      const data = '\\x01\\x00\\x00\\x02\\x00\\x04\\x00\\x00' + '\\x00'.repeat(12);
      const set = `import os; os.setxattr("${file}", "security.capability", b"${data}")`;
      execFileSync('python3', ['-c', set]);
      const prefix = [
        'setpriv',
        '--reuid=1000',
        '--regid=1000',
        '--clear-groups',
        '--bounding-set=-all',
        '--inh-caps=-all',
      ];
      const { status, stderr } = await runInitbox(['wait-dns', '127.0.0.1', '--', file], { prefix });
      expect(stderr).toContain(`cannot run ${file}: operation not permitted (EPERM)\n`);
      expect(status).toBe(126);
    },
  );

  test('links that lead in a circle: 126, in words', async () => {
    using folder = folderOf({});
    symlinkSync('circle', join(folder.path, 'circle'));
    const outcome = await refusal([join(folder.path, 'circle')]);
    expect(outcome.status).toBe(126);
    expect(outcome.what).toBe(
      `cannot run ${folder.path}/circle: it cannot be reached: its symlinks lead in a circle (ELOOP)`,
    );
  });
});

function folderOf(files: Readonly<Record<string, string | Buffer>>): { path: string } & Disposable {
  const folder = temporaryDirectory('child');
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder.path, name), text);
  return { path: folder.path, [Symbol.dispose]: folder.remove };
}

test.each([
  ['exit 0', 0],
  ['exit 7', 7],
  ['kill -TERM $$', 143],
  ['kill -KILL $$', 137],
])('%s is reported as %i', async (script, status) => {
  const child = await startChild(shell(script), options);
  expect(statusOf(await child.gone)).toBe(status);
});

test('it leads a group of its own, and what it leaves there is ended before it counts as gone', async () => {
  const ready = join(temporaryDirectory('ready').path, 'ready');
  const child = await startChild(
    shell(
      `(trap '' TERM; : > ${ready}; while :; do sleep 0.05; done) & until [ -e ${ready} ]; do sleep 0.05; done; exit 4`,
    ),
    options,
  );
  await waitUntil(() => existsSync(ready));
  const began = performance.now();
  expect(statusOf(await child.gone)).toBe(4);
  // TERM was ignored, so that only the KILL after the grace ended it.
  expect(performance.now() - began).toBeGreaterThan(250);
  expect(liveGroup(child.pid)).toEqual([]);
});

test('a stopped member of the group gets its TERM all the same', async () => {
  const child = await startChild(shell('kill -STOP $$; exit 0'), { ...options, grace: 5000 });
  await waitUntil(() => liveGroup(child.pid)[0]?.state === 'T');
  child.stop('SIGTERM', 60_000);
  expect(statusOf(await within(2000, child.gone))).toBe(143);
});

test('a second stop may bring the KILL forward, never put it off', async () => {
  const child = await startChild(shell("trap '' TERM; sleep 1000 & while :; do sleep 0.05; done"), options);
  // The second process is there only once TERM is ignored.
  await waitUntil(() => liveGroup(child.pid).length >= 2);
  child.stop('SIGTERM', 60_000);
  child.stop('SIGTERM', 200);
  child.stop('SIGTERM', 60_000);
  expect(statusOf(await within(3000, child.gone))).toBe(137);
});

test.each([
  ['with what it adopts', { own: options.environment }],
  ['by its mark alone', {}],
])('what leaves the group at any moment around the command’s end is found %s', async (_how, own) => {
  const living = (mark: string): string[] =>
    readdirSync('/proc').filter((pid) => {
      try {
        return /^\d/.test(pid) && readFileSync(`/proc/${pid}/environ`, 'latin1').includes(mark);
      } catch {
        return false;
      }
    });
  for (let turn = 0; turn < 60; turn += 1) {
    const mark = `CHILD_TEST_MARK=${process.pid}-${turn}`;
    const [name = '', value = ''] = mark.split('=');
    // From within the end of the command to twenty milliseconds after it; every second becomes another program then.
    const leave = `select(undef, undef, undef, ${(turn % 20) / 1000}); POSIX::setsid();`;
    const stay = turn % 2 === 0 ? 'exec("/bin/sleep", "300")' : 'sleep 300';
    const child = await startChild(['perl', '-MPOSIX', '-e', `fork and exit; ${leave} ${stay}`], {
      ...options,
      grace: 50,
      environment: { ...options.environment, [name]: value },
      mark,
      ...own,
    });
    const { left } = await child.gone;
    expect(living(mark), `turn ${turn}`).toEqual([]);
    expect(left).not.toEqual([]);
  }
});

describe('a process whose main thread has ended', () => {
  /** exit(2), which ends the calling thread alone: ctypes gives the interpreter's lock back meanwhile. */
  const exits = { x64: 60, arm64: 93 } as const;
  const call = exits[process.arch as keyof typeof exits];
  const missing =
    call === undefined
      ? `the number of exit(2) is not known here: ${process.arch}`
      : whyMissing('python3', 'python3');
  /** A thread makes `file`, waits, and ends the process with 7; the main thread is gone before. */
  const worker = (file: string, before = 'pass', seconds = 300): string[] => [
    'python3',
    '-c',
    [
      'import ctypes, os, signal, sys, threading, time',
      before,
      'def work():',
      "    while ') Z ' not in open('/proc/self/stat').read(): time.sleep(0.01)",
      `    open(${JSON.stringify(file)}, 'w').close()`,
      `    time.sleep(${seconds})`,
      '    os._exit(7)',
      'threading.Thread(target=work).start()',
      `ctypes.CDLL(None).syscall(${call}, 0)`,
    ].join('\n'),
  ];
  const mark = (): Pick<ChildOptions, 'mark' | 'environment' | 'own'> => {
    const value = `${process.pid}-${performance.now()}`;
    return {
      mark: `CHILD_TEST_MARK=${value}`,
      environment: { ...options.environment, CHILD_TEST_MARK: value },
      own: options.environment,
    };
  };
  /** The living processes that made the file theirs, by what they run. */
  const living = (file: string): string[] =>
    readdirSync('/proc').filter((pid) => {
      try {
        // Its own command line is empty, as its environment is.
        return (
          /^\d/.test(pid) &&
          readdirSync(`/proc/${pid}/task`).some((thread) =>
            readFileSync(`/proc/${pid}/task/${thread}/cmdline`, 'latin1').includes(file),
          )
        );
      } catch {
        return false;
      }
    });

  describe.skipIf(requireOrSkip('threads that outlive the main one', missing))('lives', () => {
    test('as the command itself: its status is the one of its last thread', async () => {
      const folder = temporaryDirectory('threads');
      const child = await startChild(worker(join(folder.path, 'ready'), 'pass', 0.3), options);
      expect(statusOf(await child.gone)).toBe(7);
    });

    test.each([
      ['in the group', 'os.fork() and os._exit(0)'],
      ['in a session of its own', 'os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0)'],
    ])('as what the command leaves behind %s: it is found, named and ended', async (_, leave) => {
      const folder = temporaryDirectory('threads');
      const file = join(folder.path, 'ready');
      const ignoring = `signal.signal(signal.SIGTERM, signal.SIG_IGN); ${leave}`;
      const child = await startChild(worker(file, ignoring), { ...options, ...mark(), grace: 500 });
      const { left } = await child.gone;
      expect(living(file)).toEqual([]);
      expect(left.map(({ name }) => name)).toEqual([expect.stringMatching(/^python/)]);
    });

    test('with an emptied environment too, and when it is stopped', async () => {
      const folder = temporaryDirectory('threads');
      const file = join(folder.path, 'ready');
      const leave =
        'signal.signal(signal.SIGTERM, signal.SIG_IGN)\nif "CHILD_TEST_MARK" in os.environ:\n    os.fork() and os._exit(0); os.setsid(); os.execve(sys.executable, sys.orig_argv, {})';
      const child = await startChild(
        shell(`"$@" & until [ -e ${file} ]; do sleep 0.05; done; sleep 300`).concat(
          'sh',
          worker(file, leave),
        ),
        { ...options, ...mark() },
      );
      await waitUntil(() => existsSync(file));
      child.stop('SIGTERM', 200);
      await child.gone;
      expect(living(file)).toEqual([]);
    });
  });
});
