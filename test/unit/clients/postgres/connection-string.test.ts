import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { describe, expect, test } from 'vitest';

import { readConnection } from '../../../../src/clients/postgres/connection-string.ts';
import { passwordFromFile } from '../../../../src/clients/postgres/password-file.ts';
import { UsageError } from '../../../../src/core/outcome.ts';
import { createRedactor } from '../../../../src/core/redaction/redactor.ts';
import { temporaryDirectory } from '../../../support/undo.ts';

function read(url: string | undefined, environment: Record<string, string> = {}) {
  const redactor = createRedactor();
  return readConnection(
    url === undefined ? undefined : { url: redactor.secret(url), origin: 'DATABASE_URL' },
    environment,
    redactor,
  );
}

function brief(url: string | undefined, environment: Record<string, string> = {}): string {
  const { hosts, user, database } = read(url, environment);
  return `${user} ${database} ${hosts.map(({ host, port, password }) => `${host}|${port}|${password?.reveal() ?? '-'}`).join(' ')}`;
}

describe('URLs', () => {
  test.each([
    ['postgres://u:p@h/d', 'u d h|5432|p'],
    ['postgresql://u:p@h:6000/d', 'u d h|6000|p'],
    ['postgres://u@h', 'u u h|5432|-'],
    ['postgres://u:p%40%2F%23%25@h/d%2Fe', 'u d/e h|5432|p@/#%'],
    ['postgres://u:p@[fd00::1]:7/d', 'u d fd00::1|7|p'],
    ['postgres://u:p@a,b:7/d', 'u d a|5432|p b|7|p'],
    ['postgres://u:p@%2Frun%2Fpostgresql/d', 'u d /run/postgresql|5432|p'],
    ['postgres:///d?host=/run/pg&user=u&port=7', 'u d /run/pg|7|-'],
    ['postgres://u:p@h/d?sslmode=require&dbname=other', 'u other h|5432|p'],
    ['postgres://h/d?user=u&password=a%26b', 'u d h|5432|a&b'],
    ['postgres://h/d?user=u&password=a@b', 'u d h|5432|a@b'],
    ['postgres://u:@h/d', 'u d h|5432|-'],
    ['postgres://u:p@h/d?connect_timeout=3', 'u d h|5432|p'],
    ['postgres://u:p@127.0.0.1:7/d?host=/cloudsql/x', 'u d /cloudsql/x|7|p'],
    ['postgres://u:p@h:7/d?port=8&user=v&password=q&dbname=e', 'v e h|8|q'],
    ['postgres://u:p@h/d?host=a,b&port=1,2', 'u d a|1|p b|2|p'],
    ['postgres://u:p@h/d?host=a&host=b', 'u d b|5432|p'],
    ['postgres://u:p@h/d?host=h&password=&dbname=', 'u u h|5432|-'],
  ])('%s', (url, expected) => {
    expect(brief(url)).toBe(expected);
  });

  test('what it does not say comes from the variables', () => {
    expect(brief('postgres://h/d', { PGUSER: 'u', PGPASSWORD: 'p', PGPORT: '7', PGHOST: 'other' })).toBe(
      'u d h|7|p',
    );
    expect(brief('postgres:///d', { PGUSER: 'u', PGHOST: 'a,b', PGPORT: '7,8' })).toBe('u d a|7|- b|8|-');
    expect(brief(undefined, { PGUSER: 'u', PGHOST: 'h' })).toBe('u u h|5432|-');
  });

  test('other options', () => {
    const settings = read(
      'postgres://u:p@h/d?target_session_attrs=read-write&connect_timeout=3&application_name=x&options=-c%20a%3Db&schema=s',
    );
    expect(settings).toMatchObject({
      attributes: 'read-write',
      connectTimeout: 3000,
      applicationName: 'x',
      options: '-c a=b',
      tls: { mode: 'prefer' },
      warnings: ['the parameter schema in DATABASE_URL has no effect here'],
    });
    expect(read('postgres://u@h/d?ssl=true').tls.mode).toBe('require');
    expect(read('postgres://u@h/d?sslmode=verify-full&sslrootcert=system').tls).toMatchObject({
      mode: 'verify-full',
      authorities: 'system',
    });
    expect(read('postgres://u@h/d?sslrootcert=system').tls.mode).toBe('verify-full');
    expect(read('postgres://u@h/d?sslmode=require&sslrootcert=&sslcert=&sslkey=').tls).toEqual(
      read('postgres://u@h/d?sslmode=require').tls,
    );
  });

  test.each([
    ['', 'is empty'],
    [' postgres://u:secret@h/d', 'begins or ends with a space'],
    ['postgres:u:secret@h/d', 'lacks the // after its scheme'],
    ['POSTGRES://u:secret@h/d', 'has its scheme in capitals; write postgres://'],
    ['mysql://u:secret@h/d', 'is a mysql: URL'],
    ['jdbc:postgresql://h/d?password=secret', 'is a JDBC URL'],
    ['postgresql+psycopg2://u:secret@h/d', 'names a driver'],
    ['host=h password=secret', 'is a list of keywords'],
    ['postgres://u:secret@h/d\npostgres://', 'holds a line break'],
    ['postgres://u:secret\u0001@h/d', 'holds a control character'],
    ['postgres://u:secret%@h/d', 'the password in DATABASE_URL is not valid percent-encoding'],
    ['postgres://u:secret%00@h/d', 'holds a zero byte'],
    ['postgres://u:sec/ret@h/d', 'has a /, ? or # in its user or password'],
    ['postgres://u:sec?ret@h/d', 'has a /, ? or # in its user or password'],
    ['postgres://u:sec#ret@h/d', 'has a /, ? or # in its user or password'],
    ['postgres://u:12?secret=x@h/d', 'has a /, ? or # in its user or password'],
    ['postgres://u/secret@h/d?sslmode=require', 'has a /, ? or # in its user or password'],
    ['postgres://u:sec@ret@h/d', 'more than one @'],
    ['postgres://u:sec:ret@h/d', 'more than one :'],
    ['postgres://u:secret@h/d#x', 'has a #'],
    ['postgres://u:secret@h/d/e', 'more than one / in its path'],
    ['postgres://u:secret@/d', 'names no host'],
    ['postgres://u:secret@h:x/d', 'the port in DATABASE_URL'],
    ['postgres://u:secret@h:0/d', 'the port in DATABASE_URL'],
    ['postgres://u:secret@::1/d', 'an IPv6 address stands in brackets'],
    ['postgres://u:secret@h h/d', 'has a space; write one in a password or a name as %20'],
    ['postgres://u:sec ret@h/d', 'has a space'],
    ['postgres://u:secret@h%20h/d', 'is not a name'],
    ['postgres://u:secret@/d?host=::1:', 'is not a name'],
    ['postgres://u:secret@h/d?&user=v', 'has an empty parameter'],
    ['postgres://u:secret@h/d?options=-c a=b', 'has a space'],
    ['postgres://u:secret@h/d?options=-csearch_path=app', 'options in DATABASE_URL has a second ='],
    ['postgres://u:secret@h/d?keepalives', 'keepalives in DATABASE_URL has no value'],
    ['postgres://u:secret@h/d?keepalives_idle=x', 'keepalives_idle in DATABASE_URL has a value that libpq'],
    ['postgres://u:secret@h/d?load_balance_hosts=true', 'has a value that libpq does not take'],
    ['postgres://u:secret@h/d?client_encoding=%zz', 'client_encoding in DATABASE_URL is not valid percent'],
    ['postgres://:secret@h/d', 'no user is named'],
    ['postgres://u:secret@h/d?user=', 'no user is named'],
    ['postgres://u:secret@h/d?host=', 'names no host'],
    ['postgres://u:secret@h:1,i:2/d?host=h', 'the port in DATABASE_URL gives 2 ports for 1 hosts'],
    ['postgres://u:secret@h/d?port=x', 'port in DATABASE_URL'],
    ['postgres://u:secret@h/d?host=/x&hostaddr=127.0.0.1', 'is the folder of a Unix socket, and hostaddr'],
    ['postgres://u:secret@h/d?sslmode', 'sslmode in DATABASE_URL has no value'],
    ['postgres://u:secret@h/d?sslmode=on', 'sslmode in DATABASE_URL: "on" is not one of'],
    ['postgres://u:secret@h/d?sslcrl=x', 'sslcrl in DATABASE_URL is not supported'],
    [
      'postgres://u:secret@h/d?channel_binding=required',
      'channel_binding in DATABASE_URL: "required" is not one of',
    ],
    [
      'postgres://u:secret@h/d?channel_binding=require&sslmode=disable',
      'channel_binding=require needs TLS, and sslmode is disable',
    ],
    ['postgres://u:secret@h/d?sslmode=verify-ca', 'needs the authorities to trust'],
    ['postgres://u:secret@h/d?sslmode=verify-ca&sslrootcert=/no/file', 'there is no file /no/file'],
    ['postgres://u:secret@h/d?sslmode=require&sslrootcert=system', 'needs sslmode=verify-full'],
    ['postgres://u:secret@h/d?sslnegotiation=direct', 'sslnegotiation=direct needs sslmode=require'],
    ['postgres://u:secret@h/d?connect_timeout=soon', 'is not a whole number of seconds'],
    ['postgres://u:secret@h/d?target_session_attrs=master', 'is not one of any, read-write'],
  ])('%j is refused without its password', (url, words) => {
    let error: unknown;
    try {
      read(url);
    } catch (caught) {
      error = caught;
    }
    expect(error).toBeInstanceOf(UsageError);
    const { message } = error as Error;
    expect(message).toContain(words);
    expect(message).not.toMatch(/secret|sec.ret|ret@/);
  });

  test.each([
    ['PGSSLCRL', 'x'],
    ['PGSSLCRLDIR', 'x'],
    ['PGREQUIREPEER', 'x'],
    ['PGREQUIREAUTH', 'scram-sha-256'],
    ['PGSSLMINPROTOCOLVERSION', 'TLSv1.3'],
    ['PGSSLMAXPROTOCOLVERSION', 'TLSv1.2'],
    ['PGSSLCERTMODE', 'require'],
    ['PGSSLSNI', '0'],
    ['PGGSSENCMODE', 'require'],
    ['PGMINPROTOCOLVERSION', '3.2'],
  ])('%s=%s would make it safer and is not supported: refused, not passed over', (variable, value) => {
    expect(() => read('postgres://u@h/d', { [variable]: value })).toThrow(
      new RegExp(`^${variable}\\b.* is not supported here`),
    );
  });

  test.each([
    'PGSSLMODE',
    'PGSSLNEGOTIATION',
    'PGTARGETSESSIONATTRS',
    'PGCONNECT_TIMEOUT',
    'PGSSLCERTMODE',
    'PGCHANNELBINDING',
    'PGGSSENCMODE',
    'PGMINPROTOCOLVERSION',
    'PGMAXPROTOCOLVERSION',
    'PGSERVICE',
  ])('%s is refused where it is empty, as by libpq', (variable) => {
    expect(() => read('postgres://u@h/d', { [variable]: '' })).toThrow(new RegExp(`^${variable}\\b`));
  });

  test.each([
    'PGHOST',
    'PGPORT',
    'PGUSER',
    'PGDATABASE',
    'PGPASSWORD',
    'PGPASSFILE',
    'PGSSLROOTCERT',
    'PGSSLCERT',
    'PGSSLKEY',
    'PGAPPNAME',
    'PGOPTIONS',
    'PGREQUIRESSL',
    'PGREQUIREAUTH',
    'PGREQUIREPEER',
    'PGSSLCRL',
    'PGSSLMINPROTOCOLVERSION',
    'PGSSLSNI',
  ])('%s counts as unset where it is empty', (variable) => {
    expect(read('postgres://u@h/d', { [variable]: '' })).toEqual(read('postgres://u@h/d'));
  });

  test('PGREQUIRESSL and requiressl are the old sslmode, as in libpq', () => {
    const mode = (query: string, environment: Record<string, string> = {}) =>
      read(`postgres://u@h/d${query}`, environment).tls.mode;
    expect(mode('', { PGREQUIRESSL: '1' })).toBe('require');
    expect(mode('', { PGREQUIRESSL: '0' })).toBe('prefer');
    expect(mode('', { PGREQUIRESSL: '1', PGSSLMODE: 'disable' })).toBe('disable');
    expect(mode('?sslmode=disable', { PGREQUIRESSL: '1' })).toBe('disable');
    expect(mode('?requiressl=1')).toBe('require');
    expect(mode('?requiressl=0', { PGSSLMODE: 'require' })).toBe('prefer');
    expect(() => mode('', { PGREQUIRESSL: 'true' })).toThrow(
      'PGREQUIRESSL is neither 0 nor 1; write sslmode=require',
    );
    expect(() => mode('?requiressl=yes')).toThrow('requiressl in DATABASE_URL is neither 0 nor 1');
  });

  test.each([
    ['sslmod=verify-full', 'did you mean sslmode?'],
    ['sslMode=require', 'did you mean sslmode?'],
    ['SSLMODE=require', 'did you mean sslmode?'],
    ['ssl_mode=require', 'did you mean sslmode?'],
    ['SSL=true', 'TLS is not left to a guess; write it as sslmode='],
    ['sslaccept=strict', 'TLS is not left to a guess'],
    ['sslrootcrt=/ca.pem', 'did you mean sslrootcert?'],
    ['requireauth=scram-sha-256', 'did you mean require_auth?'],
    ['chanel_binding=require', 'did you mean channel_binding?'],
    ['target_session_attr=primary', 'did you mean target_session_attrs?'],
    ['pasword=secret', 'did you mean password?'],
    ['sslcertmode=disable', 'sslcertmode=disable is not supported here; write allow, or remove it'],
    ['sslsni=0', 'sslsni=0 is not supported here'],
    ['sslpassword=secret', 'sslpassword in DATABASE_URL is not supported here; remove it'],
    ['oauth_client_secret=secret', 'oauth_client_secret in DATABASE_URL is not supported here'],
    [
      'channel_binding=Require',
      'channel_binding in DATABASE_URL: "Require" is not one of disable, prefer, require',
    ],
    ['min_protocol_version=3.2', 'min_protocol_version=3.2 is not supported here'],
  ])('?%s is not passed over', (query, words) => {
    const refusal = (): unknown => read(`postgres://u@h/d?${query}`);
    expect(refusal).toThrow(words);
    expect(refusal).not.toThrow('secret is');
  });

  test('parameters of other drivers are passed over with a warning', () => {
    const others =
      'schema connection_limit pgbouncer pool_timeout socket_timeout statement_cache_size currentSchema pool_size pool_max_conns search_path statement_timeout lock_timeout binary_parameters prepareThreshold uselibpqcompat pool max min encoding TimeZone';
    const { warnings } = read(`postgres://u@h/d?${others.replaceAll(' ', '=1&')}=1`);
    expect(warnings).toEqual(
      others.split(' ').map((name) => `the parameter ${name} in DATABASE_URL has no effect here`),
    );
    const idle =
      'sslcertmode=allow&sslsni=1&channel_binding=prefer&gssencmode=disable&max_protocol_version=latest';
    expect(read(`postgres://u@h/d?${idle}`).warnings).toEqual([]);
  });

  test('a list of revoked certificates in libpq’s place for it is refused where it would count', () => {
    const folder = temporaryDirectory('home');
    const own = join(folder.path, '.postgresql');
    mkdirSync(own);
    writeFileSync(join(own, 'root.crl'), 'x');
    const mode = () => read('postgres://u@h/d', { HOME: folder.path }).tls.mode;
    expect(mode()).toBe('prefer');
    writeFileSync(join(own, 'root.crt'), '-----BEGIN CERTIFICATE-----');
    expect(mode).toThrow(`${own}/root.crl lists revoked certificates`);
    folder.remove();
  });

  test('a password file that was named and gives no password is told of', () => {
    const folder = temporaryDirectory('pgpass');
    const path = join(folder.path, 'pgpass');
    expect(read('postgres://u@h/d', { PGPASSFILE: path }).warnings).toEqual([
      `the password file ${path} (PGPASSFILE) cannot be read`,
    ]);
    writeFileSync(path, 'other:*:*:*:no\n');
    expect(read('postgres://u@h/d', { PGPASSFILE: path }).warnings).toEqual([
      `the password file ${path} (PGPASSFILE) holds no line for u on this server`,
    ]);
    expect(read('postgres://u:p@h/d', { PGPASSFILE: path }).warnings).toEqual([]);
    writeFileSync(path, 'h:*:*:*:yes\n');
    expect(read('postgres://u@h/d', { PGPASSFILE: path }).warnings).toEqual([]);
    folder.remove();
  });

  test('a service file and unequal lists are refused', () => {
    expect(() => read(undefined, { PGSERVICE: 'x', PGHOST: 'h', PGUSER: 'u' })).toThrow(
      /PGSERVICE names a service file/,
    );
    expect(() => read(undefined, { PGHOST: 'a,b,c', PGPORT: '1,2', PGUSER: 'u' })).toThrow(
      /2 ports for 3 hosts/,
    );
    expect(() => read(undefined, { PGHOST: 'h', PGHOSTADDR: 'x', PGUSER: 'u' })).toThrow(
      /is not an IP address/,
    );
  });
});

