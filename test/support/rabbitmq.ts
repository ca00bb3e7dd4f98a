// RabbitMQ, as Debian has it, with an Erlang name server of its own.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { freePort } from './ports.ts';
import { startServerProcess } from './server-process.ts';
import { needTool, whyMissing } from './tools.ts';
import { temporaryDirectory } from './undo.ts';

// The one in PATH changes to the user rabbitmq, and its folders.
const script = '/usr/lib/rabbitmq/bin/rabbitmq-server';

export interface RabbitmqOptions {
  port?: number;
  /** With TLS on this port, by these files. */
  tls?: { port: number; authority: string; certificate: string; key: string };
}

export interface Rabbitmq extends AsyncDisposable {
  readonly port: number;
  stop(): Promise<void>;
}

/** For requireOrSkip. */
export function canUseRabbitmq(): string | undefined {
  return existsSync(script)
    ? whyMissing('epmd', 'erlang-base')
    : `${script} is not there; on Debian: apt-get install -y rabbitmq-server`;
}

/** What is there at its start. The user `app` has the password `hunter2`, `reader` may only read what is named `public`. */
const definitions = {
  users: [
    { name: 'app', password: 'hunter2', tags: '' },
    { name: 'reader', password: 'hunter2', tags: '' },
  ],
  vhosts: [{ name: '/' }, { name: 'shop' }],
  permissions: [
    { user: 'app', vhost: '/', configure: '.*', write: '.*', read: '.*' },
    { user: 'app', vhost: 'shop', configure: '.*', write: '.*', read: '.*' },
    { user: 'reader', vhost: '/', configure: '^$', write: '^$', read: '^public$' },
  ],
  queues: [{ name: 'orders', vhost: '/', durable: true, auto_delete: false, arguments: {} }],
  exchanges: [
    {
      name: 'events',
      vhost: '/',
      type: 'topic',
      durable: true,
      auto_delete: false,
      internal: false,
      arguments: {},
    },
  ],
};

/** Starts a server on 127.0.0.1. */
export async function startRabbitmq({ port: given, tls }: RabbitmqOptions = {}): Promise<Rabbitmq> {
  const port = given ?? (await freePort());
  const [names, distribution] = [await freePort(), await freePort()];
  const folder = temporaryDirectory('rabbitmq');
  const at = (name: string): string => join(folder.path, name);
  mkdirSync(at('home'));
  writeFileSync(at('definitions.json'), JSON.stringify(definitions));
  writeFileSync(at('enabled_plugins'), '[].\n');
  const lines = [
    `listeners.tcp.1 = 127.0.0.1:${port}`,
    `load_definitions = ${at('definitions.json')}`,
    'disk_free_limit.absolute = 1MB',
    ...(tls === undefined
      ? []
      : [
          `listeners.ssl.1 = 127.0.0.1:${tls.port}`,
          `ssl_options.cacertfile = ${tls.authority}`,
          `ssl_options.certfile = ${tls.certificate}`,
          `ssl_options.keyfile = ${tls.key}`,
        ]),
  ];
  writeFileSync(at('rabbitmq.conf'), `${lines.join('\n')}\n`);
  const epmd = await startServerProcess({
    command: [needTool('epmd', 'erlang-base'), '-port', String(names), '-address', '127.0.0.1'],
    logFile: at('epmd.log'),
    ready: () => true,
  });
  const server = await startServerProcess({
    command: [script],
    env: {
      HOME: at('home'),
      LANG: 'C.UTF-8',
      ERL_EPMD_PORT: String(names),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      RABBITMQ_NODENAME: `t${port}@localhost`,
      RABBITMQ_DIST_PORT: String(distribution),
      RABBITMQ_CONFIG_FILE: at('rabbitmq.conf'),
      RABBITMQ_CONF_ENV_FILE: '/dev/null',
      RABBITMQ_MNESIA_BASE: at('mnesia'),
      RABBITMQ_LOG_BASE: at('log'),
      RABBITMQ_LOGS: '-',
      RABBITMQ_PID_FILE: at('pid'),
      RABBITMQ_ENABLED_PLUGINS_FILE: at('enabled_plugins'),
      RABBITMQ_FEATURE_FLAGS_FILE: at('feature_flags'),
      RABBITMQ_GENERATED_CONFIG_DIR: at('config'),
    },
    logFile: at('out'),
    ready: (log) => /Server startup complete/.test(log),
    timeout: 180_000,
  });
  const stop = async (): Promise<void> => {
    await server.stop('SIGTERM', 15_000);
    await epmd.stop('SIGKILL');
    folder.remove();
  };
  return { port, stop, [Symbol.asyncDispose]: stop };
}
