// Each recipe of docs/recipes.md, run as it stands, twice: a container may be started again at any moment. Servers are those
// of the tests, so that host:port and the paths of volumes are replaced by what they are here.
import { execFileSync } from 'node:child_process';
import { createSign, generateKeyPairSync } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

import { describe, expect, test } from 'vitest';

import { ApiServer } from '../../support/api-server.ts';
import { startDnsServer } from '../../support/dns-server.ts';
import { startFakeGoogle } from '../../support/fake-google.ts';
import { canMount } from '../../support/faults.ts';
import { canUseCloudStorage, startCloudStorage } from '../../support/gcs.ts';
import { startGitServer } from '../../support/git-server.ts';
import { canUseKafka, freeKafkaPorts, makeKafkaTopic, startKafka } from '../../support/kafka.ts';
import { canUseMariadb, startMariadb } from '../../support/mariadb.ts';
import { memoryFolders } from '../../support/memory-folders.ts';
import { playMongodb } from '../../support/mongodb.ts';
import { canUseMoto, startMoto } from '../../support/moto.ts';
import { canUseBao, startBao, type Bao } from '../../support/openbao.ts';
import { startPostgres } from '../../support/postgres.ts';
import { runInitbox, type ProgramOptions } from '../../support/program.ts';
import { canUseRabbitmq, startRabbitmq } from '../../support/rabbitmq.ts';
import { canUseRedis, startRedis } from '../../support/redis.ts';
import { createCertificateAuthority } from '../../support/tls.ts';
import { requireOrSkip } from '../../support/tools.ts';
import { canUseZookeeper, startZookeeper } from '../../support/zookeeper.ts';
import { pageAt, type Block } from '../../unit/docs/pages.ts';
import { documentsIn, isMap, type Map } from '../../unit/docs/yaml.ts';

/** Where a recipe is tried: what stands here for the servers, variables and volumes that it names. */
interface Scene extends ProgramOptions {
  /** What is written in another way here: `db:5432` is `127.0.0.1:40001`. */
  readonly instead?: Readonly<Record<string, string>>;
  /** Of variables that come from Secrets. */
  readonly secrets?: Readonly<Record<string, string>>;
  /** After each of the two runs. */
  readonly check?: () => void | Promise<void>;
}

/** Makes the scene of a recipe and hands it to `play`; volumes are folders in memory, by their mount paths. */
type Stage = (play: (scene: Scene) => Promise<void>, volume: (mountPath: string) => string) => Promise<void>;

interface Recipe {
  readonly name: string;
  readonly containers: readonly Map[];
  /** Files that follow the containers, by the comment in their first line. */
  readonly files: ReadonlyMap<string, string>;
}

const page = pageAt('docs/recipes.md');

