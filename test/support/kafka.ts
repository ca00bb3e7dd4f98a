// Kafka, from Maven: one broker that is its own controller, or two that share their topics.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { makeOnce, projectCacheDirectory, run } from './build-cache.ts';
import { freePort } from './ports.ts';
import { startServerProcess } from './server-process.ts';
import { needTool, whyMissing } from './tools.ts';
import { temporaryDirectory } from './undo.ts';

const version = '4.0.0';

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>test</groupId><artifactId>test</artifactId><version>1</version>
<dependencies><dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId>
<version>${version}</version></dependency></dependencies></project>`;

export interface KafkaPorts {
  plain: number;
  /** User `app`, password `hunter2`, by PLAIN and SCRAM-SHA-256. */
  sasl: number;
  tls: number;
}

export interface KafkaOptions {
  ports?: KafkaPorts;
  tls: { certificateFile: string; keyFile: string };
  /** What clients of the plain listener are told to use; 127.0.0.1:PORT unless given. */
  advertised?: string;
}

export interface Kafka extends AsyncDisposable {
  readonly ports: KafkaPorts;
  stop(): Promise<void>;
}

/** For requireOrSkip. */
export function canUseKafka(): string | undefined {
  return whyMissing('java', 'default-jre-headless') ?? whyMissing('mvn', 'maven');
}

export async function freeKafkaPorts(): Promise<KafkaPorts> {
  return { plain: await freePort(), sasl: await freePort(), tls: await freePort() };
}

/** Starts a broker on 127.0.0.1; topics that clients ask for are made, with three partitions. */
export async function startKafka(options: KafkaOptions): Promise<Kafka> {
  const ports = options.ports ?? (await freeKafkaPorts());
  const controller = await freePort();
  const folder = temporaryDirectory('kafka');
  const at = (name: string): string => join(folder.path, name);
  mkdirSync(at('data'));
  const { certificateFile, keyFile } = options.tls;
  writeFileSync(at('server.pem'), readFileSync(keyFile, 'utf8') + readFileSync(certificateFile, 'utf8'));
  const login = 'org.apache.kafka.common.security';
  const settings = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.bootstrap.servers': `127.0.0.1:${controller}`,
    listeners: `PLAINTEXT://127.0.0.1:${ports.plain},SASL_PLAINTEXT://127.0.0.1:${ports.sasl},SSL://127.0.0.1:${ports.tls},CONTROLLER://127.0.0.1:${controller}`,
    'advertised.listeners': `PLAINTEXT://${options.advertised ?? `127.0.0.1:${ports.plain}`},SASL_PLAINTEXT://127.0.0.1:${ports.sasl},SSL://localhost:${ports.tls}`,
    'listener.security.protocol.map':
      'PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256',
    'listener.name.sasl_plaintext.plain.sasl.jaas.config': `${login}.plain.PlainLoginModule required user_app="hunter2";`,
    'listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config': `${login}.scram.ScramLoginModule required;`,
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': at('server.pem'),
    'log.dirs': at('data'),
    'num.partitions': 3,
    'offsets.topic.replication.factor': 1,
    'auto.create.topics.enable': true,
  };
  const node = await prepareNode(folder.path, settings, [
    '--standalone',
    '--add-scram',
    'SCRAM-SHA-256=[name=app,password=hunter2]',
  ]);
  const server = await node.start(ports.plain);
  const stop = async (): Promise<void> => {
    await server.stop('SIGKILL');
    folder.remove();
  };
  return { ports, stop, [Symbol.asyncDispose]: stop };
}

/** Two brokers whose topics have three partitions with a replica at each. */
export interface KafkaPair extends AsyncDisposable {
  readonly ports: readonly [number, number];
  /** Kills the second, as a node that fails; the first goes on. */
  killSecond(): Promise<void>;
  startSecond(): Promise<void>;
}

