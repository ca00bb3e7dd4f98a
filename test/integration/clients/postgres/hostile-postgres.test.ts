// A server's bytes can neither freeze nor end the process: lengths and orders that no server sends, other protocols on
// the port, floods, and random ones.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { TLSSocket } from 'node:tls';

import { describe, expect, test } from 'vitest';

import { runInitbox, runToDeadline, startInitbox, terminationLog } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { nodePath } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';
import { waitUntil } from '../../../support/wait-until.ts';
import {
  authentication,
  complete,
  dataRow,
  int16,
  int32,
  message,
  notice,
  ready,
  report,
  rowDescription,
  welcome,
} from './messages.ts';
import { inOrder, startHostile, type Answerer, type HostileServer } from './server.ts';

const mysql = (length: number, version = '8.0.36'): Buffer => {
  const body = Buffer.alloc(length);
  body[0] = 10;
  body.write(`${version}\0`, 1, 'latin1');
  return Buffer.concat([Buffer.from([length, 0, 0, 0]), body]);
};

/** One column, `a`, of the type json (OID 114). */
const jsonDescription = message(
  'T',
  Buffer.concat([
    int16(1),
    Buffer.from('a\0'),
    int32(0),
    int16(0),
    int32(114),
    int16(-1),
    int32(-1),
    int16(0),
  ]),
);

/** Both commands against a server, each once to its deadline and once to SIGTERM. */
async function endsInTime(
  url: string,
  words: RegExp | string,
  status: number,
): Promise<{ readonly stderr: string }> {
  const env = { DATABASE_URL: url };
  const commands = [
    ['wait-postgres', '--timeout', '900ms'],
    ['migrate-with-lock', '--lock-timeout', '900ms', '--', 'true'],
  ];
  const late = commands.map(async (args) => {
    const result = await runToDeadline(args, { env });
    expect(result.stderr).toMatch(words);
    expect(result.stderr).not.toMatch(/not foreseen|Cannot read|out of range|undefined|SASL:/);
    expect(result.status).toBe(status);
    return result;
  });
  const told = commands.map(async ([name = '', , , ...rest]) => {
    if (status !== 124) return;
    const running = await startInitbox([name, ...rest, '--log-level', 'debug'], { env });
    await running.waitForStderr(typeof words === 'string' ? new RegExp(words) : words);
    running.kill('SIGTERM');
    expect((await within(promptly, running.exit)).status).toBe(143);
  });
  const [first] = await Promise.all([...late, ...told]);
  return { stderr: first?.stderr ?? '' };
}

/** Whoever never hears the end of an answer ends at the deadline, and on SIGTERM. */
async function isCutInTime(server: HostileServer, url = server.url): Promise<void> {
  const env = { DATABASE_URL: url, NODE_OPTIONS: '--max-old-space-size=128' };
  const late = await within(4_900, runInitbox(['wait-postgres', '--timeout', '1200ms'], { env }));
  expect(late.status).toBe(124);
  const before = server.written;
  const running = await startInitbox(['wait-postgres', '--log-level', 'debug'], { env });
  // Far more than the buffers between the two hold: it is read.
  await waitUntil(() => server.written - before > 2 ** 23, { what: 'the flood to be read' });
  running.kill('SIGTERM');
  expect((await within(promptly, running.exit)).status).toBe(143);
}