/** What stands under each heading: the script, what replaces it, and what that needs. */
function recipes(): Recipe[] {
  const lines = page.text.split('\n');
  const headings = lines.flatMap((line, index) =>
    line.startsWith('### ') ? [{ name: line.slice(4), line: index + 1 }] : [],
  );
  const lineOf = ({ place }: Block): number => Number(place.split(':')[1]);
  return headings.map(({ name, line }, index) => {
    const end = headings[index + 1]?.line ?? Infinity;
    const blocks = page.blocks.filter((block) => lineOf(block) > line && lineOf(block) < end);
    const [before, after, ...files] = blocks;
    if (before === undefined || after === undefined)
      throw new Error(`${name}: no script, or nothing instead`);
    const containers = documentsIn(after).flat().filter(isMap);
    return {
      name,
      containers,
      files: new Map(files.map(({ text }) => [/^# (\S+)\n/.exec(text)?.[1] ?? '', text])),
    };
  });
}

/** What fails is told before the test's own time is up. */
const impatient = { INITBOX_TIMEOUT: '1m' };

const strings = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : []);

function commandOf(container: Map): string[] {
  const command = strings(container['command']);
  return [...(command[0] === '/initbox/initbox' ? command.slice(1) : command), ...strings(container['args'])];
}

function environmentOf(container: Map, secrets: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Array.isArray(container['env']) ? container['env'].filter(isMap) : [];
  const env: Record<string, string> = {};
  for (const entry of entries) {
    const name = String(entry['name']);
    env[name] = typeof entry['value'] === 'string' ? expanded(entry['value'], env) : (secrets[name] ?? '');
  }
  return env;
}

/** As Kubernetes replaces `$(NAME)` before a container starts, by what stands before it. */
function expanded(text: string, env: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\((\w+)\)/g, (given, name: string) => env[name] ?? given);
}

async function expectPlayed(recipe: Recipe, stage: Stage, folder: () => string): Promise<void> {
  const volumes = new Map<string, string>();
  const volume = (mountPath: string): string => {
    if (!volumes.has(mountPath)) volumes.set(mountPath, folder());
    return volumes.get(mountPath) as string;
  };
  for (const container of recipe.containers)
    for (const mount of Array.isArray(container['volumeMounts']) ? container['volumeMounts'] : [])
      volume(String((mount as Map)['mountPath']));
  await stage(async (scene) => {
    const { instead = {}, secrets = {}, check, env: more = {}, ...options } = scene;
    const here = (text: string): string => {
      let said = text;
      for (const [written, meant] of Object.entries(instead)) said = said.replaceAll(written, meant);
      for (const [mountPath, path] of volumes)
        said = said.replaceAll(new RegExp(`(^|[:= [])${mountPath}(?=[/,\\]]|$)`, 'gm'), `$1${path}`);
      return said;
    };
    for (const [name, text] of recipe.files) writeFileSync(join(volume('/plan'), name), here(text));
    for (const turn of ['first', 'again']) {
      for (const container of recipe.containers) {
        const env = environmentOf(container, secrets);
        const args = commandOf(container).map((word) => here(expanded(word, env)));
        const given = Object.fromEntries(Object.entries(env).map(([name, value]) => [name, here(value)]));
        const result = await runInitbox(args, { ...options, env: { ...impatient, ...given, ...more } });
        expect(result.status, `${turn}, ${String(container['name'])}: ${result.stderr}`).toBe(0);
        for (const secret of Object.values(secrets)) expect(result.stderr).not.toContain(secret);
      }
      await check?.();
    }
  }, volume);
}

/** A web server that answers by the path, whatever host was meant. */
async function serving(
  answers: Readonly<Record<string, string | Buffer>>,
): Promise<AsyncDisposable & { address: string }> {
  const server = createServer((request, response) => {
    const body = answers[request.url ?? ''];
    response.statusCode = body === undefined ? 404 : 200;
    response.end(body ?? '');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    address: `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const jobs = '/apis/batch/v1/namespaces/default/jobs';

/** Scripts that a recipe runs: they are there on PATH or where the container works, and leave a line behind. */
function scripts(folder: string, names: readonly string[]): void {
  for (const name of names) {
    writeFileSync(join(folder, name), `#!/bin/sh\necho "${name} $*" >> ${join(folder, 'ran')}\n`);
    chmodSync(join(folder, name), 0o755);
  }
}

/** Lets a pod log in as the role app, by the token that is put into the folder. */
async function trustPods(bao: Bao, folder: string): Promise<void> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  // The API of a JWT role is that of a Kubernetes role, and asks no cluster.
  await bao.must('POST', 'sys/auth/kubernetes', { type: 'jwt' });
  await bao.must('POST', 'auth/kubernetes/config', {
    jwt_validation_pubkeys: [publicKey.export({ type: 'spki', format: 'pem' })],
  });
  await bao.must('PUT', 'sys/policies/acl/app', { policy: 'path "secret/*" { capabilities = ["read"] }' });
  await bao.must('POST', 'auth/kubernetes/role/app', {
    role_type: 'jwt',
    user_claim: 'sub',
    bound_audiences: ['vault'],
    token_policies: 'app',
  });
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const claims = { sub: 'system:serviceaccount:default:app', aud: 'vault', iat: now, exp: now + 600 };
  const text = `${encode({ alg: 'RS256', typ: 'JWT' })}.${encode(claims)}`;
  writeFileSync(
    join(folder, 'token'),
    `${text}.${createSign('RSA-SHA256').update(text).sign(privateKey).toString('base64url')}`,
  );
}

const stages: Readonly<Record<string, Stage>> = {
  async 'For a port'(act) {
    await using server = await serving({});
    await act({ instead: { 'db:5432': server.address } });
  },
  async 'For a port, so many times'(act) {
    await using server = await serving({});
    await act({ instead: { 'redis:6379': server.address } });
  },
  async 'For a name of this namespace'(act) {
    await using dns = await startDnsServer();
    dns.answer('kafka-headless.shop.svc.cluster.local', 'A', ['10.1.2.3']);
    await act({
      // resolv.conf names no port: the address of the test's server is given beside the recipe.
      env: { INITBOX_SERVER: `${dns.address}:${dns.port}` },
      files: { '/etc/resolv.conf': 'search shop.svc.cluster.local svc.cluster.local cluster.local\n' },
    });
  },
  async 'For an HTTP status'(act) {
    await using server = await serving({ '/ready': 'yes' });
    await act({ instead: { 'api:8080': server.address } });
  },
  async 'For what an answer says'(act) {
    await using server = await serving({ '/_cluster/health': '{"cluster_name":"a","status":"yellow"}' });
    await act({ instead: { 'es:9200': server.address } });
  },
  async 'For MySQL or MariaDB'(act) {
    await using server = await startMariadb({
      sql: ["CREATE OR REPLACE USER root@localhost IDENTIFIED BY 'hunter2-hunter2';"],
    });
    await act({
      instead: { 'root@mysql': `root@127.0.0.1:${server.port}` },
      secrets: { MYSQL_ROOT_PASSWORD: 'hunter2-hunter2' },
    });
  },
  async 'For Redis'(act) {
    await using server = await startRedis({ flags: ['--requirepass', 'hunter2-hunter2'] });
    await act({
      instead: { '//redis': `//127.0.0.1:${server.port}` },
      secrets: { PW: 'hunter2-hunter2' },
    });
  },
  async 'For MongoDB'(act) {
    await using server = await playMongodb((command) =>
      command === 'hello' || command === 'isMaster'
        ? { ok: 1, isWritablePrimary: true, ismaster: true, minWireVersion: 0, maxWireVersion: 21 }
        : { ok: 1 },
    );
    await act({ instead: { '//mongo': `//${server.address}` } });
  },
  async 'For ZooKeeper'(act) {
    await using server = await startZookeeper();
    await act({ instead: { '//zk': `//127.0.0.1:${server.port}` } });
  },
  async 'For a topic of Kafka'(act) {
    using authority = await createCertificateAuthority();
    const ports = await freeKafkaPorts();
    await using server = await startKafka({ ports, tls: await authority.server(['localhost']) });
    await makeKafkaTopic(server.ports.plain, 'orders');
    await act({ instead: { 'kafka:9092': `127.0.0.1:${server.ports.plain}` } });
  },
  async 'For RabbitMQ'(act) {
    await using server = await startRabbitmq();
    await act({
      instead: { '@rmq': `@127.0.0.1:${server.port}` },
      secrets: { RABBITMQ_PASSWORD: 'hunter2' },
    });
    const bare = `127.0.0.1:${server.port}?send=AMQP%00%00%09%01&expect=AMQP`;
    expect(page.text).toContain('`rmq:5672?send=AMQP%00%00%09%01&expect=AMQP`');
    expect(await runInitbox(['wait', bare])).toMatchObject({ status: 0 });
  },
  async 'For a Job, pods or a Service of Kubernetes'(act) {
    await using api = await ApiServer.start();
    api.set(jobs, {
      metadata: { name: 'migrate-7', namespace: 'default' },
      spec: { completions: 1 },
      status: { conditions: [{ type: 'Complete', status: 'True' }] },
    });
    api.set('/api/v1/namespaces/default/pods', {
      metadata: { name: 'kafka-0', namespace: 'default', labels: { app: 'kafka', tier: 'data' } },
      status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] },
    });
    api.set('/api/v1/namespaces/default/services', {
      metadata: { name: 'api', namespace: 'default' },
      spec: { clusterIP: '10.96.0.7' },
    });
    api.set('/apis/discovery.k8s.io/v1/namespaces/default/endpointslices', {
      metadata: { name: 'api-1', namespace: 'default', labels: { 'kubernetes.io/service-name': 'api' } },
      endpoints: [{ addresses: ['10.1.0.1'], conditions: { ready: true } }],
    });
    await act({ env: { KUBECONFIG: api.kubeconfig({ token: 'hunter2-hunter2' }) } });
  },
  async "For somebody else's migration"(act, volume) {
    scripts(volume('/plan'), ['python']);
    const path = `${volume('/plan')}:${process.env['PATH'] ?? ''}`;
    await act({
      env: { PATH: path },
      check: () =>
        expect(readFileSync(join(volume('/plan'), 'ran'), 'utf8')).toContain(
          'python manage.py migrate --check\n',
        ),
    });
  },
  async 'For several, and a template, as dockerize does'(act, volume) {
    await using server = await serving({ '/health': 'fine' });
    writeFileSync(join(volume('/t'), 'a.tmpl'), 'host=${DB_HOST}\n');
    await act({
      instead: { 'db:5432': server.address, '//api/': `//${server.address}/` },
      check: () => expect(readFileSync(join(volume('/c'), 'a.conf'), 'utf8')).toBe('host=db\n'),
    });
  },
  async 'With a time limit'(act, volume) {
    await using postgres = await startPostgres();
    const place = volume('/app');
    scripts(place, ['migrate', 'manage']);
    await act({
      cwd: place,
      secrets: { DATABASE_URL: postgres.url() },
      check: () =>
        expect(readFileSync(join(place, 'ran'), 'utf8')).toMatch(/^(migrate up\nmanage loaddata base\n)+$/),
    });
  },
  async 'A database, made if missing'(act) {
    await using postgres = await startPostgres();
    // The tests' own server has one of that name.
    await postgres.sql('DROP DATABASE app', [], 'postgres');
    await act({
      secrets: { DATABASE_URL: postgres.superuserUrl('postgres') },
      check: async () => {
        const text = `SELECT datname FROM pg_database WHERE datname = 'app'`;
        expect(await postgres.sql(text, [], 'postgres')).toEqual([{ datname: 'app' }]);
      },
    });
  },
  async 'A database of MySQL and its user, made if missing'(act) {
    await using server = await startMariadb({
      sql: [
        "CREATE OR REPLACE USER root@localhost IDENTIFIED BY 'hunter2-hunter2';",
        'GRANT ALL ON *.* TO root@localhost WITH GRANT OPTION;',
        "DROP DATABASE app; DROP USER app@'%';",
      ],
    });
    const here = `127.0.0.1:${server.port}`;
    await act({
      instead: { 'root@mysql': `root@${here}` },
      secrets: { MYSQL_PWD: 'hunter2-hunter2', APP_PASSWORD: 'hunter3-hunter3' },
      check: async () => {
        const made = await runInitbox(['wait', `mysql://app@${here}/app?query=SELECT%201`], {
          env: { MYSQL_PWD: 'hunter3-hunter3' },
        });
        expect(made.status, made.stderr).toBe(0);
      },
    });
  },
  async 'Folders, empty files and modes'(act, volume) {
    await act({
      check() {
        const data = volume('/data');
        expect(readdirSync(data).toSorted()).toEqual(['a', 'b', 'ready']);
        expect(statSync(data).mode & 0o7777).toBe(0o700);
      },
    });
  },
  async 'Owner and modes of a volume'(act, volume) {
    const data = volume('/data');
    mkdirSync(join(data, 'lost+found'));
    writeFileSync(join(data, 'a'), '', { mode: 0o640 });
    await act({
      check() {
        expect(readdirSync(data)).toEqual(['a']);
        expect(statSync(join(data, 'a'))).toMatchObject({ uid: 1000, gid: 1000, mode: 0o100660 });
      },
    });
  },
  async 'A commit of a Git repository'(act, volume) {
    await using server = await startGitServer({ login: 'x:hunter2-hunter2' });
    server.repository('acme/site.git').commit({ 'index.html': 'one\n' });
    const { hostname } = new URL(server.url);
    writeFileSync(join(volume('/git'), 'netrc'), `machine ${hostname} login x password hunter2-hunter2\n`);
    await act({
      instead: { 'git+https://git.example': `git+${server.url}` },
      check: () => expect(readFileSync(join(volume('/src'), 'index.html'), 'utf8')).toBe('one\n'),
    });
  },
  async "A number from the pod's name"(act, volume) {
    writeFileSync(join(volume('/tmpl'), 'server.properties'), 'broker.id=@ID@\nmail=a@b.c\n');
    await act({
      env: { HOSTNAME: 'kafka-2' },
      check: () =>
        expect(readFileSync(join(volume('/config'), 'server.properties'), 'utf8')).toBe(
          'broker.id=3\nmail=a@b.c\n',
        ),
    });
  },
  async 'A file that stands in the manifest'(act, volume) {
    await act({
      secrets: { DB_PASSWORD: 'hunter2-hunter2' },
      check: () =>
        expect(readFileSync(join(volume('/config'), 'app.ini'), 'utf8')).toBe(
          'host=db\npassword=hunter2-hunter2\n',
        ),
    });
  },
  async 'A Secret of Kubernetes that comes later'(act, volume) {
    await using api = await ApiServer.start();
    const made = setTimeout(
      () =>
        api.set('/api/v1/namespaces/default/secrets', {
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { name: 'tls-cert', namespace: 'default' },
          data: { 'tls.crt': Buffer.from('hunter2-hunter2').toString('base64') },
        }),
      1000,
    );
    await act({
      env: { KUBECONFIG: api.kubeconfig({ token: 'hunter3-hunter3' }) },
      check: () => expect(readFileSync(join(volume('/certs'), 'tls.crt'), 'utf8')).toBe('hunter2-hunter2'),
    });
    clearTimeout(made);
  },
  async 'Objects of S3 and a parameter of AWS'(act, volume) {
    await using moto = await startMoto();
    const region = `<LocationConstraint>${moto.region}</LocationConstraint>`;
    await moto.objects('PUT', '/bucket', `<CreateBucketConfiguration>${region}</CreateBucketConfiguration>`);
    await moto.objects('PUT', '/bucket/config/a/app.conf', 'one');
    const parameter = { Name: '/app/key', Value: 'hunter2-hunter2', Type: 'SecureString' };
    await moto.parameterStore('PutParameter', parameter);
    await act({
      env: moto.env,
      check() {
        expect(readFileSync(join(volume('/config'), 'a', 'app.conf'), 'utf8')).toBe('one');
        expect(readFileSync(join(volume('/key'), 'key'), 'utf8')).toBe('hunter2-hunter2');
      },
    });
  },
  async 'Objects and a secret of Google'(act, volume) {
    await using gcs = await startCloudStorage();
    using google = await startFakeGoogle({ 'shop-prod/key': [{ data: 'hunter2-hunter2' }] });
    await gcs.makeBucket('bucket');
    await gcs.put('bucket', 'config/a/app.conf', 'one');
    await act({
      env: { ...google.env, STORAGE_EMULATOR_HOST: gcs.url },
      check() {
        expect(readFileSync(join(volume('/config'), 'a', 'app.conf'), 'utf8')).toBe('one');
        expect(readFileSync(join(volume('/key'), 'key'), 'utf8')).toBe('hunter2-hunter2');
      },
    });
  },
  async "A certificate of one's own, and a keystore of it"(act, volume) {
    let first: string | undefined;
    await act({
      secrets: { PW: 'hunter2-hunter2' },
      check() {
        const certificate = readFileSync(join(volume('/c'), 'tls.crt'), 'utf8');
        first ??= certificate;
        expect(certificate).toBe(first);
        const store = ['pkcs12', '-in', join(volume('/keys'), 'ks.p12'), '-passin', 'pass:hunter2-hunter2'];
        expect(execFileSync('openssl', [...store, '-nokeys'], { encoding: 'utf8' })).toContain('CN = svc');
      },
    });
  },
  async 'Copy from the image to a volume'(act, volume) {
    mkdirSync(join(volume('/app/public'), 'css'));
    writeFileSync(join(volume('/app/public'), 'css', 'a.css'), 'a {}\n');
    writeFileSync(join(volume('/config-ro'), 'app.yml'), 'a: 1\n');
    await act({
      check() {
        expect(readFileSync(join(volume('/static'), 'css', 'a.css'), 'utf8')).toBe('a {}\n');
        expect(readFileSync(join(volume('/config'), 'app.yml'), 'utf8')).toBe('a: 1\n');
      },
    });
  },
  async 'Seed a volume once'(act, volume) {
    writeFileSync(join(volume('/opt/plugins'), 'a.jar'), 'one');
    writeFileSync(join(volume('/opt/plugins'), 'README'), 'not this');
    await act({
      check: () =>
        expect(readdirSync(volume('/plugins')).filter((name) => !name.startsWith('.'))).toEqual(['a.jar']),
    });
  },
  async 'Download and unpack an archive'(act, volume) {
    const from = volume('/made');
    mkdirSync(join(from, 'x-1'));
    writeFileSync(join(from, 'x-1', 'tool'), 'one\n');
    execFileSync('tar', ['czf', 'v1.tar.gz', 'x-1'], { cwd: from });
    await using server = await serving({ '/x/v1.tar.gz': readFileSync(join(from, 'v1.tar.gz')) });
    await act({
      instead: { 'https://releases.example': `http://${server.address}` },
      check: () => expect(readFileSync(join(volume('/opt'), 'tool'), 'utf8')).toBe('one\n'),
    });
  },
  async 'Download one compressed file'(act, volume) {
    await using server = await serving({ '/m.bin.gz': gzipSync('weights') });
    await act({
      instead: { 'https://models.example': `http://${server.address}` },
      check: () => expect(readFileSync(join(volume('/models'), 'm.bin'), 'utf8')).toBe('weights'),
    });
  },
  async 'Templates by envsubst'(act, volume) {
    writeFileSync(
      join(volume('/tmpl'), 'nginx.conf'),
      'proxy_pass ${BACKEND}; proxy_set_header Host $host;\n',
    );
    await act({
      check: () =>
        expect(readFileSync(join(volume('/etc/nginx/conf.d'), 'default.conf'), 'utf8')).toBe(
          'proxy_pass http://api:8080; proxy_set_header Host $host;\n',
        ),
    });
  },
  async "A secret of Vault by the pod's service account"(act, volume) {
    await using bao = await startBao();
    await trustPods(bao, volume('/token'));
    await bao.must('POST', 'secret/data/app', { data: { config: 'password=hunter2-hunter2\n' } });
    await act({
      instead: { 'http://vault:8200': bao.address },
      // Where the kubelet puts it, there may be no folder on this machine.
      env: { INITBOX_VAULT_JWT_FILE: join(volume('/token'), 'token') },
      check: () =>
        expect(readFileSync(join(volume('/config'), 'app.conf'), 'utf8')).toBe('password=hunter2-hunter2\n'),
    });
  },
  async 'A template of Vault Agent'(act, volume) {
    await using bao = await startBao();
    await trustPods(bao, volume('/token'));
    await bao.must('POST', 'secret/data/app', { data: { password: 'hunter2-hunter2' } });
    writeFileSync(
      join(volume('/templates'), 'app.ctmpl'),
      '{{ with secret "secret/data/app" -}}\npassword={{ .Data.data.password }}\n{{ end }}',
    );
    await act({
      instead: { 'http://vault:8200': bao.address },
      env: { INITBOX_VAULT_JWT_FILE: join(volume('/token'), 'token') },
      check: () =>
        expect(readFileSync(join(volume('/config'), 'app.conf'), 'utf8')).toBe('password=hunter2-hunter2\n'),
    });
  },
  async "A bundle of the system's and one's own"(act, volume) {
    using authority = await createCertificateAuthority('Corp Root');
    writeFileSync(join(volume('/extra'), 'corp.crt'), authority.certificate);
    await act({
      check() {
        const bundle = readFileSync(join(volume('/bundle'), 'ca.crt'), 'utf8');
        expect(bundle.match(/BEGIN CERTIFICATE/g)?.length).toBeGreaterThan(50);
      },
    });
  },
  async 'A truststore for Java'(act, volume) {
    using authority = await createCertificateAuthority('Corp Root');
    writeFileSync(join(volume('/ca'), 'corp.crt'), authority.certificate);
    await act({ check: () => expect(existsSync(join(volume('/ts'), 'cacerts'))).toBe(true) });
  },
};

