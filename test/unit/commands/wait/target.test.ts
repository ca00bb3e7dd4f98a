import { describe, expect, test } from 'vitest';

import { kinds } from '../../../../src/commands/wait/kinds/index.ts';
import { checkWait } from '../../../../src/commands/wait/run.ts';
import { recogniseTarget } from '../../../../src/commands/wait/target.ts';
import { podPaths } from '../../../../src/core/context.ts';
import { UsageError } from '../../../../src/core/outcome.ts';
import { createRedactor } from '../../../../src/core/redaction/redactor.ts';
import { systemHost } from '../../../../src/process/host.ts';

const flags = {
  interval: undefined,
  any: false,
  invert: false,
  successes: 1,
  'stable-for': 0,
  'attempt-timeout': undefined,
  'max-attempts': undefined,
  'initial-delay': undefined,
  validate: false,
  'print-role': false,
  account: undefined,
};

const recognise = (text: string) => recogniseTarget(text, () => {}, 'argument 1');

/** What is wrong with targets; nothing where all can be waited for. */
async function mistakesOf(
  texts: readonly string[],
  environment: Record<string, string> = {},
  more: Partial<typeof flags> = {},
): Promise<readonly string[]> {
  try {
    await checkWait(
      {
        options: { ...flags, ...more },
        positionals: texts.map(recognise),
        command: undefined,
        limited: false,
      },
      { environment, redactor: createRedactor(), host: systemHost, paths: podPaths },
    );
    return [];
  } catch (error) {
    if (error instanceof UsageError) return error.lines;
    throw error;
  }
}

describe('a target’s kind', () => {
  test.each([
    ['db:5432', 'tcp'],
    ['[::1]:5432', 'tcp'],
    ['db:5432?invert', 'tcp'],
    ['file:/shared/ready', 'file'],
    ['file:///shared/ready', 'file'],
    ['file:8080', 'tcp'],
    ['nats://queue', 'nats'],
    ['natss://queue:4223', 'nats'],
    ['zookeeper://a,b/kafka', 'zookeeper'],
    ['amqp://app@queue/shop', 'amqp'],
    ['amqps://app@queue', 'amqp'],
    ['kafka://a,b:9093', 'kafka'],
    ['kafkas://app@a', 'kafka'],
    ['mongodb://a,b:27018/app', 'mongodb'],
    ['mongodb+srv://app@cluster.example.net', 'mongodb'],
    ['mysql://app@db/app', 'mysql'],
    ['mariadb://app@db', 'mysql'],
    ['redis://cache', 'redis'],
    ['rediss://cache/1', 'redis'],
    ['tcp://db:5432', 'tcp'],
    ['TCP://db:5432', 'tcp'],
    ['unix:/run/app.sock', 'tcp'],
    ['unix:/run/app.sock:/healthz', 'http'],
    ['dns:kafka', 'dns'],
    ['dns:53', 'tcp'],
    ['dns:53?invert', 'tcp'],
    ['http://api/', 'http'],
    ['h2c://api/', 'http'],
    ['postgres://app@db/app', 'postgres'],
    ['postgresql://app@db/app', 'postgres'],
    ['postgres:', 'postgres'],
    ['postgres:5432', 'tcp'],
    ['db', 'tcp'],
  ])('%s: %s', (text, kind) => expect(recognise(text).kind).toBe(kind));

  test('an unknown scheme', () =>
    expect(() => recognise('gopher://a:70')).toThrow(
      /^gopher:\/\/ is not a kind of target; write HOST:PORT, or /,
    ));

  test('passwords are found before the kind is loaded', () => {
    const found: string[] = [];
    for (const text of [
      'postgres://app:hunter2@db/app',
      'postgres://app:hunter2@a:1,b:2/app',
      'postgres://db/app?user=app&password=hunter2',
    ])
      recogniseTarget(text, (value) => found.push(value), 'argument 1');
    expect(found).toEqual(['hunter2', 'hunter2', 'hunter2']);
  });
});

