import { spawn } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import {
  canMount,
  freeze,
  groupGone,
  killGroup,
  liveGroup,
  liveProcess,
  mountReadOnly,
  mountTmpfs,
  thaw,
  waitUntil,
} from './faults.ts';
import { canUseIptables, canUseNetns, createNetns, createNetnsPair, dropTo } from './netns.ts';
import { nodePath, requireOrSkip } from './tools.ts';
import { temporaryDirectory } from './undo.ts';

function connectOnce(address: string, port: number, timeout: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, timeout });
    const end = (outcome: string) => {
      socket.destroy();
      resolve(outcome);
    };
    socket.once('connect', () => end('connected'));
    socket.once('timeout', () => end('timeout'));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  });
}

test('a group is stopped, goes on, and is killed with its children', async () => {
  const child = spawn('/bin/sh', ['-c', 'sleep 60 & sleep 60'], { detached: true, stdio: 'ignore' });
  const group = child.pid as number;
  await waitUntil(() => liveGroup(group).length === 3);
  await freeze(group);
  expect(liveProcess(group)?.state).toBe('T');
  thaw(group);
  await waitUntil(() => liveProcess(group)?.state === 'S');
  expect(killGroup(group)).toBe(true);
  await groupGone(group);
});

describe.skipIf(requireOrSkip('mounts', canMount()))('mounts', () => {
  test('a small file system is full at its size', () => {
    using disk = mountTmpfs({ size: '64k' });
    writeFileSync(join(disk.path, 'fits'), Buffer.alloc(32 * 1024));
    expect(() => writeFileSync(join(disk.path, 'large'), Buffer.alloc(64 * 1024))).toThrow(/ENOSPC/);
  });

  test('a read-only view refuses root, and its source does not', () => {
    const folder = temporaryDirectory();
    using view = mountReadOnly(folder.path);
    expect(() => writeFileSync(join(view.path, 'file'), '')).toThrow(/EROFS/);
    writeFileSync(join(folder.path, 'file'), '');
    expect(existsSync(join(view.path, 'file'))).toBe(true);
  });
});

describe.skipIf(requireOrSkip('iptables', canUseIptables()))('dropped packets', () => {
  test.each([
    ['DROP', 'timeout'],
    ['reset', 'ECONNREFUSED'],
    ['unreachable', 'EHOSTUNREACH'],
  ] as const)('%s gives %s', async (how, outcome) => {
    const server = createServer((socket) => socket.end()).listen(0, '127.0.0.2');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    expect(await connectOnce('127.0.0.2', port, 1_000)).toBe('connected');
    {
      using block = dropTo('127.0.0.2', port, { how });
      expect(await connectOnce('127.0.0.2', port, 300)).toBe(outcome);
      block.remove();
    }
    expect(await connectOnce('127.0.0.2', port, 1_000)).toBe('connected');
    server.close();
  });

  test('nothing but a loopback address', () => {
    expect(() => dropTo('10.0.0.1', 80)).toThrow(/loopback/);
  });
});

describe.skipIf(requireOrSkip('network namespaces', canUseNetns()))('network namespaces', () => {
  // Connects from inside a namespace and says how it went.
  const probe = (address: string, port: number) =>
    `const s=require('net').connect({host:'${address}',port:${port},timeout:300});
     s.once('connect',()=>{console.log('connected');process.exit()});
     s.once('timeout',()=>{console.log('timeout');process.exit()});
     s.once('error',(e)=>{console.log(e.code);process.exit()})`;

  test('without a route nothing can be reached', () => {
    using alone = createNetns();
    expect(alone.run(nodePath(), '-e', probe('10.111.1.2', 80)).trim()).toBe('ENETUNREACH');
  });

  test('a pair is joined, cut off without a word, and joined again', async () => {
    using pair = createNetnsPair();
    const [file = '', ...rest] = pair.a.prefix;
    const listen = `require('net').createServer((s)=>s.end()).listen(80,'${pair.a.address}',()=>console.log('up'))`;
    const server = spawn(file, [...rest, nodePath(), '-e', listen], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise((resolve) => server.stdout.once('data', resolve));
    const outcome = () => pair.b.run(nodePath(), '-e', probe(pair.a.address, 80)).trim();
    expect(outcome()).toBe('connected');
    pair.partition();
    expect(outcome()).toBe('timeout');
    pair.heal();
    expect(outcome()).toBe('connected');
    server.kill('SIGKILL');
  });
});