/** What keeps a stage from being set here. */
const needs: Readonly<Record<string, () => string | undefined>> = {
  'For MySQL or MariaDB': canUseMariadb,
  'A database of MySQL and its user, made if missing': canUseMariadb,
  'For Redis': canUseRedis,
  'For ZooKeeper': canUseZookeeper,
  'For a topic of Kafka': canUseKafka,
  'For RabbitMQ': canUseRabbitmq,
  'Objects of S3 and a parameter of AWS': canUseMoto,
  'Objects and a secret of Google': canUseCloudStorage,
  "A secret of Vault by the pod's service account": canUseBao,
  'A template of Vault Agent': canUseBao,
};

describe.skipIf(requireOrSkip('recipes', canMount()))('docs/recipes.md', () => {
  const folder = memoryFolders('64m');
  const all = recipes();

  test.each(all.map((recipe) => [recipe.name, recipe] as const))('%s', async (name, recipe) => {
    const stage = stages[name];
    if (stage === undefined) throw new Error(`${name} is not played: set a stage for it`);
    const missing = needs[name]?.();
    if (missing !== undefined) return void requireOrSkip(name, missing);
    await expectPlayed(recipe, stage, folder);
    return undefined;
  });

  test('each stage has its recipe', () => {
    expect(Object.keys(stages).toSorted()).toEqual(all.map(({ name }) => name).toSorted());
  });
});