describe('targets that can be waited for', () => {
  test.each([
    'db:5432?invert&successes=3&stable-for=5s&interval=1s&attempt-timeout=2s',
    'db:5432?invert=false',
    'dns:kafka?min-addresses=3&type=A&type=AAAA',
    'dns:kafka?',
    'http://api/?status=418#status=200-299&json=/status=UP&body=a%26b',
    'http://api/#',
    'unix:/run/app.sock:/healthz#status=200',
    'postgres://app@db/app?sslmode=disable&table=public.users&table=b',
    'postgres://a,b/app?user=app&accepting',
    'mysql://app:secret99@db:3307/app?table=users&table=other.t&primary&query=SELECT%201&ssl-mode=REQUIRED',
    'nats://app:secret99@queue?stream=orders&stream=b',
    'natss://queue?token-file=/run/later&ca-file=/run/later',
    'nats://t0ken-secret@queue',
    'zookeeper://a,b:2182,c/kafka?quorum=2&node=/brokers/ids',
    'zookeepers://app:secret99@a?insecure',
    'amqp://queue',
    'amqps://app:secret99@queue/%2Fshop?queue=orders&exchange=events',
    'kafka://a,b:9093?topic=orders&topic=b&partitions=3&in-sync=2&brokers=3',
    'kafkas://app:secret99@a?sasl-mechanism=SCRAM-SHA-512&insecure',
    'mysql://db?user=app&password-file=/run/later&ca-file=/run/later',
    'redis://cache',
    'smtp:25?expect=220',
    'tcp://smtp:25?expect=220&send=EHLO%20x%0D%0A',
    'file:/shared/ready?absent',
    'file:/shared/ready?not-empty&contains=a&matches=%5Eb&max-attempts=3&initial-delay=1s',
    'redis://app@[::1]:6380/1?key=a&key=b&primary&password-file=/run/later',
    'rediss://:secret99@cache?ca-file=/run/later&cert-file=/a&key-file=/b',
  ])('%s', async (text) => expect(await mistakesOf([text])).toEqual([]));

  test('postgres: alone is what the variables name', async () => {
    expect(await mistakesOf(['postgres:?table=users'], { DATABASE_URL: 'postgres://app@db/app' })).toEqual(
      [],
    );
    expect(await mistakesOf(['postgres:'])).toEqual([expect.stringContaining('no database was named')]);
  });
});

test('what the end of is waited for need not say what must hold, by flag or by parameter', async () => {
  const object = 'kubernetes:gateways.example.com/a';
  expect(await mistakesOf([object])).toHaveLength(1);
  expect(await mistakesOf([`${object}?invert`])).toEqual([]);
  expect(await mistakesOf([object], {}, { invert: true })).toEqual([]);
  expect(await mistakesOf([`${object}?invert=false`], {}, { invert: true })).toHaveLength(1);
});