describe('messages that no server sends', () => {
  const foreign = 'what answers there is not a PostgreSQL server';
  const broken = 'the connection broke: what the server sent is not valid';
  const afterLogin = (...bytes: readonly Buffer[]): (() => Answerer) => inOrder(welcome, bytes);
  const atLogin = (...bytes: readonly Buffer[]): (() => Answerer) => inOrder(bytes);
  const raw = (text: string): Buffer => Buffer.from(text, 'latin1');

  test.each<[string, () => Answerer, string]>([
    ['an error without an end', atLogin(raw('E\0\0\0\x0bSFATAL\0')), foreign],
    ['an error whose text goes beyond its length', atLogin(raw('E\0\0\0\x0bSFATALX')), foreign],
    [
      'a server that cannot start a process for us',
      atLogin(raw('Ecould not fork new process for connection: Cannot allocate memory\n\0')),
      'the server says "could not fork new process for connection: Cannot allocate memory"',
    ],
    ['an error without a code', atLogin(report('E', 'SFATAL\0Mno\0')), foreign],
    ['a step of the login without its number', atLogin(raw('R\0\0\0\x04')), foreign],
    ['a step of the login that does not exist', atLogin(authentication(99)), foreign],
    ['mechanisms without an end', atLogin(authentication(10, 'SCRAM-SHA-256\0')), foreign],
    [
      'SCRAM that goes on by itself',
      atLogin(Buffer.concat([authentication(10, 'SCRAM-SHA-256\0\0'), authentication(11, 'r=a,s=c2Fs,i=1')])),
      foreign,
    ],
    ['a setting without an end', atLogin(authentication(0), message('S', 'server_version\x0018')), foreign],
    ['a process id of two bytes', atLogin(authentication(0), message('K', '\0\0')), foreign],
    ['ready without a login', atLogin(ready), foreign],
    ['rows before the login', atLogin(dataRow(['1'])), foreign],
    [
      'a state of the transaction that does not exist',
      atLogin(authentication(0), message('Z', 'X')),
      foreign,
    ],
    ['a length of 0', atLogin(raw('R\0\0\0\0\0\0\0\0')), foreign],
    ['a length of 2 GB', atLogin(raw('R\x7f\xff\xff\xff')), foreign],
    ['a second login', afterLogin(authentication(0)), broken],
    ['a row that is cut off', afterLogin(rowDescription(['a']), message('D', '\0\x01')), broken],
    [
      'a value longer than its row',
      afterLogin(rowDescription(['a']), message('D', Buffer.concat([int16(1), int32(9)]))),
      broken,
    ],
    ['columns that are cut off', afterLogin(message('T', '\0\x01name\0')), broken],
    ['a row without columns before it', afterLogin(dataRow(['1']), complete, ready), broken],
    ['more values than columns', afterLogin(rowDescription(['a']), dataRow(['1', '2'])), broken],
    ['a count of columns below zero', afterLogin(message('T', int16(-1))), broken],
    ['a row of 2 GB', afterLogin(rowDescription(['a']), raw('D\x7f\xff\xff\xff')), broken],
    ['a notification without an end', afterLogin(message('A', '\0\0\0\x01channel\0')), broken],
    ['an end of a command without an end', afterLogin(message('C', 'SELECT')), broken],
    ['a piece of a result that nobody asked for', afterLogin(rowDescription(['a']), message('s')), broken],
    ['the result of a function call', afterLogin(message('V', int32(-1))), broken],
    [
      'two requests for the data of one COPY',
      afterLogin(message('G', '\0\0\0'), message('G', '\0\0\0')),
      broken,
    ],
  ])('%s', async (_what, answers, words) => {
    await using server = await startHostile(answers);
    const { stderr } = await endsInTime(server.url, words, 124);
    expect(stderr).toContain('gave up after ');
  });

  test.each<[string, Buffer, string]>([
    ['pg_hba.conf has gss', authentication(7), 'GSSAPI'],
    ['pg_hba.conf has sspi', authentication(9), 'SSPI'],
    ['pg_hba.conf has oauth', authentication(10, 'OAUTHBEARER\0\0'), 'OAUTHBEARER'],
    ['Kerberos of an old server', authentication(2), 'Kerberos V5'],
  ])('a login that is not supported is said by its name, at once: %s', async (_what, step, name) => {
    await using server = await startHostile(inOrder(step));
    const { stderr } = await endsInTime(
      server.url,
      `the server asks for a login by ${name}, which is not supported here`,
      69,
    );
    expect(stderr).toContain('scram-sha-256');
  });

  const scram =
    (iterations: number, then: Buffer): (() => Answerer) =>
    () =>
    (_turn, said) => {
      const nonce = /n=\*,r=(.*)$/s.exec(said.toString('latin1'))?.[1];
      if (nonce !== undefined) return authentication(11, `r=${nonce}x,s=c2FsdHNhbHQ=,i=${iterations}`);
      if (said.length === 8 && said.readInt32BE(4) === 80_877_103) return raw('N');
      return said.includes(',p=') ? then : authentication(10, 'SCRAM-SHA-256\0\0');
    };
  const refusal = report('E', 'SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed\0');

  test.each([100_001, 250_000, 1_000_000])(
    '%i iterations of SCRAM are worked through',
    async (iterations) => {
      await using server = await startHostile(scram(iterations, refusal));
      const { stderr } = await endsInTime(server.url, 'password authentication failed', 69);
      expect(stderr).toContain('28P01');
    },
  );

  test('more are not', async () => {
    await using server = await startHostile(scram(1_000_001, refusal));
    const { stderr } = await endsInTime(
      server.url,
      'the server asks for more iterations of SCRAM than the 1000000 that are accepted',
      69,
    );
    expect(stderr).toContain('lower scram_iterations');
  });

  test.each([false, true])(
    'a postmaster that ends tells it right behind its N (closing: %s)',
    async (closing) => {
      const ending = report(
        'E',
        'SFATAL\0VFATAL\0C57P01\0Mterminating connection due to unexpected postmaster exit\0',
      );
      await using server = await startHostile((socket) => () => {
        if (closing) setImmediate(() => socket.end());
        return Buffer.concat([raw('N'), ending]);
      });
      const words = 'terminating connection due to unexpected postmaster exit';
      const { stderr } = await endsInTime(server.url, words, 124);
      expect(stderr).toContain('gave up after ');
    },
  );

  test('channel binding offered without TLS: what is between has ended it', async () => {
    await using server = await startHostile(
      inOrder(authentication(10, 'SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0')),
    );
    const { stderr } = await endsInTime(
      server.url,
      'the server offers channel binding (SCRAM-SHA-256-PLUS) on a connection without TLS',
      69,
    );
    expect(stderr).toContain('something between ends TLS');
  });
});