export async function startKafkaPair(): Promise<KafkaPair> {
  const ports = [await freePort(), await freePort()] as const;
  const controller = await freePort();
  const folder = temporaryDirectory('kafka-pair');
  const prepare = async (id: 1 | 2) => {
    const at = join(folder.path, String(id));
    mkdirSync(join(at, 'data'), { recursive: true });
    const plain = `PLAINTEXT://127.0.0.1:${ports[id - 1]}`;
    const settings = {
      'process.roles': id === 1 ? 'broker,controller' : 'broker',
      'node.id': id,
      'controller.quorum.voters': `1@127.0.0.1:${controller}`,
      listeners: id === 1 ? `${plain},CONTROLLER://127.0.0.1:${controller}` : plain,
      'advertised.listeners': plain,
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
      'controller.listener.names': 'CONTROLLER',
      'inter.broker.listener.name': 'PLAINTEXT',
      'log.dirs': join(at, 'data'),
      'num.partitions': 3,
      'default.replication.factor': 2,
      'min.insync.replicas': 1,
      'offsets.topic.replication.factor': 1,
      'auto.create.topics.enable': true,
      // How soon the death of one is noticed.
      'broker.session.timeout.ms': 6000,
      'replica.lag.time.max.ms': 6000,
    };
    return prepareNode(at, settings, []);
  };
  const [first, second] = [await prepare(1), await prepare(2)];
  const running = [await first.start(ports[0])];
  const startSecond = async (): Promise<void> => void running.push(await second.start(ports[1]));
  await startSecond();
  return {
    ports,
    startSecond,
    killSecond: async () => running.pop()?.stop('SIGKILL'),
    async [Symbol.asyncDispose]() {
      for (const one of running) await one.stop('SIGKILL');
      folder.remove();
    },
  };
}

/** Makes a node's files, in a folder that has its data folder. */
async function prepareNode(
  folder: string,
  settings: Readonly<Record<string, string | number | boolean>>,
  format: readonly string[],
) {
  const jars = await makeOnce(
    join(projectCacheDirectory(), `kafka-${version}`),
    `printf %s "$POM" > "$OUT/pom.xml"; "$MVN" -q -B -f "$OUT/pom.xml" dependency:copy-dependencies -DoutputDirectory="$OUT/lib" >&2`,
    { POM: pom, MVN: needTool('mvn', 'maven') },
  );
  const file = join(folder, 'server.properties');
  writeFileSync(
    file,
    Object.entries(settings)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  );
  const java = needTool('java', 'default-jre-headless');
  const command = [java, '-Xmx256m', '-XX:TieredStopAtLevel=1', '-cp', join(jars, 'lib', '*')];
  const cluster = ['--cluster-id', 'MkU3OEVBNTcwNTJENDM2Qg', '--config', file];
  await run([...command, 'kafka.tools.StorageTool', 'format', ...cluster, ...format]);
  return {
    start: (port: number) =>
      startServerProcess({
        command: [...command, 'kafka.Kafka', file],
        logFile: join(folder, 'log'),
        ready: () => canAnswer(port),
        timeout: 240_000,
      }),
  };
}

/** It has no log without a configuration of one: it is asked, with ApiVersions. */
async function canAnswer(port: number): Promise<boolean> {
  return (await speakKafka(port, 18, 0, Buffer.alloc(0))) !== undefined;
}

/** Asks for a topic as clients do, which makes it. */
export async function makeKafkaTopic(port: number, topic: string): Promise<void> {
  const name = Buffer.from(topic);
  const body = Buffer.concat([Buffer.from([0, 0, 0, 1, 0, name.length]), name, Buffer.from([1])]);
  await speakKafka(port, 3, 4, body);
}

/** Sends one request and waits for the beginning of its answer; undefined without one. */
async function speakKafka(
  port: number,
  key: number,
  apiVersion: number,
  body: Buffer,
): Promise<Buffer | undefined> {
  const { connect } = await import('node:net');
  return new Promise((resolve) => {
    const head = Buffer.from([0, 0, 0, 10 + body.length, 0, key, 0, apiVersion, 0, 0, 0, 1, 0xff, 0xff]);
    const socket = connect(port, '127.0.0.1', () => socket.write(Buffer.concat([head, body])));
    socket.once('data', (bytes: Buffer) => {
      resolve(bytes);
      socket.destroy();
    });
    socket.setTimeout(10_000, () => socket.destroy());
    socket.on('error', () => resolve(undefined)).on('close', () => resolve(undefined));
  });
}
