import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { addressesFromHosts } from '../../../../src/clients/dns/hosts.ts';
import { expandName, parseResolvConf, readResolvConf } from '../../../../src/clients/dns/resolv-conf.ts';
import { parseService, serviceHost } from '../../../../src/clients/dns/service.ts';
import { parseName } from '../../../../src/commands/wait-dns/name.ts';
import { parseServer, serverAt } from '../../../../src/commands/wait-dns/server.ts';

const folder = mkdtempSync(join(tmpdir(), 'initbox-dns-'));
function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe('resolv.conf', () => {
  test("a pod's", () => {
    expect(
      parseResolvConf(
        'search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n',
      ),
    ).toEqual({
      servers: ['10.96.0.10'],
      search: ['shop.svc.cluster.local', 'svc.cluster.local', 'cluster.local'],
      ndots: 5,
      timeout: 5_000,
    });
  });

  test('comments, tabs, CRLF, trailing dots, IPv6 servers, odd lines; the last search line wins', () => {
    const text =
      '# comment\r\n; another\r\ndomain old.example\r\nsearch\ta.example. b.example # tail\r\nnameserver fd00::10\r\nnameserver nonsense\r\nnameserver 10.0.0.1\r\noptions timeout:2 ndots:99 rotate\r\nsortlist 1.2.3.4\r\n';
    expect(parseResolvConf(text)).toEqual({
      servers: ['fd00::10', '10.0.0.1'],
      search: ['a.example', 'b.example'],
      ndots: 15,
      timeout: 2_000,
    });
  });

  test('twelve search domains are all kept', () => {
    const domains = Array.from({ length: 12 }, (_, index) => `d${index}.example`);
    expect(parseResolvConf(`search ${domains.join(' ')}`).search).toEqual(domains);
  });

  test('missing or empty: the name server of this host, and it says so', () => {
    expect(readResolvConf(join(folder, 'missing'))).toMatchObject({
      servers: ['127.0.0.1'],
      origin: expect.stringContaining('ENOENT') as string,
    });
    expect(readResolvConf(file('empty', ''))).toMatchObject({
      servers: ['127.0.0.1'],
      origin: expect.stringContaining('names none') as string,
    });
  });

  const pod = { search: ['ns.svc.cluster.local', 'svc.cluster.local'], ndots: 5 };
  test.each([
    ['db', ['db.ns.svc.cluster.local', 'db.svc.cluster.local', 'db']],
    ['db.', ['db']],
    ['a.b.c.d.e.f', ['a.b.c.d.e.f', 'a.b.c.d.e.f.ns.svc.cluster.local', 'a.b.c.d.e.f.svc.cluster.local']],
  ])('%s expands', (name, names) => expect(expandName(name, pod)).toEqual(names));
});

describe('hosts', () => {
  test('addresses in order, without case, past comments; localhost without any', () => {
    const hosts = file(
      'hosts',
      '127.0.0.1 localhost # here\n10.0.0.1\tDB db.example\n::2 db\nnonsense db\n#10.9.9.9 db\n',
    );
    expect(addressesFromHosts(hosts, 'db')).toEqual(['10.0.0.1', '::2']);
    expect(addressesFromHosts(hosts, 'db.example.')).toEqual(['10.0.0.1']);
    expect(addressesFromHosts(hosts, 'localhost')).toEqual(['127.0.0.1']);
    expect(addressesFromHosts(join(folder, 'missing'), 'localhost')).toEqual(['127.0.0.1', '::1']);
    expect(addressesFromHosts(hosts, 'other')).toEqual([]);
  });
});

describe('--service', () => {
  const config = {
    servers: [],
    search: ['shop.svc.k8s.example', 'svc.k8s.example', 'k8s.example'],
    ndots: 5,
    timeout: 5_000,
    origin: '',
  };
  writeFileSync(join(folder, 'namespace'), 'prod\n');

  test.each([
    ['db', folder, 'db.prod.svc.k8s.example.'],
    ['db.data', folder, 'db.data.svc.k8s.example.'],
    ['db', '/nowhere', 'db.shop.svc.k8s.example.'],
  ])('%s with the account in %s is %s', (name, account, host) => {
    expect(serviceHost(parseService(name, 'initbox wait-dns'), config, account)).toBe(host);
  });

  test('outside a cluster it says what is missing', () => {
    expect(() =>
      serviceHost(parseService('db', 'initbox wait-dns'), { ...config, search: [] }, '/nowhere'),
    ).toThrow(/namespace is unknown/);
    expect(() =>
      serviceHost(
        parseService('db.x', 'initbox wait-dns'),
        { ...config, search: ['corp.example'] },
        '/nowhere',
      ),
    ).toThrow(/domain is unknown.*db\.x\.svc\.cluster\.local\./);
  });

  test.each(['', 'a.b.c', 'UPPER', 'a_b', '-a', 'a.'])('%j is no Service', (text) =>
    expect(() => parseService(text, 'initbox wait-dns')).toThrow('NAME.NAMESPACE'),
  );
});

test.each([
  ['10.96.0.10', '10.96.0.10'],
  ['10.96.0.10:53', '10.96.0.10'],
  ['10.96.0.10:5353', '10.96.0.10:5353'],
  ['::1', '::1'],
  ['[::1]', '::1'],
  ['[::1]:5353', '[::1]:5353'],
  ['localhost:5353', 'localhost:5353'],
  ['kube-dns.kube-system.svc.cluster.local', 'kube-dns.kube-system.svc.cluster.local'],
])('--server %s', (text, server) => {
  const { host, port } = parseServer(text);
  expect(serverAt(host, port)).toBe(server);
});

test.each([
  ['', /not a name server/],
  ['10.0.0.1:0', /from 1 to 65535/],
  ['10.0.0.1:99999', /from 1 to 65535/],
  ['a:b:c', /not a name server/],
  ['[nonsense]:53', /not a name server/],
  ['a b', /not a DNS name/],
  ['udp://10.0.0.1', /not a name server/],
])('--server %j is refused', (text, message) => {
  expect(() => parseServer(text)).toThrow(message);
});

test.each([
  ['postgres-service', 'postgres-service'],
  ['_postgresql._tcp.db.default.svc.cluster.local.', '_postgresql._tcp.db.default.svc.cluster.local.'],
  ['bücher.example', 'xn--bcher-kva.example'],
  ['10.0.0.4', '10.0.0.4'],
  ['fd00::4', 'fd00::4'],
])('name %s', (text, name) => expect(parseName(text)).toBe(name));

test.each(['', '.', 'a..b', 'db:5432', 'http://db', '-a', 'x'.repeat(64), 'a b', 'x.'.repeat(130)])(
  'name %j is refused',
  (text) => {
    expect(() => parseName(text)).toThrow();
  },
);

test.each(['postgres://u:hun/ter2@db/app', 'postgres://u:hunter2@db', 'u:hunter2@db'])(
  'no message about %s holds the password',
  (text) => {
    let said = '';
    try {
      parseName(text);
    } catch (error) {
      said = String(error);
    }
    expect(said).toMatch(/that (is a URL|has a user)/);
    expect(said).not.toMatch(/hun/);
  },
);

test('a variable that nothing replaced is told', () => {
  expect(() => parseName('$(DB_HOST)')).toThrow(/the variable DB_HOST in it was not replaced/);
});
