import { describe, expect, test } from 'vitest';

import { endpointName, parseEndpoint } from '../../../../src/clients/connection/endpoint.ts';

function parse(text: string): { name: string; secrets: string[] } {
  const secrets: string[] = [];
  return { name: endpointName(parseEndpoint(text, (value) => secrets.push(value))), secrets };
}

describe('targets', () => {
  test.each([
    ['postgres-service:5432', 'postgres-service:5432'],
    ['127.0.0.1:80', '127.0.0.1:80'],
    ['[::1]:5432', '[::1]:5432'],
    ['[fe80::1%eth0]:80', '[fe80::1%eth0]:80'],
    ['db.ns.svc.cluster.local.:5432', 'db.ns.svc.cluster.local.:5432'],
    ['my_host:1', 'my_host:1'],
    ['unix:/run/app.sock', 'unix:/run/app.sock'],
    ['unix:///run/app.sock', 'unix:/run/app.sock'],
    ['postgres://db/app', 'db:5432'],
    ['postgresql://db:6432/app?sslmode=require', 'db:6432'],
    ['postgresql+asyncpg://db/app', 'db:5432'],
    ['postgres://app@127.0.0.1:5432/app?host=/cloudsql/x', 'unix:/cloudsql/x/.s.PGSQL.5432'],
    ['postgres:///app?host=%2Frun%2Fpg&port=6', 'unix:/run/pg/.s.PGSQL.6'],
    ['postgresql+psycopg2://localhost/app?host=db', 'db:5432'],
    ['postgres://db:5/app?port=6&port=7', 'db:7'],
    ['postgres://db:5/app?port=', 'db:5432'],
    ['postgres://db:5/app?host=other', 'other:5'],
    ['postgres://db/app?hostaddr=10.0.0.1', '10.0.0.1:5432'],
    ['postgres://db/app?hostaddr=fd00::1', '[fd00::1]:5432'],
    ['postgres://a,b/app?hostaddr=10.0.0.1&host=db', '10.0.0.1:5432'],
    ['postgres://db/app?hostaddr=10.0.0.1&hostaddr=', 'db:5432'],
    ['postgres://db/app?port=+5', 'db:5'],
    ['postgres://db/app?port=%2B5', 'db:5'],
    ['postgres://db:+5/app', 'db:5'],
    ['postgres:///app?host=/sock&port=+5', 'unix:/sock/.s.PGSQL.5'],
    ['postgres://%2Frun%2Fpg/app', 'unix:/run/pg/.s.PGSQL.5432'],
    ['postgres://%2Frun%2Fpg:6/app', 'unix:/run/pg/.s.PGSQL.6'],
    ['postgres://[fd00::1]:7/app?port=8', '[fd00::1]:8'],
    ['jdbc:postgresql://db:5/app?port=6', 'db:5'],
    ['mysql://db/app?host=x', 'db:3306'],
    ['mysql://db/app', 'db:3306'],
    ['redis://cache', 'cache:6379'],
    ['amqp://mq/vhost', 'mq:5672'],
    ['https://api.internal/healthz', 'api.internal:443'],
    ['http://[::1]:8080/x', '[::1]:8080'],
    ['jdbc:postgresql://db:5432/app?user=x', 'db:5432'],
    ['jdbc:sqlserver://db:1433;database=x', 'db:1433'],
    ['tcp://db:5432', 'db:5432'],
    ['MONGODB://db', 'db:27017'],
    ['bücher.example:80', 'xn--bcher-kva.example:80'],
    ['http://bücher.example', 'xn--bcher-kva.example:80'],
  ])('%s is %s', (text, name) => expect(parse(text).name).toBe(name));

  test.each([
    ['postgres://app:s3cret@db/app', 'db:5432', ['s3cret', 's3cret']],
    ['postgresql://app:s3cret@db/app', 'db:5432', ['s3cret', 's3cret']],
    ['postgres://app:p%40ss@db:6432/app', 'db:6432', ['p%40ss', 'p@ss']],
    ['postgres://app:p@ss@db/app', 'db:5432', ['p@ss', 'p@ss']],
    ['postgres://app:p/a#s?s@db:5432/app', 'db:5432', ['p/a#s?s', 'p/a#s?s']],
    ['redis://:only-a-password@cache:6379/0', 'cache:6379', ['only-a-password', 'only-a-password']],
    ['postgres://app@db/app', 'db:5432', []],
    ['app:s3cret@db:5432', 'db:5432', ['s3cret', 's3cret']],
  ])('%s: the password is registered, the host is found', (text, name, secrets) => {
    expect(parse(text)).toEqual({ name, secrets });
  });

  test.each([
    ['', /empty/],
    ['db', /has no port.*db:5432/],
    ['db:', /port "" /],
    ['db:0', /from 1 to 65535/],
    ['db:65536', /from 1 to 65535/],
    ['db:-1', /from 1 to 65535/],
    ['db:5432x', /from 1 to 65535/],
    [':5432', /no host/],
    ['::1:5432', /without brackets; write \[::1\]:5432/],
    ['::1', /without brackets; write \[::1\]:5432/],
    ['fd00::10:6432', /without brackets; write \[fd00::10\]:6432/],
    ['[::1]', /has no port/],
    ['[nonsense]:80', /not an IPv6 address/],
    ['300.1.1.1:80', /not an IPv4 address/],
    ['a b:80', /is not host:port/],
    ['db:80:90', /is not host:port/],
    ['unix:relative', /absolute path/],
    [`unix:/${'x'.repeat(120)}`, /107 bytes/],
    ['postgres:///app?user=x', /no host/],
    ['postgres:///app?host=', /no host/],
    ['postgres://db/app?host=a,b', /several hosts/],
    ['postgres:///app?host=/sock,127.0.0.1', /several hosts/],
    ['postgres:///app?host=%2Fsock%2C127.0.0.1', /several hosts/],
    ['postgres://%2Fa,%2Fb/app', /several hosts/],
    ['postgres://%2Fa,b/app?port=5', /several hosts/],
    ['postgres://db/app?hostaddr=10.0.0.1,10.0.0.2', /several hosts/],
    ['postgres://db/app?port=5,6', /several ports/],
    ['postgres:///app?host=/sock&port=5,6', /several ports/],
    ['postgres:///app?host=/sock&port=x', /the port in the postgres URL is not a whole number/],
    ['postgres:///app?host=/sock&port=0', /the port "0" in the postgres URL is not a whole number/],
    ['postgres://db/app?port=++5', /port/],
    ['postgres://db/app?port=+', /port/],
    ['postgres://db/app?port=+0', /port/],
    ['mysql://db:+5/app', /port/],
    ['postgres://db/app?hostaddr=0x7f.1', /hostaddr "0x7f\.1" in the postgres URL is not an IP address/],
    ['postgres://db/app?hostaddr=127.1', /is not an IP address/],
    ['postgres://db/app?hostaddr=localhost', /is not an IP address/],
    ['postgres:///app?hostaddr=/sock', /is not an IP address/],
    ['postgres://db/app?hostaddr=[::1]', /is not an IP address/],
    [
      'postgres:///app?host=/sock&hostaddr=10.0.0.1',
      /folder of a Unix socket, and hostaddr is an address; give one/,
    ],
    ['postgres://a,b/app?port=5', /several hosts/],
    ['postgres://db/app?port=x', /port/],
    ['postgres://db/app?host=%', /percent-encoding/],
    ['postgres://a,b/app', /several hosts/],
    ['mongodb+srv://cluster0.example/db', /SRV/],
    ['foo://db', /has no port/],
    ['--tiemout', /not a target/],
    [`${'x'.repeat(64)}:80`, /host name/],
    ['a..b:80', /host name/],
    ['a!b:80', /is not host:port/],
    ['ü/c:80', /is not host:port/],
    ['ü c:80', /is not host:port/],
    [
      '10.1.2.3:tcp://10.1.2.3:5432',
      /it is a URL, as Kubernetes writes one into NAME_PORT .* NAME_SERVICE_PORT/,
    ],
    ['db:TCP://10.1.2.3:5432', /the port in the target is not a number: it is a URL/],
    ['{{ .Values.db }}:5432', /the template's \{\{ \.Values\.db \}\} in it was not filled in/],
    ['unix:/run/$(X)/app.sock', /the variable X in it was not replaced/],
    ['$(DB_HOST):5432', /the variable DB_HOST in it was not replaced.*\$\(DB_HOST\) in args/],
    ['${DB_HOST}:5432', /the variable DB_HOST/],
    ['$DB_HOST:5432', /the variable DB_HOST/],
    ['db:$(DB_PORT)', /the variable DB_PORT/],
    ['http://h:$(PORT)/a@b', /the variable PORT/],
    ['http://h:80/a@b', /has an @ behind a \//],
    ['http://h/a:b@c', /has an @ behind a \//],
    ['postgres://app:12/34@db:5432/app', /has an @ behind a \//],
    ['postgres://db/app?host=%24(X)', /the postgres URL is not host:port/],
    ['postgres://app:pw@$(DB_HOST)/app', /the variable DB_HOST/],
  ])('%j is refused: %s', (text, message) => expect(() => parse(text)).toThrow(message));

  test('nor is any of a text shown that no host can be, which may be a secret; a mistyped one is', () => {
    for (const times of [5, 20])
      expect(() => parse(`postgres://${'qx7Kd92mZpL4vT8w'.repeat(times)}:5432/app`)).toThrow(
        /^(?!.*qx7Kd).* is not a host name/s,
      );
    expect(() => parse('postgres://db..prod:5432/app')).toThrow(/"db\.\.prod" in .* is not a host name/);
  });

  test('no message holds the password', () => {
    for (const text of [
      'postgres://app:s3cret@/app',
      'postgres://app:s3cret@db:0/app',
      'postgres://app:s3cret@a,b/x',
      'foo://u:s3cret@h',
      'app:s3cret@db',
      'app:s3cret@db:0',
      'root:s3cret@tcp(mysql:3306)/app',
      'host=db port=5432 password=s3cret',
      'host=db:5432 password=s3cret',
      'db:5432 password=s3cret',
      'db:5432?password=s3cret',
      'Server=db;Port=5432;Password=s3cret',
      'jdbc:oracle:thin:app/s3cret@//db:1521/x',
      'postgres://app:s3cret/x@a,b/x',
    ]) {
      let said = 'nothing was thrown';
      try {
        parse(text);
      } catch (error) {
        said = String(error);
      }
      expect(said, text).not.toContain('s3cret');
      expect(said, text).not.toBe('nothing was thrown');
    }
  });
});
