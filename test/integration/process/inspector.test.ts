import { chmodSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
// Node opens its inspector on 127.0.0.1:9229 when SIGUSR1 comes, and all containers of a pod share that address: whoever
// connects there reads every secret of the process.
import { createServer, type AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { firstLine } from '../../../images/assemble/first-line.ts';
import { liveDescendants } from '../../support/faults.ts';
import { canUseNetns, createNetns } from '../../support/netns.ts';
import {
  canRunAsPid1,
  runInitbox,
  startAsPid1,
  startInitbox,
  type ProgramOptions,
  type RunningProgram,
} from '../../support/program.ts';
import { nodePath, projectDirectory, requireOrSkip } from '../../support/tools.ts';
import { temporaryDirectory } from '../../support/undo.ts';
import { waitUntil } from '../../support/wait-until.ts';
import { memoryFolder, noStrace, wideTree } from '../commands/chown/support.ts';

const skipped = requireOrSkip('SIGUSR1', canUseNetns() ?? canRunAsPid1());

/** Whatever listens in this network is the program's. */
const network = skipped ? undefined : createNetns('inspector');
afterAll(() => network?.remove());
const alone: ProgramOptions = { prefix: network?.prefix ?? [] };

/** Local addresses, as the kernel writes them, on which something listens in a process's network. */
function listening(pid: number): string[] {
  return ['tcp', 'tcp6'].flatMap((table) =>
    readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((words) => words[3] === '0A')
      .map((words) => words[1] ?? ''),
  );
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** What listens after several signals, over longer than Node takes to open its inspector. */
async function openedBySignals(pid: number): Promise<readonly string[]> {
  const opened: string[] = [];
  for (let round = 0; round < 5; round += 1) {
    process.kill(pid, 'SIGUSR1');
    await pause(60);
    opened.push(...listening(pid));
  }
  return opened;
}

/** It goes on after the signals, and ends when it is told to. */
const untouched = { opened: [], said: false, status: 143 };

async function afterSignals(running: RunningProgram): Promise<typeof untouched> {
  await running.waitForStderr(/\S/);
  const opened = await openedBySignals(running.pid);
  running.kill('SIGTERM');
  const { status, stderr } = await running.exit;
  return { opened: opened as [], said: /debugger|inspector/i.test(stderr), status: status ?? -1 };
}

/** The built program with the first line that it has in the image. */
function imageProgram(): string[] {
  const home = join(temporaryDirectory('home').path, 'initbox');
  cpSync(join(projectDirectory, 'dist'), home, { recursive: true });
  chmodSync(dirname(home), 0o755);
  const entry = readFileSync(join(home, 'initbox.js'), 'utf8');
  const line = firstLine.replace('/initbox/bin/node', nodePath());
  writeFileSync(join(home, 'initbox'), line + entry.slice(entry.indexOf('\n')));
  chmodSync(join(home, 'initbox'), 0o755);
  return [join(home, 'initbox')];
}

const nowhere = '127.0.0.1:1';
const http = `http://${nowhere}/`;
const folder = temporaryDirectory('inspector').path;
const to = ['--to', join(folder, 'to'), '--allow-disk'];
const database = { DATABASE_URL: `postgres://user@${nowhere}/app` };
const template = join(folder, 'template');
writeFileSync(template, 'text');
const planOf = (name: string, step: object): string => {
  const path = join(folder, name);
  writeFileSync(path, JSON.stringify({ steps: [step] }));
  return path;
};
const plan = planOf('plan.json', { name: 'port', uses: 'wait-tcp', targets: nowhere });

const waits: readonly (readonly [words: readonly string[], env: Record<string, string>])[] = [
  [['wait-tcp', nowhere], {}],
  [['wait-dns', 'nowhere.invalid', '--server', '127.0.0.1'], {}],
  [['wait-http', http], {}],
  [['wait-postgres'], database],
  [['migrate-with-lock', '--', 'true'], database],
  [['fetch-config', http, ...to], {}],
  [['fetch-config', 'vault:secret/app', ...to], { VAULT_ADDR: http, VAULT_TOKEN: 'token' }],
  [['render', template, ...to, '--data', `x=${http}`], {}],
  [['run', plan], {}],
];

describe.skipIf(skipped)('SIGUSR1 opens no inspector and ends nothing', () => {
  test.each(waits)('%j', async (words, env) => {
    expect(await afterSignals(await startInitbox(words, { ...alone, env }))).toEqual(untouched);
  });

  test('as PID 1', async () => {
    expect(await afterSignals(await startAsPid1(['wait-tcp', nowhere], alone))).toEqual(untouched);
  });

  test('the image’s program, from its first moment on', async () => {
    const running = await startAsPid1(['wait-tcp', nowhere], { ...alone, program: imageProgram() });
    for (let round = 0; round < 500; round += 1) {
      process.kill(running.pid, 'SIGUSR1');
      await pause(1);
    }
    expect(await afterSignals(running)).toEqual(untouched);
  });

  test('a step that runs as another user', async () => {
    chmodSync(folder, 0o755);
    const path = planOf('user.json', { name: 'port', uses: 'wait-tcp', targets: nowhere, user: 1234 });
    const running = await startInitbox(['run', path], alone);
    await running.waitForStderr(/refused/);
    const [step] = liveDescendants(running.pid);
    expect(await openedBySignals(step?.pid ?? 0)).toEqual([]);
    expect(await afterSignals(running)).toEqual(untouched);
  });

  test.skipIf(noStrace)('the helpers of chown', async () => {
    const top = wideTree(memoryFolder(), 100, 100);
    const slow = 'strace -f -qq -o /dev/null -e trace=lchown -e inject=lchown:delay_enter=500'.split(' ');
    const running = await startInitbox(['chown', '1000:1000', top], {
      prefix: [...(alone.prefix ?? []), ...slow],
    });
    const helper = await waitUntil(
      () => liveDescendants(running.pid).find(({ pid }) => commandLine(pid).includes('chown-helper')),
      { what: 'the helper' },
    );
    await pause(700);
    expect(await openedBySignals(helper.pid)).toEqual([]);
    expect(await running.exit).toMatchObject({ status: 0 });
  });
});

function commandLine(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch {
    return '';
  }
}

describe('SIGUSR1 means to other programs what it always did', () => {
  const signalled = ['/bin/sh', '-c', 'kill -USR1 $$'];

  test('the command after --', async () => {
    const { signal } = await runInitbox([
      'run',
      planOf('true.json', { name: 'a', command: ['true'] }),
      '--',
      ...signalled,
    ]);
    expect(signal).toBe('SIGUSR1');
  });

  /** No JavaScript runs in it, and it has no handler of its own. */
  const signals = ['cat', '/proc/self/status'];
  const unchanged = ['SigPnd', 'ShdPnd', 'SigBlk', 'SigIgn', 'SigCgt'].map(
    (name) => `${name}: ${'0'.repeat(16)}`,
  );
  const linesOf = (text: string): string[] => text.split('\n').map((line) => line.replace(/\s+/g, ' '));

  test('the command after -- in the image blocks none, and gets none that was sent before', async () => {
    const server = createServer((socket) => socket.destroy());
    const address = { port: 0, host: '127.0.0.1' };
    await new Promise<void>((resolve) => server.listen(address, resolve));
    const { port } = server.address() as AddressInfo;
    const words = ['wait-tcp', `127.0.0.1:${port}`, '--stable-for', '700ms', '--', ...signals];
    const running = await startInitbox(words, { program: imageProgram() });
    await pause(400);
    for (let round = 0; round < 3; round += 1) process.kill(running.pid, 'SIGUSR1');
    const { stdout } = await running.exit;
    server.close();
    expect(linesOf(stdout)).toEqual(expect.arrayContaining(unchanged));
  });

  test.skipIf(skipped)('the command of a step that runs as another user', async () => {
    chmodSync(folder, 0o777);
    const status = join(folder, 'status');
    const command = ['/bin/sh', '-c', `exec cat /proc/self/status > ${status}`];
    const path = planOf('signals.json', { name: 'a', command, user: 1234 });
    expect(await runInitbox(['run', path], { program: imageProgram() })).toMatchObject({ status: 0 });
    expect(linesOf(readFileSync(status, 'utf8'))).toEqual(expect.arrayContaining(unchanged));
  });

  test('the command of a step', async () => {
    const { stderr } = await runInitbox(['run', planOf('command.json', { name: 'a', command: signalled })]);
    expect(stderr).toContain('SIGUSR1');
  });
});
