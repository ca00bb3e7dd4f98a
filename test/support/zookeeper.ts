// ZooKeeper, as Debian has it: one server, or some of an ensemble.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

import { freePort } from './ports.ts';
import { startServerProcess } from './server-process.ts';
import { needTool, whyMissing } from './tools.ts';
import { temporaryDirectory } from './undo.ts';

const jar = '/usr/share/java/zookeeper.jar';

export interface ZookeeperOptions {
  port?: number;
  /** Of an ensemble: this one's number, from 1, and the two ports that each of them has for the others. */
  ensemble?: { id: number; ports: readonly (readonly [peers: number, election: number])[] };
  /** Not to wait until it serves: alone of its ensemble, it never does. */
  alone?: boolean;
}

export interface Zookeeper extends AsyncDisposable {
  readonly port: number;
  stop(): Promise<void>;
}

/** For requireOrSkip. */
export function canUseZookeeper(): string | undefined {
  const reason = whyMissing('java', 'default-jre-headless');
  if (reason !== undefined) return reason;
  return existsSync(jar) ? undefined : `${jar} is not there; on Debian: apt-get install -y zookeeper`;
}

/** Starts a server on 127.0.0.1. */
export async function startZookeeper(options: ZookeeperOptions = {}): Promise<Zookeeper> {
  const java = needTool('java', 'default-jre-headless');
  const port = options.port ?? (await freePort());
  const folder = temporaryDirectory('zookeeper');
  const data = join(folder.path, 'data');
  mkdirSync(data);
  const { ensemble } = options;
  const lines = [
    'tickTime=500',
    'initLimit=20',
    'syncLimit=20',
    `dataDir=${data}`,
    `clientPort=${port}`,
    'clientPortAddress=127.0.0.1',
    'admin.enableServer=false',
    ...(ensemble?.ports ?? []).map(
      ([peers, election], index) => `server.${index + 1}=127.0.0.1:${peers}:${election}`,
    ),
  ];
  if (ensemble !== undefined) writeFileSync(join(data, 'myid'), `${ensemble.id}\n`);
  const file = join(folder.path, 'zoo.cfg');
  writeFileSync(file, `${lines.join('\n')}\n`);
  const server = await startServerProcess({
    command: [
      java,
      '-Xmx128m',
      '-XX:TieredStopAtLevel=1',
      '-cp',
      jar,
      'org.apache.zookeeper.server.quorum.QuorumPeerMain',
      file,
    ],
    logFile: join(folder.path, 'log'),
    ready: async () => {
      const said = await word(port, 'srvr');
      return options.alone === true ? said !== undefined : said?.includes('Mode:') === true;
    },
    timeout: 120_000,
  });
  const stop = async (): Promise<void> => {
    await server.stop('SIGKILL');
    folder.remove();
  };
  return { port, stop, [Symbol.asyncDispose]: stop };
}

/** What it says to one of the words of four letters; undefined where nobody listens, or does not answer, as in its start. */
function word(port: number, text: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let said = '';
    const socket = connect(port, '127.0.0.1', () => socket.end(text));
    socket
      .setTimeout(2_000, () => socket.destroy(new Error('no answer')))
      .on('data', (bytes: Buffer) => (said += bytes.toString()))
      .on('error', () => resolve(undefined))
      .on('close', () => resolve(said));
  });
}
