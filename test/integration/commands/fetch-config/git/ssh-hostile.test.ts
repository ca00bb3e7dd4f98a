// SSH servers that do what no OpenSSH does: one sentence, little memory, and nothing is written.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import ssh2, { type Connection, type ServerChannel } from 'ssh2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { memoryFolders } from '../../../../support/memory-folders.ts';
import { runInitbox, type ProgramResult } from '../../../../support/program.ts';
import { canUseSshd, makeSshKey } from '../../../../support/sshd.ts';
import { requireOrSkip } from '../../../../support/tools.ts';
import { temporaryDirectory } from '../../../../support/undo.ts';

const folder = memoryFolders('64m');

describe.skipIf(requireOrSkip('hostile servers of SSH', canUseSshd()))('a hostile server', () => {
  const scratch = temporaryDirectory('ssh-hostile');
  let host: string;
  let key: string;
  beforeAll(() => {
    host = makeSshKey(scratch.path, 'host', 'ed25519');
    key = makeSshKey(scratch.path, 'key', 'ed25519');
  });
  afterAll(() => scratch.remove());

  async function against(
    behave: (connection: Connection) => void,
    more: readonly string[] = [],
  ): Promise<ProgramResult> {
    const server = new ssh2.Server({ hostKeys: [readFileSync(host)] }, (connection) => {
      connection.on('error', () => {});
      behave(connection);
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as { port: number };
    const hosts = join(scratch.path, `known${port}`);
    writeFileSync(hosts, `[127.0.0.1]:${port} ${readFileSync(`${host}.pub`, 'utf8')}`);
    const to = folder();
    const result = await runInitbox([
      'fetch-config',
      '--timeout',
      '10s',
      `git+ssh://git@127.0.0.1:${port}/r.git`,
      '--to',
      to,
      '--ssh-key-file',
      key,
      '--known-hosts-file',
      hosts,
      ...more,
    ]);
    server.close();
    expect(readdirSync(to)).toEqual([]);
    expect(result.status).not.toBe(0);
    return result;
  }

  const talking = (say: (channel: ServerChannel) => void) => (connection: Connection) => {
    connection
      .on('authentication', (asked) => asked.accept())
      .on('session', (accept) => {
        accept().on('exec', (acceptExec) => {
          const channel = acceptExec();
          channel.on('error', () => {});
          say(channel);
        });
      });
  };

  /** Writes without end, as fast as it is taken. */
  const pour = (write: (bytes: Buffer, done: () => void) => void, bytes: Buffer): void => {
    write(bytes, () => setImmediate(() => pour(write, bytes)));
  };

  test('a list of branches without end', async () => {
    const line = Buffer.from(`0040${'1'.repeat(40)} refs/heads/abcdefg\n`);
    const many = Buffer.concat(Array.from({ length: 500 }, () => line));
    const { status, stderr } = await against(
      talking((channel) => pour((bytes, done) => channel.write(bytes, done), many)),
      ['--max-size', '1Mi'],
    );
    expect(stderr).toContain('sends a longer list of branches than --max-size allows');
    expect(status).toBe(69);
  });

  test('no packets', async () => {
    const { status, stderr } = await against(talking((channel) => void channel.write('<html>\n')));
    expect(stderr).toContain('something that is not a packet of Git’s protocol');
    expect(status).toBe(69);
  });

  test('more than was asked for', async () => {
    const { status, stderr } = await against(
      talking((channel) => void channel.write('000eversion 2\n00000000')),
    );
    expect(stderr).toContain('sent something that was not asked for');
    expect(status).toBe(69);
  });

  test('words on standard error without end, with marks of a terminal', async () => {
    const { status, stderr } = await against(
      talking((channel) => {
        const words = Buffer.from('\u001b[2J repository not found \u0007 '.repeat(1000));
        for (let index = 0; index < 50; index++) channel.stderr.write(words);
        channel.exit(1);
        channel.end();
      }),
    );
    expect(stderr).toContain('the server refuses the repository: it says');
    for (const mark of ['\u0007', '\u001b']) expect(stderr).not.toContain(mark);
    expect(stderr.length).toBeLessThan(4000);
    expect(status).toBe(69);
  });

  test('words on standard error that never end are given up', async () => {
    const words = Buffer.alloc(30_000, 'E');
    const { status, stderr } = await against(
      talking((channel) => pour((bytes, done) => void channel.stderr.write(bytes, () => done()), words)),
    );
    expect(stderr).toContain('the server sends messages without an end, and no repository');
    expect(status).toBe(69);
  });

  test('an end without words: it is asked again', async () => {
    let times = 0;
    const { status, stderr } = await against(
      talking((channel) => {
        times++;
        channel.exit(1);
        channel.end();
      }),
    );
    expect(stderr).toContain('the server ended the conversation with status 1');
    expect(status).toBe(124);
    expect(times).toBeGreaterThan(1);
  });

  test('no program may be started', async () => {
    const { status, stderr } = await against((connection) => {
      connection
        .on('authentication', (asked) => asked.accept())
        .on('session', (accept) => {
          accept().on('exec', (_accept, reject) => reject());
        });
    });
    expect(stderr).toContain('does not let the user "git" start programs');
    expect(status).toBe(69);
  });

  test('a password is asked for: none is sent', async () => {
    const methods: string[] = [];
    const { status, stderr } = await against((connection) => {
      connection.on('authentication', (asked) => {
        methods.push(asked.method);
        asked.reject(['password', 'keyboard-interactive'], true);
      });
    });
    expect(stderr).toContain('does not take the key for the user "git"');
    expect(status).toBe(69);
    expect([...new Set(methods)]).toEqual(['publickey']);
  });
});