describe('what only looks at the database waits for a server that can be read, and ends at its deadline', () => {
  test.each<[string, Buffer[]]>([
    ['a row that is cut off', [rowDescription(['a']), message('D', '\0\x01')]],
    ['a value that is not of its type', [jsonDescription, dataRow(['L5']), complete, ready]],
  ])('%s', async (_what, answer) => {
    const folder = temporaryDirectory('sql');
    writeFileSync(join(folder.path, '001_a.sql'), 'SELECT 1;\n');
    await using server = await startHostile(inOrder(welcome, answer));
    const looks = [['--status'], ['--forget', 'K'], ['--sql', folder.path, '--dry-run']];
    await Promise.all(
      looks.map(async (look) => {
        const result = await runToDeadline(['migrate-with-lock', '--timeout', '1500ms', ...look], {
          env: { DATABASE_URL: server.url },
        });
        expect(result.stderr).toContain('the connection broke: what the server sent is not valid');
        expect(result.stderr).not.toMatch(/not foreseen|JSON/);
        expect(result.status, result.stderr).toBe(124);
      }),
    );
    folder.remove();
  });
});

describe('another protocol on the port is said to be one, and waited for', () => {
  const greetings: [string, Buffer, string][] = [
    ['HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), '; it says "HTTP/1.1 400 Bad Request"'],
    ['SSH', Buffer.from('SSH-2.0-OpenSSH_9.2p1\r\n'), '; it says "SSH-2.0-OpenSSH_9.2p1"'],
    ['Redis', Buffer.from('-ERR unknown command\r\n'), '; it says "-ERR unknown command"'],
    ['SMTP', Buffer.from('220 mail ESMTP\r\n'), '; it says "220 mail ESMTP"'],
    ['TLS', Buffer.from([0x15, 3, 1, 0, 2, 2, 70]), '; it answers with a TLS alert'],
    ['VNC', Buffer.from('RFB 003.008\n'), '; it says "RFB 003.008"'],
    // The first byte is a length: of each letter with a meaning of its own here, and one without.
    ...['S', 'N', 'E', 'R', 'K', 'Z', 'J'].map((letter): [string, Buffer, string] => [
      `MySQL, whose greeting begins with ${letter}`,
      mysql(letter.charCodeAt(0)),
      '; it says that it is MySQL or MariaDB',
    ]),
  ];
  test.each(greetings)('%s', async (_name, first, words) => {
    await using server = await startHostile(() => () => Buffer.alloc(0), { first });
    await Promise.all(
      ['disable', 'prefer', 'require'].map(async (mode) => {
        const { status, stderr } = await runToDeadline(['wait-postgres', '--timeout', '900ms'], {
          env: { DATABASE_URL: `${server.url}?sslmode=${mode}` },
        });
        expect(stderr).toContain(`what answers there is not a PostgreSQL server${words}`);
        expect(stderr).toContain('is it the right port?');
        expect(status).toBe(124);
      }),
    );
  });
});

describe('floods', () => {
  /** Says it as often as the client takes it. */
  const endless =
    (bytes: Buffer) =>
    (socket: Socket): void => {
      const many = Buffer.concat(Array.from({ length: Math.ceil(65_536 / bytes.length) }, () => bytes));
      const pour = (): void => {
        while (socket.writable && socket.write(many));
      };
      socket.on('drain', pour);
      pour();
    };

  test.each<[string, readonly Buffer[], Buffer]>([
    ['notices at login', [authentication(0)], notice],
    ['settings at login', [authentication(0)], message('S', 'a\0b\0')],
    ['notices in a query', welcome, notice],
    ['notifications in a query', welcome, message('A', '\0\0\0\x01a\0\0')],
    ['empty results', [...welcome], message('I')],
    ['rows', [...welcome], Buffer.concat([rowDescription(['a']), dataRow(['1']), complete])],
    ['one row that does not end', welcome, Buffer.alloc(65_536)],
  ])('%s: cut by the deadline and by SIGTERM', async (what, before, bytes) => {
    await using server = await startHostile((socket) => {
      const script = inOrder(before)();
      let begun = false;
      return (turn, said) => {
        const words = script(turn, said);
        if (words !== before && !begun && words !== undefined && words.length === 0) {
          begun = true;
          if (what === 'one row that does not end') {
            socket.write(rowDescription(['a']));
            socket.write(Buffer.from('D\x03\xff\xff\xff', 'latin1'));
          }
          endless(bytes)(socket);
        } else if (words === before && before.length === 1) {
          setImmediate(() => endless(bytes)(socket));
        }
        return words;
      };
    });
    await isCutInTime(server);
    expect(server.count).toBeGreaterThan(1);
  });
});

describe('what a server says at length is cut, and what is too long to be looked through is withheld', () => {
  const unit = 'A\u001b\n';
  const long = (text: string, more = ''): Buffer => report('E', `SERROR\0VERROR\0CXX000\0M${text}\0${more}`);
  test.each<[string, Buffer, RegExp]>([
    ['99 kB', long(unit.repeat(33_000)), /a text of .* not shown.*XX000/],
    ['8 MB', long('A bcdef '.repeat(1_000_000)), /a text of .* not shown.*XX000/],
    ['15 kB', long(unit.repeat(5_000)), /A\\u001b.*… \(XX000/],
    ['a short one with a detail of 9 MB', long('no', `D${unit.repeat(3_000_000)}\0`), / no \(XX000/],
  ])('an error of %s', async (_what, answer, words) => {
    await using server = await startHostile(inOrder(welcome, [answer, ready]));
    const env = { DATABASE_URL: server.url };
    const result = await runToDeadline(['wait-postgres', '--timeout', '1200ms'], { env });
    expect(result.status).toBe(124);
    expect(result.stderr).toMatch(words);
    expect(Math.max(...result.stderr.split('\n').map((line) => line.length))).toBeLessThan(20_000);
    const running = await startInitbox(['wait-postgres', '--log-level', 'debug'], { env });
    await running.waitForStderr(/XX000/);
    running.kill('SIGTERM');
    expect((await within(promptly, running.exit)).status).toBe(143);
  });
});

describe('what is not the answer to the question is none', () => {
  test.each<[string, readonly Buffer[]]>([
    ['nothing', [ready]],
    ['an empty query', [message('I'), ready]],
    ['the end of another command', [message('C', 'DROP TABLE\0'), ready]],
    ['no row', [rowDescription(['?column?']), message('C', 'SELECT 0\0'), ready]],
    ['another value', [rowDescription(['?column?']), dataRow(['2']), complete, ready]],
    ['two rows', [rowDescription(['?column?']), dataRow(['1']), dataRow(['1']), complete, ready]],
    ['two columns', [rowDescription(['a', 'b']), dataRow(['1', '1']), complete, ready]],
  ])('%s', async (_what, answer) => {
    await using server = await startHostile(inOrder(welcome, answer));
    const result = await runToDeadline(['wait-postgres', '--timeout', '900ms'], {
      env: { DATABASE_URL: server.url },
    });
    expect(result.status, result.stderr).toBe(124);
    expect(result.stderr).toContain('the answer to SELECT 1 was not one row with 1');
    const primary = await runToDeadline(['wait-postgres', '--timeout', '900ms'], {
      env: { DATABASE_URL: `${server.url}?target_session_attrs=read-write` },
    });
    expect(primary.status, primary.stderr).toBe(124);
  });
});

describe('under TLS it is the same', () => {
  test.each<[string, Buffer, number, string]>([
    [
      'an error without an end',
      Buffer.from('E\0\0\0\x0bSFATAL\0', 'latin1'),
      0,
      'what answers there is not a PostgreSQL server',
    ],
    ['HTTP', Buffer.from('HTTP/1.1 400 Bad Request\r\n'), 0, 'it says "HTTP/1.1 400 Bad Request"'],
    ['notices without an end', notice, 65_536, ''],
  ])('%s', async (_what, bytes, repeated, words) => {
    using authority = await createCertificateAuthority();
    const { key, certificate } = await authority.server();
    await using server = await startHostile((socket) => (turn) => {
      if (turn > 0) return Buffer.alloc(0);
      setImmediate(() => {
        socket.removeAllListeners('data');
        const secure = new TLSSocket(socket, { isServer: true, key, cert: certificate });
        secure.on('error', () => {});
        secure.once('data', () => {
          if (repeated === 0) {
            secure.write(bytes);
            return;
          }
          secure.write(authentication(0));
          const many = Buffer.concat(Array.from({ length: repeated / bytes.length }, () => bytes));
          const pour = (): void => {
            while (secure.writable && secure.write(many));
          };
          secure.on('drain', pour);
          pour();
        });
      });
      return Buffer.from('S');
    });
    const url = `${server.url}?sslmode=require`;
    if (repeated > 0) await isCutInTime(server, url);
    else expect(await endsInTime(url, words, 124)).toBeDefined();
  });
});

/** As many more as are wanted: `INITBOX_FUZZ_CASES=50000 INITBOX_FUZZ_SEED=7 npx vitest run …`. */
const cases = Number(process.env['INITBOX_FUZZ_CASES'] ?? 1_500);
const seed = Number(process.env['INITBOX_FUZZ_SEED'] ?? 1);

test(
  `${cases} random and mutated answers, from seed ${seed}: no freeze, no error of the driver, nothing uncaught`,
  async () => {
    const folder = temporaryDirectory('fuzz');
    const child = spawn(
      nodePath(),
      [join(import.meta.dirname, 'fuzz.ts'), String(seed), String(cases), folder.path],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let said = '';
    let heard = performance.now();
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        said = `${said}${text}`.slice(-4_000);
        heard = performance.now();
      });
    }
    // A frozen process says nothing, and cannot end itself.
    const watch = setInterval(() => {
      if (performance.now() - heard > 30_000) child.kill('SIGKILL');
    }, 500);
    const status = await new Promise((resolve) => child.on('close', resolve));
    clearInterval(watch);
    folder.remove();
    expect(said).toContain(`done ${cases}`);
    expect(status).toBe(0);
  },
  60_000 + cases * 20,
);

describe('what a server says makes no line of its own', () => {
  const forged = 'no\r\nhint: run this\n2026-01-01T00:00:00.000Z info  wait-postgres: done\n\u001b[2J\u009b';
  const commands = [
    ['wait-postgres', '--timeout', '700ms'],
    ['migrate-with-lock', '--timeout', '700ms', '--', 'true'],
    ['migrate-with-lock', '--timeout', '700ms', '--status'],
  ];

  test.each([
    ['28P01', 69],
    ['57P03', 124],
  ] as const)('%s', async (code, status) => {
    await using server = await startHostile(
      inOrder(report('E', `SFATAL\0VFATAL\0C${code}\0M${Buffer.from(forged).toString('latin1')}\0`)),
    );
    const env = { DATABASE_URL: server.url };
    for (const [name = '', ...args] of commands) {
      const log = terminationLog();
      const result = await runToDeadline([name, '--termination-log', log.path, ...args], { env });
      expect(result.status).toBe(status);
      expect(result.stderr).toContain('no hint: run this');
      for (const line of result.stderr.trimEnd().split('\n'))
        expect(line).toMatch(
          /^20\S+Z (info {2}(wait-postgres|migrate-with-lock): |error (initbox | {2}|hint: ))/,
        );
      expect(result.stderr).not.toMatch(/^\S+ (error hint: run|info {2}wait-postgres: done)/m);
      // oxlint-disable-next-line no-control-regex -- these are what it is about
      expect(result.stderr).not.toMatch(/[\u001b\u009b]/);
      expect(log.read()).toMatch(/^initbox \S+: .*(\n {2}.*)*(\nhint: (?!run).*)*$/);
      const json = await runToDeadline([name, '--log-format', 'json', ...args], { env });
      const last = JSON.parse(json.stderr.trimEnd().split('\n').at(-1) ?? '') as { msg: string };
      expect(last.msg).toContain(forged);
      expect(json.stderr).not.toContain('\u009b');
    }
  });

  test('nor does the name of a file', async () => {
    const folder = temporaryDirectory('names');
    writeFileSync(join(folder.path, '1_a.sql'), '');
    writeFileSync(join(folder.path, 'b\nhint: run this.sql'), '');
    const result = await runInitbox(['migrate-with-lock', '--sql', folder.path], {
      env: { DATABASE_URL: 'postgres://app:x@127.0.0.1:1/app' },
    });
    expect(result.status).toBe(2);
    expect(result.stderr).toContain('b hint: run this.sql');
    expect(
      result.stderr
        .trimEnd()
        .split('\n')
        .filter((line) => / hint: /.test(line.slice(24, 40))),
    ).toEqual([]);
    folder.remove();
  });
});
