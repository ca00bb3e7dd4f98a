import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';

import { startDnsServer, type DnsAnswer, type DnsServer } from '../../../support/dns-server.ts';
import { canUseNetns, createNetns, type Netns } from '../../../support/netns.ts';
import { runInitbox, runToDeadline, startInitbox } from '../../../support/program.ts';
import { promptly, within } from '../../../support/promptly.ts';
import { requireOrSkip } from '../../../support/tools.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

let dns: DnsServer;
let work: ReturnType<typeof temporaryDirectory>;
beforeAll(async () => {
  dns = await startDnsServer({ address: '127.0.0.83', port: 53 });
  work = temporaryDirectory('render-pod-data');
});
afterAll(async () => {
  await dns.stop();
  work.remove();
});
beforeEach(() => dns.answerOthers('NXDOMAIN'));

const files = {
  '/etc/resolv.conf':
    'search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 127.0.0.83\noptions ndots:5\n',
};

let count = 0;
function folder(template: string): { cwd: string; made: () => string } {
  const cwd = join(work.path, String(count++));
  mkdirSync(cwd);
  writeFileSync(join(cwd, 'in'), template);
  return { cwd, made: () => readFileSync(join(cwd, 'out'), 'utf8') };
}
const args = (...more: string[]) => ['render', 'in', '--to', 'out', ...more];
const srv = (...records: { target: string; port: number }[]): DnsAnswer => ({
  records: records.map((record) => ({ type: 'SRV', ...record })),
});

