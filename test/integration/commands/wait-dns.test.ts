import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { startDnsServer, type DnsServer } from '../../support/dns-server.ts';
import { runInitbox, runToDeadline, startInitbox, terminationLog } from '../../support/program.ts';
import { promptly, within } from '../../support/promptly.ts';
import { waitUntil } from '../../support/wait-until.ts';

let dns: DnsServer;
let second: DnsServer;
beforeAll(async () => {
  dns = await startDnsServer({ address: '127.0.0.54', port: 53 });
  second = await startDnsServer({ address: '127.0.0.55', port: 53 });
});
afterAll(async () => {
  await dns.stop();
  await second.stop();
});
beforeEach(() => {
  for (const server of [dns, second]) server.answerOthers('NXDOMAIN');
});

const pod = {
  '/etc/resolv.conf':
    'search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 127.0.0.54\noptions ndots:5\n',
};
const direct = ['--server', '127.0.0.54'];

describe('wait-dns', () => {
  test('a name as the pod resolves it, by the search list', async () => {
    dns.answer('one.shop.svc.cluster.local', 'A', ['10.96.1.2']);
    const { status, stderr } = await runInitbox(['wait-dns', 'one'], { files: pod });
    expect(stderr).toContain('one is 10.96.1.2');
    expect(status).toBe(0);
  });

  test('a full name with five dots or more is asked as it is first; a trailing dot asks nothing else', async () => {
    dns.answer('a.b.c.d.e.example', 'A', ['10.0.0.1']);
    const before = dns.queries.length;
    expect(await runInitbox(['wait-dns', 'a.b.c.d.e.example'], { files: pod })).toMatchObject({ status: 0 });
    expect(new Set(dns.queries.slice(before).map(({ name }) => name))).toEqual(
      new Set(['a.b.c.d.e.example']),
    );
    await runToDeadline(['wait-dns', 'absolute.', '--timeout', '300ms'], { files: pod });
    expect(dns.queries.some(({ name }) => name.startsWith('absolute.shop'))).toBe(false);
    expect(dns.count('absolute')).toBeGreaterThan(0);
  });

  test('it says which of the expanded names got what', async () => {
    dns.answer('mixed.shop.svc.cluster.local', '*', 'SERVFAIL');
    dns.answer('mixed.svc.cluster.local', '*', 'NODATA');
    const log = terminationLog();
    const { status } = await runToDeadline(
      ['wait-dns', 'mixed', '--timeout', '500ms', '--termination-log', log.path],
      { files: pod },
    );
    expect(status).toBe(124);
    expect(log.read()).toContain('SERVFAIL from 127.0.0.54 for mixed.shop.svc.cluster.local');
    expect(log.read()).toContain('no A or AAAA record for mixed.svc.cluster.local');
    expect(log.read()).toContain('NXDOMAIN for mixed.cluster.local, mixed');
  });

  test('a silent name server: it says so, the deadline cuts it, and the exit does not wait for it', async () => {
    dns.answer('dead.example', '*', 'silence');
    const words = /no answer from 127\.0\.0\.54 for dead\.example/;
    const result = await runToDeadline(['wait-dns', 'dead.example', '--timeout', '800ms', ...direct], {
      answered: (said) => words.test(said),
    });
    expect(result.status).toBe(124);
    expect(result.stderr).toMatch(words);
  });

  test('a silent name server, and SIGTERM: out within 200 ms', async () => {
    dns.answer('dead.example', '*', 'silence');
    const before = dns.count('dead.example');
    const waiting = await startInitbox(['wait-dns', 'dead.example', ...direct]);
    await waitUntil(() => dns.count('dead.example') > before, { what: 'the question' });
    waiting.kill('SIGTERM');
    expect((await within(promptly, waiting.exit)).status).toBe(143);
  });

  test('a second name server answers where the first is silent or fails', async () => {
    const files = { '/etc/resolv.conf': 'nameserver 127.0.0.54\nnameserver 127.0.0.55\n' };
    for (const trouble of ['silence', 'SERVFAIL', 'REFUSED'] as const) {
      dns.answer(`${trouble}.example`.toLowerCase(), '*', trouble);
      second.answer(`${trouble}.example`.toLowerCase(), 'A', ['10.0.0.9']);
      const result = await runInitbox(['wait-dns', `${trouble}.example`.toLowerCase(), '--timeout', '10s'], {
        files,
      });
      expect(result.stderr).toContain('10.0.0.9');
      expect(result).toMatchObject({ status: 0 });
      expect(result.milliseconds).toBeLessThan(4_900);
    }
  });

  test('asked anew at every attempt: a name that vanishes is seen to vanish, whatever its TTL', async () => {
    dns.answer('leaving.example', 'A', { records: [{ type: 'A', address: '10.0.0.1', ttl: 3_600 }] });
    const waiting = await startInitbox([
      'wait-dns',
      'leaving.example.',
      '--invert',
      '--timeout',
      '20s',
      ...direct,
    ]);
    await waiting.waitForStderr(/still there: is 10\.0\.0\.1/);
    dns.forget('leaving.example');
    const { status, stderr } = await waiting.exit;
    expect(stderr).toContain('gone: NXDOMAIN');
    expect(status).toBe(0);
  });

  test('--min-addresses waits for the pods of a headless Service', async () => {
    dns.answer('kafka.example', 'A', ['10.0.0.1', '10.0.0.2']);
    const waiting = await startInitbox([
      'wait-dns',
      'kafka.example.',
      '--min-addresses',
      '3',
      '--timeout',
      '20s',
      ...direct,
    ]);
    await waiting.waitForStderr(/kafka\.example\. has 2 of 3 addresses/);
    dns.answer('kafka.example', 'A', ['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    expect((await waiting.exit).status).toBe(0);
  });

  test('--min-addresses counts each family by itself: a pod has an address of each', async () => {
    dns.answer('dual.example', 'A', ['10.0.0.1', '10.0.0.2']);
    dns.answer('dual.example', 'AAAA', ['fd00::1', 'fd00::2']);
    const args = ['wait-dns', 'dual.example.', '--timeout', '500ms', ...direct, '--min-addresses'];
    expect(await runToDeadline([...args, '2'])).toMatchObject({ status: 0 });
    const { status, stderr } = await runToDeadline([...args, '3']);
    expect(stderr).toContain('dual.example. has 2 of 3 addresses of one family: 10.0.0.1, 10.0.0.2, fd00::1');
    expect(status).toBe(124);
  });

  test('a name of the hosts file is not said twice; one of the search list is said in full', async () => {
    const own = await runToDeadline(['wait-dns', 'localhost', '--min-addresses', '9', '--timeout', '300ms']);
    expect(own.stderr).toMatch(/ready; localhost has \d of 9 addresses/);
    dns.answer('two.shop.svc.cluster.local', 'A', ['10.96.1.2']);
    const expanded = await runToDeadline(['wait-dns', 'two', '--expect', '10.0.0.1', '--timeout', '300ms'], {
      files: pod,
    });
    expect(expanded.stderr).toContain(
      'ready; two as two.shop.svc.cluster.local is 10.96.1.2, without 10.0.0.1',
    );
  });

  test('a name server where nothing listens: that is what the hint tells', async () => {
    const { status, stderr } = await runToDeadline([
      'wait-dns',
      'a.',
      '--server',
      '127.0.0.1:1',
      '--timeout',
      '300ms',
    ]);
    expect(stderr).toContain('a. connection refused from 127.0.0.1:1 for a');
    expect(stderr).toContain('hint: nothing listens at port 53 of a name server');
    expect(status).toBe(124);
  });

  test('an address resolves to itself', async () => {
    const result = await runInitbox(['wait-dns', '10.0.0.4', 'fd00::4', ...direct]);
    expect(result).toMatchObject({ status: 0 });
  });

  test('a name server given by name is resolved as the pod does', async () => {
    dns.answer('dns.shop.svc.cluster.local', 'A', ['127.0.0.55']);
    second.answer('elsewhere.example', 'A', ['10.0.0.8']);
    const args = ['wait-dns', 'elsewhere.example.', '--timeout', '500ms', '--server'];
    const found = await runToDeadline([...args, 'dns'], { files: pod });
    expect(found.stderr).toContain('elsewhere.example. is 10.0.0.8');
    expect(found.status).toBe(0);
    const unknown = await runToDeadline([...args, 'nobody', '--invert'], { files: pod });
    expect(unknown.stderr).toContain('the name server nobody is unknown: NXDOMAIN for nobody.shop');
    expect(unknown.status).toBe(124);
  });

  test('a record type that gets no answer does not hold up the one that does', async () => {
    dns.answer('half.example', 'A', ['10.0.0.6']);
    dns.answer('half.example', 'AAAA', 'silence');
    const result = await runInitbox(['wait-dns', 'half.example.', '--timeout', '20s', ...direct]);
    expect(result.stderr).toContain('half.example. is 10.0.0.6');
    expect(result.status).toBe(0);
    expect(result.milliseconds).toBeLessThan(15_000);
  });

  // A limit below the second for which other types are waited for: the last attempt is cut with one answer in hand.
  test.each(['700ms', '12s'])('A answered, AAAA silent, --timeout %s: one is enough', async (timeout) => {
    dns.answer('half.example', 'A', ['10.0.0.7']);
    dns.answer('half.example', 'AAAA', 'silence');
    const { status, stderr } = await runToDeadline([
      'wait-dns',
      'half.example',
      '--timeout',
      timeout,
      ...direct,
    ]);
    expect(stderr).toContain('half.example is 10.0.0.7 after ');
    expect(stderr).not.toContain('0 of 1');
    expect(status).toBe(0);
  });

  test('A answered with too few addresses, AAAA silent: says what the answer lacks', async () => {
    dns.answer('few.example', 'A', ['10.0.0.8']);
    dns.answer('few.example', 'AAAA', 'silence');
    const { status, stderr } = await runToDeadline([
      'wait-dns',
      'few.example',
      '--min-addresses',
      '2',
      '--timeout',
      '700ms',
      ...direct,
    ]);
    expect(stderr).toContain('few.example has 1 of 2 addresses: 10.0.0.8');
    expect(status).toBe(124);
  });

  test('--expect', async () => {
    dns.answer('switch.example', 'A', ['10.0.0.1']);
    dns.answer('switch.example', 'AAAA', ['fd00::1']);
    const args = ['wait-dns', 'switch.example.', '--timeout', '500ms', ...direct];
    expect(await runToDeadline([...args, '--expect', '10.0.0.1', '--expect', 'FD00:0:0::1'])).toMatchObject({
      status: 0,
    });
    const { status, stderr } = await runToDeadline([...args, '--expect', '10.0.0.2']);
    expect(stderr).toContain('without 10.0.0.2');
    expect(status).toBe(124);
  });

  test.each([
    [
      'SRV',
      'srv.example',
      { records: [{ type: 'SRV', target: 'db-0.example', port: 5432 }] },
      'db-0.example:5432',
    ],
    ['CNAME', 'alias.example', { records: [{ type: 'CNAME', target: 'real.example' }] }, 'real.example'],
    ['MX', 'mail.example', { records: [{ type: 'MX', target: 'mx-0.example' }] }, 'mx-0.example'],
    ['NS', 'zone.example', { records: [{ type: 'NS', target: 'ns-1.example' }] }, 'ns-1.example'],
    ['TXT', 'txt.example', { records: [{ type: 'TXT', text: 'v=1' }] }, 'v=1'],
    ['AAAA', 'six.example', ['fd00::7'], 'fd00::7'],
  ] as const)('--type %s', async (type, name, answer, shown) => {
    dns.answer(name, type, answer);
    const { status, stderr } = await runInitbox([
      'wait-dns',
      `${name}.`,
      '--type',
      type.toLowerCase(),
      ...direct,
    ]);
    expect(stderr).toContain(`is ${shown}`);
    expect(status).toBe(0);
  });

  test('a target that stands for none is not there', async () => {
    dns.answer('no-mail.example', 'MX', { records: [{ type: 'MX', target: '.', priority: 0 }] });
    dns.answer('no-service.example', 'SRV', { records: [{ type: 'SRV', target: '.', port: 0 }] });
    const args = (name: string, type: string) => ['wait-dns', `${name}.`, '--type', type, ...direct];
    for (const [name, type, shown] of [
      ['no-mail.example', 'MX', '.'],
      ['no-service.example', 'SRV', '.:0'],
    ] as const) {
      const { status, stderr } = await runToDeadline([...args(name, type), '--timeout', '500ms']);
      expect({ status, stderr }).toMatchObject({ status: 124 });
      expect(stderr).toContain(`is ${shown}, which says that there is no server for it`);
      expect(await runInitbox([...args(name, type), '--invert'])).toMatchObject({ status: 0 });
    }
    expect(await runInitbox([...args('no-mail.example', 'MX'), '--expect', '.'])).toMatchObject({
      status: 0,
    });
  });

  test('a truncated answer is asked for again over TCP', async () => {
    const addresses = Array.from({ length: 60 }, (_, index) => `10.1.0.${index + 1}`);
    dns.answer('big.example', 'A', {
      records: addresses.map((address) => ({ type: 'A' as const, address })),
      truncated: true,
    });
    const result = await runInitbox([
      'wait-dns',
      'big.example.',
      '--min-addresses',
      '60',
      '--timeout',
      '5s',
      ...direct,
    ]);
    expect(result.stderr).toContain('and 52 more');
    expect(result).toMatchObject({ status: 0 });
    expect(dns.queries.some(({ name, transport }) => name === 'big.example' && transport === 'tcp')).toBe(
      true,
    );
  });

  test('--service builds the full name from the search list where no account is mounted', async () => {
    dns.answer('db.shop.svc.cluster.local', 'A', ['10.96.3.4']);
    const { status, stderr } = await runInitbox(['wait-dns', '--service', 'db'], { files: pod });
    expect(stderr).toContain('db.shop.svc.cluster.local. is 10.96.3.4');
    expect(status).toBe(0);
    dns.answer('db.other.svc.cluster.local', 'A', ['10.96.3.5']);
    expect((await runInitbox(['wait-dns', '--service', 'db.other'], { files: pod })).stderr).toContain(
      '10.96.3.5',
    );
  });

  test('a resolv.conf without name servers, and one with twelve search domains', async () => {
    const none = await runToDeadline(
      ['wait-dns', 'x.example', '--timeout', '300ms', '--log-level', 'debug'],
      {
        files: { '/etc/resolv.conf': '# nothing\n' },
      },
    );
    expect(none.stderr).toContain('name servers 127.0.0.1 (the default: /etc/resolv.conf names none)');
    expect(none.status).toBe(124);
    const domains = Array.from({ length: 12 }, (_, index) => `d${index}.example`);
    dns.answer('deep.d11.example', 'A', ['10.0.0.11']);
    const deep = await runInitbox(['wait-dns', 'deep', '--timeout', '10s'], {
      files: { '/etc/resolv.conf': `search ${domains.join(' ')}\nnameserver 127.0.0.54\noptions ndots:2\n` },
    });
    expect(deep).toMatchObject({ status: 0 });
  });

  test.each([
    [['wait-dns'], /no name was given/],
    [['wait-dns', '--service', 'a.b.c'], /NAME\.NAMESPACE/],
    [['wait-dns', '--service', 'db'], /namespace is unknown/],
    [['wait-dns', 'db:5432'], /has a port/],
    [['wait-dns', 'x', '--type', 'HINFO'], /not one of A, AAAA/],
    [['wait-dns', 'x', '--server', 'dns.example:0'], /from 1 to 65535/],
    [['wait-dns', 'x', '--expect', '10.0.0.300'], /"10\.0\.0\.300" is not an IP address/],
    [['wait-dns', 'x', '--type', 'A', '--expect', 'fd00::1'], /is an IPv6 address, and only A records/],
    [['wait-dns', '$(DB_HOST)'], /the variable DB_HOST/],
  ])('%j is a usage error', async (args, message) => {
    const { status, stderr } = await runInitbox(args, {
      files: { '/etc/resolv.conf': 'nameserver 127.0.0.54\n' },
    });
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
  });
});
