import { Resolver } from 'node:dns/promises';

import { expect, test } from 'vitest';

import { startDnsServer } from './dns-server.ts';

async function withServer(
  work: (server: Awaited<ReturnType<typeof startDnsServer>>, fresh: () => Resolver) => Promise<void>,
) {
  await using server = await startDnsServer();
  await work(server, () => {
    // A new one each time: a resolver keeps what it was told.
    const resolver = new Resolver({ timeout: 250, tries: 1 });
    resolver.setServers([server.server]);
    return resolver;
  });
}

test('answers every record type it knows, through aliases too', async () => {
  await withServer(async (server, fresh) => {
    server.answer('db.test', 'A', ['127.0.0.1', '127.0.0.2']);
    server.answer('db.test', 'AAAA', ['::1', 'fd00::12:3']);
    server.answer('alias.test', 'CNAME', { records: [{ type: 'CNAME', target: 'db.test' }] });
    server.answer('_pg._tcp.test', 'SRV', {
      records: [{ type: 'SRV', target: 'db.test', port: 5432, weight: 5 }],
    });
    server.answer('note.test', 'TXT', { records: [{ type: 'TXT', text: ['a', 'b'] }] });
    expect(await fresh().resolve4('DB.test')).toEqual(['127.0.0.1', '127.0.0.2']);
    expect(await fresh().resolve6('db.test')).toEqual(['::1', 'fd00::12:3']);
    expect(await fresh().resolve4('alias.test')).toEqual(['127.0.0.1', '127.0.0.2']);
    expect(await fresh().resolveCname('alias.test')).toEqual(['db.test']);
    expect(await fresh().resolveSrv('_pg._tcp.test')).toMatchObject([
      { name: 'db.test', port: 5432, weight: 5 },
    ]);
    expect(await fresh().resolveTxt('note.test')).toEqual([['a', 'b']]);
    expect(server.count('db.test', 'A')).toBe(1);
    expect(server.count('db.test')).toBe(2);
  });
});

test('fails in every way, and can be changed while it runs', async () => {
  await withServer(async (server, fresh) => {
    const code = async (): Promise<unknown> =>
      fresh()
        .resolve4('x.test')
        .then(
          (addresses) => addresses,
          (error: NodeJS.ErrnoException) => error.code,
        );
    expect(await code()).toBe('ENOTFOUND');
    server.answer('x.test', 'A', 'NODATA');
    expect(await code()).toBe('ENODATA');
    server.answer('x.test', 'A', 'SERVFAIL');
    expect(await code()).toBe('ESERVFAIL');
    server.answer('x.test', 'A', 'REFUSED');
    expect(await code()).toBe('EREFUSED');
    server.answer('x.test', 'A', 'silence');
    expect(await code()).toBe('ETIMEOUT');
    server.answer('x.test', 'A', {
      records: [{ type: 'A', address: '127.0.0.9' }],
      truncated: true,
      delay: 20,
    });
    const before = server.queries.length;
    expect(await code()).toEqual(['127.0.0.9']);
    expect(server.queries.slice(before).map(({ transport }) => transport)).toEqual(['udp', 'tcp']);
    server.forget('x.test');
    expect(await code()).toBe('ENOTFOUND');
  });
});