describe('dns:', () => {
  test('a list in liquid, by the search list of the pod; another order of the answer changes nothing', async () => {
    const { cwd, made } = folder('{% for peer in peers %}{{ peer }}:2380\n{% endfor %}');
    const name = 'etcd.shop.svc.cluster.local';
    dns.answer(name, 'A', ['10.0.0.10', '10.0.0.9', '10.0.0.10']);
    dns.answer(name, 'AAAA', ['fd00::B', 'fd00::a']);
    const words = args('--language', 'liquid', '--data', 'peers=dns:etcd');
    const first = await runInitbox(words, { cwd, files });
    expect(first, first.stderr).toMatchObject({ status: 0 });
    expect(made()).toBe('10.0.0.9:2380\n10.0.0.10:2380\nfd00::a:2380\nfd00::b:2380\n');
    const before = statSync(join(cwd, 'out'), { bigint: true });
    expect(before.mode & 0o777n).toBe(0o444n);
    dns.answer(name, 'A', ['10.0.0.9', '10.0.0.10']);
    dns.answer(name, 'AAAA', ['fd00::a', 'fd00::b']);
    const again = await runInitbox(words, { cwd, files });
    expect(again.stderr).toContain('1 file unchanged');
    expect(statSync(join(cwd, 'out'), { bigint: true }).ino).toBe(before.ino);
  });

  test('joined to a text in the language env, one family alone', async () => {
    const { cwd, made } = folder('peers=$PEERS:2380\nlines:\n$LINES\n');
    dns.answer('joined.shop.svc.cluster.local', 'A', ['10.0.0.2', '10.0.0.1']);
    dns.answer('joined.shop.svc.cluster.local', 'AAAA', 'SERVFAIL');
    const words = args(
      '--data',
      'PEERS=dns:joined?type=A&join=:2380,',
      '--data',
      String.raw`LINES=dns:joined?join=\n&type=a`,
    );
    const { status, stderr } = await runInitbox(words, { cwd, files });
    expect(status, stderr).toBe(0);
    expect(made()).toBe('peers=10.0.0.1:2380,10.0.0.2:2380\nlines:\n10.0.0.1\n10.0.0.2\n');
    const list = await runInitbox(args('--data', 'PEERS=dns:joined?type=A', '--var', 'LINES=x'), {
      cwd,
      files,
    });
    expect(list.status).toBe(2);
    expect(list.stderr).toContain('PEERS is a list (--data PEERS=dns:joined?type=A); ?join=,');
  });

  test('the names of a StatefulSet’s pods, with their ports, by SRV', async () => {
    const { cwd, made } = folder('$PEERS');
    dns.answer(
      '_peer._tcp.etcd.shop.svc.cluster.local',
      'SRV',
      srv(...[10, 2, 0].map((id) => ({ target: `etcd-${id}.Etcd.shop.svc.cluster.local.`, port: 2380 }))),
    );
    const words = args('--data', 'PEERS=dns:_peer._tcp.etcd?type=SRV&join=,');
    expect(await runInitbox(words, { cwd, files })).toMatchObject({ status: 0 });
    expect(made()).toBe([0, 2, 10].map((id) => `etcd-${id}.etcd.shop.svc.cluster.local:2380`).join(','));
  });

  test('a name that does not exist yet, and then has too few addresses, is waited for', async () => {
    const { cwd, made } = folder('$PEERS');
    const name = 'later.shop.svc.cluster.local';
    const program = await startInitbox(
      args('--data', 'PEERS=dns:later?min=2&join=,', '--interval', '100ms', '--timeout', '60s'),
      { cwd, files },
    );
    await program.waitForStderr(/dns:later\?min=2&join=, NXDOMAIN for later\.shop/);
    dns.answer(name, 'A', ['10.0.0.2']);
    await program.waitForStderr(/has 1 of 2 records/);
    dns.answer(name, 'A', ['10.0.0.2', '10.0.0.1']);
    expect(await program.exit).toMatchObject({ status: 0 });
    expect(made()).toBe('10.0.0.1,10.0.0.2');
  });

  test('until the deadline; SIGTERM ends it at once, and nothing is written', async () => {
    const { cwd, made } = folder('$PEERS');
    const words = args('--data', 'PEERS=dns:nobody?join=,', '--timeout', '500ms');
    const late = await runToDeadline(words, { cwd, files });
    expect(late.status).toBe(124);
    expect(late.stderr).toContain('does the Service exist, in this namespace');
    dns.answerOthers('silence');
    const program = await startInitbox(args('--data', 'PEERS=dns:nobody?join=,'), { cwd, files });
    await program.waitForStderr(/asking 127\.0\.0\.83|no answer/);
    program.kill('SIGTERM');
    expect(await within(promptly, program.exit)).toMatchObject({ status: 143 });
    expect(made).toThrow(/ENOENT/);
  });

  test('half of an answer is none: the other family would be there at the next run', async () => {
    const { cwd } = folder('$PEERS');
    dns.answer('half.shop.svc.cluster.local', 'A', ['10.0.0.1']);
    dns.answer('half.shop.svc.cluster.local', 'AAAA', 'SERVFAIL');
    const { status, stderr } = await runToDeadline(
      args('--data', 'PEERS=dns:half?join=,', '--timeout', '500ms'),
      { cwd, files },
    );
    expect(status).toBe(124);
    expect(stderr).toContain('has A records, and no answer for AAAA');
    expect(stderr).toContain('ask for the other one alone: ?type=A');
  });

  test.each([
    ['a line end', 'evil\nroot=yes'],
    ['a quote', 'x";drop'],
    ['an expansion', '$(reboot)'],
    ['nothing', ''],
  ])('a server that answers with %s in a target: nothing of it is written', async (_, target) => {
    const { cwd, made } = folder('$PEERS');
    dns.answer('_p._tcp.evil.shop.svc.cluster.local', 'SRV', srv({ target, port: 1 }));
    const { status, stderr } = await runToDeadline(
      args('--data', 'PEERS=dns:_p._tcp.evil?type=SRV&join=,', '--timeout', '500ms'),
      { cwd, files },
    );
    expect(status).toBe(124);
    expect(stderr).toMatch(
      /names no host and port|no server for it|malformed|BADRESP|EBADNAME|no valid name/,
    );
    expect(stderr).not.toContain('root=yes\n');
    expect(made).toThrow(/ENOENT/);
  });

  test('as many addresses as an answer over TCP holds', async () => {
    const { cwd, made } = folder('$PEERS');
    // A message has at most 65,535 bytes.
    const most = 1400;
    dns.answer('many.shop.svc.cluster.local', 'A', {
      truncated: true,
      records: Array.from({ length: most }, (_, index) => ({
        type: 'A' as const,
        address: `10.1.${index >> 8}.${index & 255}`,
      })),
    });
    const { status, stderr } = await runInitbox(args('--data', `PEERS=dns:many?type=A&min=${most}&join=,`), {
      cwd,
      files,
    });
    expect(status, stderr).toBe(0);
    expect(made().split(',')).toHaveLength(most);
  });
});