describe('password files', () => {
  const ask = (
    text: string,
    question = { host: 'db', port: 5432, database: 'd', user: 'u' },
  ): string | undefined => {
    const folder = temporaryDirectory('pgpass');
    const path = join(folder.path, 'pgpass');
    writeFileSync(path, text);
    const found = passwordFromFile(path, question);
    folder.remove();
    return found;
  };

  test.each([
    ['db:5432:d:u:secret\n', 'secret'],
    ['*:*:*:*:secret', 'secret'],
    ['other:*:*:*:no\ndb:*:*:u:yes\n*:*:*:*:later', 'yes'],
    ['# db:*:*:u:no\r\ndb:5432:d:u:with\\:colon\r\n', 'with:colon'],
    ['db:5432:d:u:a:b', 'a'],
    ['d\\b:5432:d:u:escaped', 'escaped'],
    ['db:5432:d\n', undefined],
    ['db:1:d:u:no', undefined],
    ['', undefined],
  ])('%j', (text, expected) => {
    expect(ask(text)).toBe(expected);
  });

  test('a socket is looked up by its folder, one in libpq’s own folder as localhost too; no file is no password', () => {
    const socket = (host: string) => ({ host, port: 5432, database: 'd', user: 'u' });
    expect(ask('/cloudsql/x:*:*:*:s', socket('/cloudsql/x'))).toBe('s');
    expect(ask('localhost:*:*:*:s', socket('/cloudsql/x'))).toBeUndefined();
    expect(ask('localhost:*:*:*:s', socket('/var/run/postgresql'))).toBe('s');
    expect(ask('/tmp:*:*:*:s', socket('/tmp'))).toBe('s');
    expect(
      passwordFromFile('/no/such/file', { host: 'h', port: 1, database: 'd', user: 'u' }),
    ).toBeUndefined();
  });
});
