// mongodb:// on FerretDB, and on servers that are played: FerretDB knows no replica sets. What these say is what mongod
// 7.0 says (https://www.mongodb.com/docs/manual/reference/command/hello/).
import { createServer, type Server } from 'node:net';

import { afterEach, beforeAll, describe, expect, test } from 'vitest';

import { startDnsServer, type DnsRecord } from '../../../support/dns-server.ts';
import {
  canUseFerretdb,
  ferretdbBinary,
  playMongodb,
  startFerretdb,
  type PlayedAnswer,
  type PlayedDocument,
} from '../../../support/mongodb.ts';
import { freePort } from '../../../support/ports.ts';
import { runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { createCertificateAuthority } from '../../../support/tls.ts';
import { requireOrSkip } from '../../../support/tools.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

const notYet = (target: string, said: RegExp) =>
  runToDeadline(['wait', '--timeout', '1s', target], { answered: (stderr) => said.test(stderr) });

/** Runs until it is known that it waits for the right reason. */
async function expectNotYet(target: string, said: RegExp): Promise<void> {
  const { status, stderr } = await notYet(target, said);
  expect({ status, stderr }).toMatchObject({ status: 124, stderr: expect.stringMatching(said) });
}

async function expectStatus(
  expected: number,
  target: string,
  said: RegExp,
  env: Record<string, string> = {},
): Promise<void> {
  const { status, stderr } = await runInitbox(['wait', target], { env });
  expect({ status, stderr }).toMatchObject({ status: expected, stderr: expect.stringMatching(said) });
  expect(stderr).not.toContain('hunter2');
}

describe.skipIf(requireOrSkip('wait for MongoDB', canUseFerretdb()))('wait for a real server', () => {
  beforeAll(async () => void (await ferretdbBinary()), 900_000);

  test('one that comes up later', async () => {
    const port = await freePort();
    const waiting = await startInitbox(['wait', `mongodb://127.0.0.1:1,127.0.0.1:${port}/app`]);
    await waiting.waitForStderr(/connection refused/);
    await using _ = await startFerretdb({ port });
    const { status, stderr } = await waiting.exit;
    expect({ status, stderr }).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/answers \(a server alone, or a router, 127\.0\.0\.1:/),
    });
  });

  test('its logins', async () => {
    await using server = await startFerretdb({ user: { name: 'app', password: 'hunter2,=%' } });
    const at = (user: string, rest: string) => `mongodb://${user}127.0.0.1:${server.port}${rest}`;
    const written = 'app:hunter2%2C%3D%25@';
    for (const rest of [
      '/app',
      '/?authSource=app',
      '/app?authMechanism=SCRAM-SHA-256&retryWrites=true&w=majority',
      '/app?authMechanism=SCRAM-SHA-1',
    ])
      await expectStatus(0, at(written, rest), /answers \(/);
    await expectStatus(0, at('app@', '/app?password-env=PW'), /answers \(/, { PW: 'hunter2,=%' });
    await expectStatus(
      69,
      at('app:wrong@', '/app'),
      /\(18, 127\.0\.0\.1:.*stage login \(passed tcp, protocol\)/s,
    );
    await expectStatus(69, at('nobody:hunter2@', '/app'), /\(18, /);
    await expectStatus(69, at('', '/app'), /give a user and its password/);
  });

  test('TLS, and a collection that is not there', async () => {
    using authority = await createCertificateAuthority();
    const certificate = await authority.server(['localhost']);
    const client = await authority.client();
    await using server = await startFerretdb({
      tls: { ...certificate, authorityFile: authority.certificateFile },
    });
    const at = `mongodb://localhost:${server.tlsPort}`;
    const shown = `cert-file=${client.certificateFile}&key-file=${client.keyFile}`;
    for (const options of [
      `tls=true&tlsCAFile=${authority.certificateFile}&${shown}`,
      `ssl=true&ca-file=${authority.certificateFile}&${shown}`,
      `tls=true&tlsInsecure=true&${shown}`,
    ])
      await expectStatus(0, `${at}/?${options}`, /answers \(/);
    await expectStatus(69, `${at}/?tls=true&${shown}`, /certificate.*stage tls/s);
    await expectStatus(
      69,
      `mongodb://127.0.0.1:${server.tlsPort}/?tls=true&ca-file=${authority.certificateFile}&${shown}`,
      /certificate.*stage tls/s,
    );
    await expectStatus(
      0,
      `mongodb://127.0.0.1:${server.tlsPort}/?tls=true&tlsAllowInvalidHostnames=true&ca-file=${authority.certificateFile}&${shown}`,
      /answers \(/,
    );
    await expectNotYet(
      `mongodb://127.0.0.1:${server.port}/app?collection=orders`,
      /has no collection "orders" in the database "app" .*stage assertion \(passed tcp, protocol\)/,
    );
    await expectNotYet(`mongodb://127.0.0.1:${server.port}/?replicaSet=rs0`, /is not part of a replica set/);
    await expectNotYet(`mongodb://127.0.0.1:${server.port}/?secondary`, /a secondary is required/);
  });
});

const ok = { ok: 1 };
const found = {
  cursor: {
    firstBatch: { 0: { name: 'orders', type: 'collection' } },
    id: 0,
    ns: 'app.$cmd.listCollections',
  },
  ...ok,
};

/** A member of a set; what it says of itself comes from `hello`. */
const member =
  (hello: (address: string) => PlayedDocument, others: PlayedAnswer = found) =>
  (command: string, address: string): PlayedAnswer =>
    command === 'hello'
      ? { setName: 'rs0', secondary: false, ...hello(address), maxWireVersion: 21, ...ok }
      : others;

const primary = member((me) => ({ isWritablePrimary: true, me, primary: me, hosts: [me] }));

describe('wire versions', () => {
  test.each([
    [
      'newer',
      { minWireVersion: 26, maxWireVersion: 40 },
      69,
      /speaks MongoDB’s protocol from wire version 26 on, where 6 to 25/,
    ],
    [
      'older',
      { minWireVersion: 0, maxWireVersion: 5 },
      69,
      /up to wire version 5.*hint: the server is older than MongoDB 3\.6/s,
    ],
    ['of which one is known', { minWireVersion: 25, maxWireVersion: 40 }, 0, /answers/],
    ['the first', { minWireVersion: 0, maxWireVersion: 6 }, 0, /answers/],
    ['of which nothing is said', {}, 0, /answers/],
  ])('%s', async (_, versions, status, said) => {
    await using server = await playMongodb((command) =>
      command === 'hello' ? { isWritablePrimary: true, ...versions, ...ok } : found,
    );
    await expectStatus(status, `mongodb://${server.address}/app`, said);
  });
});

describe('members of a replica set', () => {
  test('a set without a primary, which gets one', async () => {
    let elected = false;
    await using server = await playMongodb(
      member((me) => ({
        isWritablePrimary: elected,
        secondary: !elected,
        me,
        hosts: [me],
        ...(elected ? { primary: me } : {}),
      })),
    );
    const waiting = await startInitbox(['wait', `mongodb://${server.address}/app?replicaSet=rs0`]);
    await waiting.waitForStderr(/the replica set "rs0" has no primary \(.*stage assertion/);
    elected = true;
    expect(await waiting.exit).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/answers \(primary of "rs0", /),
    });
  });

  test('the primary is found where a secondary says that it is, and must be reached', async () => {
    await using leader = await playMongodb(primary);
    const follower = (leads: string) =>
      member((me) => ({ isWritablePrimary: false, secondary: true, me, primary: leads, hosts: [me, leads] }));
    await using other = await playMongodb(follower(leader.address));
    await using lost = await playMongodb(follower('127.0.0.1:1'));
    for (const options of ['', '?replicaSet=rs0', '?secondary&primary', '?readPreference=nearest'])
      await expectStatus(
        0,
        `mongodb://${other.address}/${options}`,
        /answers \((?:primary|secondary) of "rs0"/,
      );
    expect(leader.commands).toContain('listCollections');
    await expectNotYet(
      `mongodb://${lost.address}`,
      /the set tells clients to use 127\.0\.0\.1:1: connection refused/,
    );
    for (const options of [
      '?directConnection=true',
      '?readPreference=secondary',
      '?directConnection=true&secondary',
    ])
      await expectStatus(0, `mongodb://${lost.address}/${options}`, /answers \(secondary of "rs0"/);
    await expectNotYet(`mongodb://${lost.address}/?directConnection=true&primary`, /has no primary/);
    await expectNotYet(`mongodb://${leader.address}/?secondary`, /has no secondary yet/);
  });

  test.each([
    [
      'not initiated',
      { isWritablePrimary: false, setName: undefined, isreplicaset: true },
      '',
      /the replica set is not initiated yet/,
    ],
    [
      'starting',
      { isWritablePrimary: false },
      '',
      /a member of the replica set "rs0" that starts or recovers/,
    ],
    ['starting, alone', { isWritablePrimary: false }, '?directConnection=true', /that starts or recovers/],
    ['an arbiter', { isWritablePrimary: false, arbiterOnly: true }, '', /has no primary/],
  ])('one that is %s', async (_, hello, options, said) => {
    await using server = await playMongodb((command) => {
      const { setName, ...rest } = { setName: 'rs0' as string | undefined, ...hello };
      return command === 'hello' ? { ...(setName === undefined ? {} : { setName }), ...rest, ...ok } : found;
    });
    await expectNotYet(`mongodb://${server.address}/${options}`, said);
  });

  test('one that is not initiated is there for who initiates it', async () => {
    await using server = await playMongodb(() => ({ isWritablePrimary: false, isreplicaset: true, ...ok }));
    await expectStatus(
      0,
      `mongodb://${server.address}/?directConnection=true`,
      /answers hello \(not initiated yet/,
    );
  });

  test('a hidden member, and one that its set does not list, are not what clients use', async () => {
    const secondary = { isWritablePrimary: false, secondary: true };
    await using hidden = await playMongodb(
      member((me) => ({ ...secondary, me, hidden: true, passive: true, hosts: ['127.0.0.1:1'] })),
    );
    await expectNotYet(`mongodb://${hidden.address}/?secondary`, /a hidden member of the replica set "rs0"/);
    await expectNotYet(
      `mongodb://${hidden.address}/?readPreference=nearest`,
      /hidden member|the set tells clients to use/,
    );
    await using stray = await playMongodb(member((me) => ({ ...secondary, me, hosts: ['127.0.0.1:1'] })));
    await expectNotYet(`mongodb://${stray.address}/?secondary`, /has no secondary yet/);
    await expectStatus(
      0,
      `mongodb://${stray.address}/?directConnection=true&secondary`,
      /answers \(secondary/,
    );
    await using passive = await playMongodb(
      member((me) => ({ ...secondary, me, passive: true, hosts: ['127.0.0.1:1'], passives: [me] })),
    );
    await expectStatus(0, `mongodb://${passive.address}/?secondary`, /answers \(secondary of "rs0"/);
  });

  test('another set is final', async () => {
    await using server = await playMongodb(primary);
    await expectStatus(69, `mongodb://${server.address}/?replicaSet=rs1`, /"rs0", not of "rs1"/);
  });

  test('one that knows isMaster alone', async () => {
    await using server = await playMongodb((command) => {
      if (command === 'hello') return { ok: 0, code: 59, errmsg: "no such command: 'hello'" };
      return command === 'isMaster' ? { ismaster: true, ...ok } : found;
    });
    await expectStatus(0, `mongodb://${server.address}/app?collection=orders`, /answers \(/);
    expect(server.commands).toEqual(['hello', 'isMaster', 'listCollections']);
  });

  test('another collection than the one that was asked for is none', async () => {
    const other = { ...found.cursor, firstBatch: { 0: { name: 'orders2', type: 'collection' } } };
    await using server = await playMongodb((command) =>
      command === 'hello' ? { isWritablePrimary: true, ...ok } : { cursor: other, ...ok },
    );
    const { status, stderr } = await notYet(
      `mongodb://${server.address}/app?collection=orders`,
      /has no collection "orders"/,
    );
    expect({ status, stderr }).toMatchObject({ status: 124 });
  });

  // https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
  test.each([
    [13436, 'node is not in primary or recovering state', /it is waited for/],
    [11600, 'interrupted at shutdown', /its successor is waited for/],
    [91, 'The server is in quiesce mode and will shut down', /its successor is waited for/],
    [189, 'Primary stepped down while waiting for replication', /elects a primary/],
    [10107, 'not primary', /elects a primary/],
    [94, 'Received replSetInitiate', /rs\.initiate/],
    [133, 'Could not find host matching read preference', /have no primary yet/],
  ])('error %d is waited for, with a hint', async (code, errmsg, hint) => {
    await using server = await playMongodb((command) =>
      command === 'hello' ? { isWritablePrimary: true, ...ok } : { ok: 0, code, errmsg },
    );
    const { status, stderr } = await notYet(`mongodb://${server.address}`, new RegExp(`\\(${code}, `));
    expect({ status, stderr }).toMatchObject({ status: 124, stderr: expect.stringMatching(hint) });
    expect(stderr).toContain(errmsg);
  });
});

describe('mongodb+srv://', () => {
  test('hosts, set and authSource come from DNS, with TLS unless told otherwise', async () => {
    await using dns = await startDnsServer({ address: '127.0.0.9', port: 53 });
    await using server = await playMongodb(primary);
    const files = { '/etc/resolv.conf': 'nameserver 127.0.0.9\nsearch example.test\n' };
    const record = (target: string) => ({
      records: [{ type: 'SRV' as const, target, port: server.port }],
    });
    dns.answer('_mongodb._tcp.cluster.db.test', 'SRV', record('one.db.test'));
    dns.answer('cluster.db.test', 'TXT', { records: [{ type: 'TXT', text: 'replicaSet=rs0' }] });
    dns.answer('one.db.test', 'A', ['127.0.0.1']);
    const run = (target: string) =>
      runToDeadline(['wait', '--timeout', '2s', target], {
        files,
        answered: (stderr) => !/not tried yet|no answer yet/.test(stderr),
      });
    expect(await run('mongodb+srv://cluster.db.test/?tls=false')).toMatchObject({
      status: 0,
      stderr: expect.stringMatching(/cluster\.db\.test.* answers \(primary of "rs0"/),
    });
    // The server that is played has no TLS, and its answer to a ClientHello is silence.
    expect(await run('mongodb+srv://cluster.db.test?attempt-timeout=500ms')).toMatchObject({
      status: 124,
      stderr: expect.stringMatching(/TLS handshake/),
    });
    expect(await run('mongodb+srv://cluster.db.test/?tls=false&replicaSet=rs1')).toMatchObject({
      status: 69,
      stderr: expect.stringMatching(/not of "rs1"/),
    });
    dns.answer('_mongodb._tcp.cluster.db.test', 'SRV', record('one.db.example'));
    expect(await run('mongodb+srv://cluster.db.test/?tls=false')).toMatchObject({
      status: 69,
      stderr: expect.stringMatching(/names one\.db\.example, which is in another domain/),
    });
    expect(await run('mongodb+srv://nosuch.db.test')).toMatchObject({
      status: 124,
      stderr: expect.stringMatching(/NXDOMAIN for _mongodb\._tcp\.nosuch\.db\.test.*stage dns/),
    });
  });

  test('records that drivers refuse are named, and final', async () => {
    await using dns = await startDnsServer({ address: '127.0.0.9', port: 53 });
    const files = { '/etc/resolv.conf': 'nameserver 127.0.0.9\n' };
    const srv = (target: string, port: number) => ({ type: 'SRV' as const, target, port });
    const good = srv('one.db.test', 27_017);
    dns.answer('one.db.test', 'A', ['127.0.0.1']);
    const cases: [string, DnsRecord[], DnsRecord[], number, RegExp][] = [
      ['port', [srv('one.db.test', 0)], [], 69, /port\.db\.test names port 0 of one\.db\.test/],
      ['odd', [srv('o\u001B[31m\n;ne.db.test', 27_017)], [], 69, /names a server that is not a host name/],
      ['dot', [srv('.', 0)], [], 124, /dot\.db\.test has the target "\.": there is no such service/],
      ...(
        [
          ['tls', 'tls=false', /TXT record of tls\.db\.test has tls; only authSource, replicaSet/],
          ['insecure', 'authSource=admin&tlsInsecure=true', /has tlsInsecure; only authSource/],
          ['spf', 'v=spf1 -all', /has v; only authSource/],
          ['bytes', '\u001B[31m=x', /has something else; only authSource/],
        ] as const
      ).map(([name, text, said]): (typeof cases)[number] => [
        name,
        [good],
        [{ type: 'TXT', text }],
        69,
        said,
      ]),
      [
        'two',
        [good],
        [
          { type: 'TXT', text: 'authSource=a' },
          { type: 'TXT', text: 'authSource=b' },
        ],
        69,
        /two\.db\.test has 2 TXT records, and one is supported/,
      ],
    ];
    for (const [label, members, texts, status, said] of cases) {
      dns.answer(`_mongodb._tcp.${label}.db.test`, 'SRV', { records: members });
      dns.answer(`${label}.db.test`, 'TXT', texts.length === 0 ? 'NODATA' : { records: texts });
      const args = ['wait', '--timeout', '2s', `mongodb+srv://${label}.db.test/?tls=false`];
      const { status: ended, stderr } = await runToDeadline(args, {
        files,
        answered: (text) => !/not tried yet|no answer yet/.test(text),
      });
      expect({ label, status: ended, stderr }).toMatchObject({ status, stderr: expect.stringMatching(said) });
      expect(stderr).not.toContain('\u001B');
    }
  });
});

describe('what says that it is MongoDB', () => {
  const int = (value: number): string => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    return bytes.toString('latin1');
  };
  const message =
    (document: string, offset = 0) =>
    (request: number): string =>
      `${int(document.length + 21)}${int(9)}${int(request + offset)}${int(2013)}${int(0)}\0${document}`;
  const not = /what answers there is not MongoDB .*stage protocol \(passed tcp\)/;

  test.each([
    ['HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n', not],
    ['SSH', 'SSH-2.0-OpenSSH_9.2\r\n', not],
    ['a length that no answer has', int(0x7f_ff_ff_ff), not],
    ['a negative length', int(-1), not],
    ['the answer to something else', message(`${int(5)}\0`, 7), not],
    ['bytes without end', int(1 << 20) + 'x'.repeat(2_000_000), not],
    ['an empty document', message(`${int(5)}\0`), not],
    ['a document that is longer than its message', message(`${int(500)}\0`), not],
    ['a text that is longer than its document', message(`${int(16)}\x02a\0${int(999)}x\0\0`), not],
    ['a text of a negative length', message(`${int(14)}\x02a\0${int(-9)}\0\0\0`), not],
    ['a type that there is not', message(`${int(9)}\x63a\0\0\0`), not],
    ['documents without end', message(nested(200)), not],
    ['half an answer', int(100), /connection closed/],
    ['nothing', '', /closes the connection instead of an answer .*stage protocol/],
  ])('%s', async (_, bytes, said) => {
    const server = createServer((socket) => {
      socket.on('error', () => {});
      socket.once('data', (asked: Buffer) =>
        socket.end(Buffer.from(typeof bytes === 'string' ? bytes : bytes(asked.readInt32LE(4)), 'latin1')),
      );
    });
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    await expectNotYet(`mongodb://127.0.0.1:${port}`, said);
  });

  function nested(depth: number): string {
    let document = `${int(5)}\0`;
    for (let count = 0; count < depth; count += 1)
      document = `${int(document.length + 8)}\x03a\0${document}\0`;
    return document;
  }

  test('silence', async () => {
    await using server = await playMongodb(() => undefined);
    await expectNotYet(
      `mongodb://${server.address}?attempt-timeout=300ms`,
      /saying hello to .*: no answer within 300ms/,
    );
  });

  test('what it says back of a login is not shown', async () => {
    const said: string[] = [];
    await using server = await playMongodb((command, _, bytes) => {
      if (command === 'hello') return { isWritablePrimary: true, ...ok };
      const [text = ''] = /(?:n,,n=|c=biws,)[\w=+/,]+/.exec(bytes.toString('latin1')) ?? [];
      const nonce = /r=([^,]+)/.exec(text)?.[1] ?? '';
      said.push(...text.split(',').map((part) => part.slice(2)));
      if (command === 'saslContinue') return { code: 18, errmsg: `no: ${text}`, ok: 0 };
      return { conversationId: 1, done: false, payload: Buffer.from(`r=${nonce}x,s=eA==,i=4096`), ...ok };
    });
    const { status, stderr } = await runInitbox(['wait', `mongodb://app:hunter2@${server.address}`]);
    expect({ status, stderr }).toMatchObject({ status: 69, stderr: expect.stringContaining('no: c=biws') });
    const parts = said.filter((part) => part.length > 20);
    expect(parts.length).toBeGreaterThanOrEqual(3);
    for (const part of parts) expect(stderr).not.toContain(part.replace(/x$/, ''));
  });

  test('a login that is none of SCRAM', async () => {
    await using server = await playMongodb((command) =>
      command === 'hello'
        ? { isWritablePrimary: true, ...ok }
        : { conversationId: 1, done: false, payload: Buffer.from('r=x,s=eA==,i=4096'), ...ok },
    );
    await expectNotYet(`mongodb://app:hunter2@${server.address}`, /is not MongoDB .*stage login/);
  });
});

describe('a mistake in a MongoDB URL', () => {
  test.each([
    ['mongodb://h/a/b', /is one database/],
    ['mongodb://h/?nosuch=1', /unknown option nosuch/],
    ['mongodb://h/?tls=yes', /tls is true or false/],
    ['mongodb://h/?tlsCAFile=/ca', /tlsCAFile has no effect without TLS; write tls=true/],
    ['mongodb://h/?insecure', /insecure has no effect without TLS/],
    ['mongodb://h/?authMechanism=MONGODB-AWS', /authMechanism is not one of SCRAM-SHA-1, SCRAM-SHA-256/],
    ['mongodb://h/?proxyHost=p', /SOCKS5 proxies are not supported/],
    ['mongodb://a,b/?directConnection=true', /the URL names several/],
    ['mongodb+srv://a:27017', /SRV records name it/],
    ['mongodb+srv://a,b', /several hosts/],
    ['mongodb+srv://10.0.0.1', /SRV records are of a name/],
    ['mongodb+srv://a/?srvServiceName=a.b', /srvServiceName is not the name of a service/],
    ['mongodb://h/?replicaSet=$(RS)', /the variable RS in it was not replaced/],
    ['mongodb://app@h', /the user "app" has no password/],
    ['mongodb://app:hun?ter2@h', /argument 1/],
  ])('%s', async (target, said) => {
    const { status, stderr } = await runInitbox(['wait', target]);
    expect({ status, stderr }).toMatchObject({ status: 2, stderr: expect.stringMatching(said) });
    expect(stderr).not.toContain('ter2');
  });
});