describe('interface:', () => {
  const noNamespaces = requireOrSkip('interfaces of a network namespace', canUseNetns());
  const setUp = (net: Netns, ...commands: string[]) => {
    for (const command of commands) net.run(...command.split(' '));
  };

  test.skipIf(noNamespaces)('its global addresses; the link’s own and the loopback’s are none', async () => {
    using net = createNetns('ifs');
    setUp(
      net,
      'ip link add eth0 type veth peer name eth1',
      'ip link set eth0 up',
      'ip link set eth1 up',
      'ip addr add 169.254.7.7/16 dev eth0',
      'ip addr add 10.9.0.5/24 dev eth0',
      'ip addr add 10.9.0.6/24 dev eth0',
      'ip addr add fd00:9::5/64 dev eth0 nodad',
    );
    const { cwd, made } = folder('$A $V4 $V6 $ALL $ANY');
    const words = args(
      ...['A=interface:eth0#address', 'V4=interface:eth0#ipv4', 'V6=interface:eth0#ipv6'].flatMap((one) => [
        '--data',
        one,
      ]),
      '--data',
      'ALL=interface:eth0?join=+#addresses',
      '--data',
      'ANY=interface:*#ipv4',
    );
    const first = await runInitbox(words, { cwd, prefix: net.prefix });
    expect(first.status, first.stderr).toBe(0);
    expect(made()).toBe('10.9.0.5 10.9.0.5 fd00:9::5 10.9.0.5+10.9.0.6+fd00:9::5 10.9.0.5');
    expect((await runInitbox(words, { cwd, prefix: net.prefix })).stderr).toContain('1 file unchanged');
  });

  test.skipIf(noNamespaces)('one that a sidecar makes is waited for', async () => {
    using net = createNetns('ifs');
    const { cwd, made } = folder('$A');
    const program = await startInitbox(
      args('--data', 'A=interface:wg0#ipv4', '--interval', '100ms', '--timeout', '60s'),
      { cwd, prefix: net.prefix },
    );
    await program.waitForStderr(/interface:wg0#ipv4 is not there, or is down/);
    setUp(
      net,
      'ip link add wg0 type veth peer name wg9',
      'ip link set wg9 up',
      'ip link set wg0 up',
      'ip addr add 10.8.0.2/24 dev wg0',
    );
    expect(await program.exit).toMatchObject({ status: 0 });
    expect(made()).toBe('10.8.0.2');
    const late = await runToDeadline(args('--data', 'A=interface:wg1#ipv4', '--timeout', '300ms'), {
      cwd,
      prefix: net.prefix,
    });
    expect(late).toMatchObject({ status: 124 });
    expect(late.stderr).toMatch(/interfaces with addresses here are .*wg0/);
  });
});

describe('ordinal:', () => {
  test('of a StatefulSet’s pod, moved on by plus, into the placeholders that sed would replace', async () => {
    const { cwd, made } = folder(
      'broker.id=@ID@\nlisteners=PLAINTEXT://@HOST@:9092\nadmin=ops@example.com\n',
    );
    const words = args('--delimiters', '@ @', '--only', 'ID', '--data', 'ID=ordinal:HOSTNAME?plus=1');
    expect(await runInitbox(words, { cwd, env: { HOSTNAME: 'kafka-9' } })).toMatchObject({ status: 0 });
    expect(made()).toBe('broker.id=10\nlisteners=PLAINTEXT://@HOST@:9092\nadmin=ops@example.com\n');
  });

  test('is a number to liquid; the label pod-index is one as it is', async () => {
    const { cwd, made } = folder('{{ id | plus: 9092 }}{% if id == 0 %} first{% endif %}');
    const words = args('--language', 'liquid', '--data', 'id=ordinal:POD_INDEX');
    expect(await runInitbox(words, { cwd, env: { POD_INDEX: '0' } })).toMatchObject({ status: 0 });
    expect(made()).toBe('9092 first');
  });

  test.each(['web', 'web-7d9c5bdf4-2b4xz', 'web-', 'web-01', 'web-99999999999999', 'web-1\n', '-1.5'])(
    'a hostname without one, %j, is an error that says what to do, and not the value',
    async (HOSTNAME) => {
      const { cwd } = folder('$ID');
      const { status, stderr } = await runInitbox(args('--data', 'ID=ordinal:HOSTNAME'), {
        cwd,
        env: { HOSTNAME },
      });
      expect(status).toBe(2);
      expect(stderr).toContain('ordinal:HOSTNAME ends with no ordinal, as web-0 and web-12 do');
      expect(stderr).toContain('ordinal:POD_NAME');
    },
  );

  test('a plan is refused before a step is done', async () => {
    const cwd = join(work.path, String(count++));
    mkdirSync(cwd);
    writeFileSync(
      join(cwd, 'plan.yaml'),
      'steps:\n  - { name: a, uses: render, templates: [in], to: out, data: ["ID=ordinal:POD_NAME"] }\n',
    );
    const { status, stderr } = await runInitbox(['run', 'plan.yaml'], { cwd });
    expect(status).toBe(2);
    expect(stderr).toContain('ordinal:POD_NAME is not set');
  });
});

test('time: is one moment for all of a run, in UTC', async () => {
  const { cwd, made } = folder('$ISO $DAY $UNIX');
  const words = args(
    ...['ISO=time:iso', 'DAY=time:date', 'UNIX=time:unix'].flatMap((one) => ['--data', one]),
  );
  expect(await runInitbox(words, { cwd, env: { TZ: 'Asia/Tokyo' } })).toMatchObject({ status: 0 });
  const [, iso = '', day, unix] = /^(\S+Z) (\S+) (\d+)$/.exec(made()) ?? [];
  expect(day).toBe(iso.slice(0, 10));
  expect(Date.parse(iso)).toBe(Number(unix) * 1000);
});

describe('fetch-config', () => {
  test('has them as sources: a file of lines, fields of JSON, a number', async () => {
    const cwd = join(work.path, String(count++));
    mkdirSync(cwd);
    dns.answer('f.shop.svc.cluster.local', 'A', ['10.0.0.2', '10.0.0.1']);
    const lines = await runInitbox(['fetch-config', String.raw`dns:f?type=A&join=\n`, '--to', 'peers'], {
      cwd,
      files,
    });
    expect(lines.status, lines.stderr).toBe(0);
    expect(readFileSync(join(cwd, 'peers'), 'utf8')).toBe('10.0.0.1\n10.0.0.2');
    const json = await runInitbox(
      ['fetch-config', 'dns:f?type=A', 'ordinal:POD_NAME', 'time:date', '--to=pod.json', '--format=json'],
      { cwd, files, env: { POD_NAME: 'zk-2' } },
    );
    expect(json.status, json.stderr).toBe(0);
    expect(JSON.parse(readFileSync(join(cwd, 'pod.json'), 'utf8'))).toEqual({
      addresses: ['10.0.0.1', '10.0.0.2'],
      ordinal: 2,
      date: expect.stringMatching(/^\d{4}-\d\d-\d\d$/) as string,
    });
    const id = await runInitbox(['fetch-config', 'ordinal:POD_NAME', '--to', 'myid', '--optional'], {
      cwd,
      env: { POD_NAME: 'zk-2' },
    });
    expect(id.status, id.stderr).toBe(0);
    expect(readFileSync(join(cwd, 'myid'), 'utf8')).toBe('2');
  });
});