describe('mistakes', () => {
  test.each([
    ['db', /^argument 1: .*is not host:port|^argument 1: "db" has no port/],
    ['"db:5432"', /; the quotes are part of the value: write it without the inner ones$/],
    ['tcp://db', /^argument 1: the tcp URL has no port/],
    ['grpc://api', /^argument 1: "api" has no port; write api:50051, say$/],
    ['grpcs://::1', /^argument 1: "::1" is an IPv6 address without brackets; write \[::1\]:443, say$/],
    ['temporal://fd00::7', /write \[fd00::7\]:7233, say$/],
    ['redis://fd00::7', /write \[fd00::7\]:6379, say$/],
    ['mysql://app@fd00::7', /write \[fd00::7\]:3306, say$/],
    ['mongodb://fd00::7', /write \[fd00::7\]:27017, say$/],
    ['amqps://fd00::7', /write \[fd00::7\]:5671, say$/],
    ['kafka://fd00::7', /write \[fd00::7\]:9092, say$/],
    ['nats://fd00::7', /write \[fd00::7\]:4222, say$/],
    ['zookeeper://fd00::7', /write \[fd00::7\]:2181, say$/],
    ['influxdb://fd00::7', /write \[fd00::7\]:8086, say$/],
    ['kubernetes:gateways.example.com/a', /^argument 1: .*say what must hold/],
    ['db:5432?invrt', /^argument 1: unknown option invrt behind the \?; did you mean invert\?$/],
    ['db:5432?any', /^argument 1: unknown option any behind the \?; it takes interval, invert, /],
    ['db:5432?successes=x', /^argument 1: successes: "x" is not a whole number/],
    ['db:5432?successes', /^argument 1: successes is empty; it takes COUNT$/],
    ['db:5432?successes=1&successes=2', /^argument 1: successes was given 2 times; it takes one value$/],
    ['db:5432?interval=%zz', /^argument 1: interval has a % that begins no percent-encoding/],
    ['dns:kafka?type=XY', /^argument 1: type: "XY" is not one of /],
    ['dns:', /^argument 1: the name is empty$/],
    ['http://api/#statsu=200', /^argument 1: unknown option statsu behind the #; did you mean status\?$/],
    ['http://api/#method=HEAD&body=x', /^argument 1: an answer to HEAD has no body/],
    ['http:///x', /^argument 1: the URL has no host/],
    ['postgres://app@db/app?accepting&table=x', /^argument 1: table needs a login, and accepting makes none/],
    ['postgres:db', /^argument 1: a database is written postgres:\/\//],
    ['smtp:25?send=x', /^argument 1: send has no effect without expect/],
    ['file:', /^argument 1: there is no path behind file:/],
    ['file://host/x', /^argument 1: the path .*|^argument 1: a file is on no host/],
    ['file:/a?absent&contains=x', /^argument 1: absent cannot be combined/],
    ['file:/a?matches=(', /^argument 1: matches: /],
    ['file:/a%zz', /^argument 1: the path has a % that begins no/],
    ['db:1?max-attempts=0', /^argument 1: max-attempts: "0" is not a whole number from 1/],
    ['nats://queue/x', /^argument 1: nothing follows the host of a NATS URL/],
    ['nats://queue?stream=a.b', /^argument 1: stream: "a\.b" is not the name of a stream/],
    ['nats://a:secret99@queue?token-file=/x', /^argument 1: the login is given by token-file and by a user/],
    ['zookeeper://a,b?quorum=3', /^argument 1: quorum: 3 servers cannot serve where the URL names 2/],
    ['zookeeper://a?node=brokers', /^argument 1: node: "brokers" is not the path of a node/],
    ['zookeeper://a?ca-file=/x', /^argument 1: ca-file has no effect for zookeeper:/],
    ['amqp://app@queue', /^argument 1: the user "app" has no password/],
    ['amqp://queue?queue=', /^argument 1: queue is empty/],
    ['amqp://queue?cert-file=/x', /^argument 1: cert-file has no effect for amqp:/],
    ['kafka://a/orders', /^argument 1: nothing follows the hosts of a Kafka URL/],
    ['kafka://a?topic=a/b', /^argument 1: topic: "a\/b" is not the name of a topic/],
    ['kafka://a?in-sync=2', /^argument 1: partitions and in-sync are those of a topic/],
    ['kafka://app@a', /^argument 1: the user "app" has no password/],
    ['kafka://a?sasl-mechanism=GSSAPI', /^argument 1: sasl-mechanism: "GSSAPI" is not one of PLAIN/],
    ['mysql://db/app', /^argument 1: the mysql URL names no user/],
    ['mysql://app@db/a/b', /^argument 1: what follows the host of a mysql URL is one database/],
    ['mysql://app@db?table=users', /^argument 1: table: the URL names no database; write DATABASE\.users/],
    ['mysql://app@db/app?table=a.b.c', /^argument 1: table: "a\.b\.c" is not the name of a table/],
    ['mysql://app@db?ssl-mode=maybe', /^argument 1: ssl-mode: "maybe" is not one of disabled, /],
    [
      'mysql://app@db?ssl-mode=required&ca-file=/x',
      /^argument 1: ca-file has no effect with ssl-mode=required/,
    ],
    ['mysql://app@db?cert-file=/x', /^argument 1: cert-file and key-file need each other/],
    ['redis://cache/x', /^argument 1: what follows the host of a redis URL is the number of a database/],
    ['redis://a,b', /^argument 1: the redis URL names several hosts/],
    ['redis://', /^argument 1: the redis URL has no host/],
    ['redis://cache:99999', /^argument 1: the port .* is not a whole number/],
    ['redis://cache?ca-file=/x', /^argument 1: ca-file has no effect for redis:/],
    ['rediss://cache?cert-file=/x', /^argument 1: cert-file and key-file need each other/],
    [
      'redis://:pw123456@cache?password-env=PW',
      /^argument 1: the password is given by the URL and by password-env/,
    ],
    ['redis://cache?password-env=PW', /^argument 1: password-env: the variable PW is not set/],
    ['redis://cache?password-env=P-W', /^argument 1: password-env: that is not the name/],
    ['redis://a@cache?user=b', /^argument 1: the user is given by the URL and by user/],
    ['tcp://$(DB_HOST):5432', /^argument 1: .*DB_HOST/],
  ])('%s', async (text, said) => {
    const mistakes = await mistakesOf([text]);
    expect(mistakes).toEqual([expect.stringMatching(said)]);
  });

  test('each is told', async () => {
    expect(await mistakesOf(['db', 'dns:a?x', 'http://api/#status=9'])).toHaveLength(3);
  });

  test('none shows a password', async () => {
    for (const text of [
      'postgres://app:hunter2@db:x/app',
      'tcp://app:hunter2@db',
      'http://app:hunter2@api/#x=1',
      'postgres://app:hunter2@db/app?tabel=x&nosuch=1&successes=-1',
    ])
      expect((await mistakesOf([text])).join('\n')).not.toContain('hunter2');
  });
});

describe('a /, ? or # in a user or password', () => {
  const schemes = Object.values(kinds).flatMap(({ schemes: of = [] }) => of);
  const begins = [...schemes.map((scheme) => `${scheme}://`), ''];
  const pieces = ['Xk9vQ2mP', 'Zr7tW4nB', 'Lc3yH8dF'];
  const inside = ['/', '?', '#', '/@', '?a&', '=', '?=', '#=', '?x=', '/x?y=', '%2F?'];
  const hosts = ['db', 'db:6379', 'db:6379/x', 'db/x?key=a', '[fd00::7]:1/x#status=200', 'a:1,b:2/x'];
  const passwords = inside.flatMap((first) =>
    ['', '?', '=', '#', '@'].map((second) => `${pieces[0]}${first}${pieces[1]}${second}${pieces[2]}`),
  );
  test.each(begins)('%s', async (begin) => {
    const shown: string[] = [];
    for (const user of ['app:', ':', 'us:er:'])
      for (const host of hosts)
        for (const password of passwords) {
          const text = `${begin}${user}${password}@${host}`;
          const mistakes = (await mistakesOf([text])).join('\n');
          const isCut = /^[^@]*[/?#]/.test(password);
          if (pieces.some((piece) => mistakes.includes(piece)) || (isCut && begin !== '' && mistakes === ''))
            shown.push(`${text}: ${mistakes}`);
        }
    expect(shown.slice(0, 10)).toEqual([]);
  });

  test.each([
    'redis://app:Xy?Zk9vQ2mPzL7=rT4@db:6379/x',
    'nats://Xy?Zk9vQ2mPzL7=rT4@db',
    'app:Xy?Zk9vQ2mPzL7=rT4@db:6379',
    'redis://app:12?Zk9vQ2mPzL7=rT4@db:6379/x',
    'redis://app:12?interval=rT4@db:6379/x',
    'http://app:Xy#Zk9vQ2mPzL7=rT4@db/x',
    'http://app:12#Zk9vQ2mPzL7=rT4@db/x',
    'wss://app:Xy/Zk9vQ2mPzL7=rT4@db/x',
  ])('%s is refused in words that show nothing of it', async (text) => {
    expect(await mistakesOf([text])).toEqual([
      expect.stringMatching(
        /^argument 1: the (?:target|URL|\w+ URL) has a \/, \? or # in its user or password; write them as %2F, %3F and %23/,
      ),
    ]);
  });

  test.each([
    'redis://cache:6379?key=user@example.com',
    'redis://app:secret99@cache/1?key=a@b',
    'http://api:8080/users/@me?mail=a@b#status=200',
    'http://api/?mail=a@b#body=x',
    'ws://api:80/@me',
    'smtp:25?expect=a@b',
    'mongodb://a,b:27018/app?collection=a@b',
  ])('%s has none', async (text) => expect(await mistakesOf([text])).toEqual([]));
});
