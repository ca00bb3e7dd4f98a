import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';

import { startDnsServer } from '../../support/dns-server.ts';
import { createNetns, dropTo } from '../../support/netns.ts';
import type { Postgres } from '../../support/postgres.ts';
import { runInitbox, startInitbox, terminationLog, type ProgramOptions } from '../../support/program.ts';
import { temporaryDirectory } from '../../support/undo.ts';

/** What makes the program say what the pages show, by the names in `<!-- said by: NAME -->`. */
export const scenarios: Readonly<Record<string, (postgres: Postgres) => Promise<string>>> = {
  async refused() {
    using network = createNetns();
    return await lastWords(['wait-tcp', 'postgres-service:5432', '--timeout', '1s'], {
      prefix: network.prefix,
      files: { '/etc/hosts': '127.0.0.1 postgres-service\n' },
    });
  },

  async 'database refused'() {
    using network = createNetns();
    return await lastWords(['wait-postgres', '--timeout', '1s'], {
      prefix: network.prefix,
      env: { DATABASE_URL: 'postgres://app@postgres-service/app' },
      files: { '/etc/hosts': '127.0.0.1 postgres-service\n' },
    });
  },

  async nxdomain() {
    await using dns = await startDnsServer();
    return await lastWords([
      'wait-dns',
      'postgres-servce.shop.svc.cluster.local.',
      '--server',
      dns.server,
      '--timeout',
      '1s',
    ]);
  },

  async silent() {
    using _dropped = dropTo('127.93.1.9', 5432);
    return await lastWords(['wait-tcp', 'postgres-service:5432', '--timeout', '1s'], {
      files: { '/etc/hosts': '127.93.1.9 postgres-service\n' },
    });
  },

  async 'not ready'() {
    const server = createServer((_request, response) => response.writeHead(503).end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as { port: number };
    try {
      return await lastWords(['wait-http', `http://api:${port}/healthz`, '--timeout', '1s'], {
        files: { '/etc/hosts': '127.0.0.1 api\n' },
      });
    } finally {
      server.close();
    }
  },

  'wrong password': (postgres) =>
    lastWords(['wait-postgres'], {
      env: { DATABASE_URL: `postgres://app:wrong@postgres-service:${postgres.port}/app` },
      files: { '/etc/hosts': '127.0.0.1 postgres-service\n' },
    }),

  async 'lock held'(postgres) {
    const env = { DATABASE_URL: postgres.url(), HOSTNAME: 'shop-6d5f7c9b8-x2x4k' };
    const holder = await startInitbox(['migrate-with-lock', '--', 'sleep', '60'], { env });
    await holder.waitForStderr(/holding the lock/);
    const waiter = await startInitbox(['migrate-with-lock', '--', 'true'], { env });
    const [line] = await waiter.waitForStderr(/0\/1 ready; the lock .*held by.*/);
    waiter.kill();
    holder.kill();
    await Promise.all([waiter.exit, holder.exit]);
    return line;
  },

  'killed command': (postgres) =>
    lastWords(['migrate-with-lock', '--', '/bin/sh', '-c', 'kill -KILL $$'], {
      env: { DATABASE_URL: postgres.url() },
    }),

  'failed command': (postgres) =>
    lastWords(['migrate-with-lock', '--', '/bin/sh', '-c', 'exit 3'], {
      env: { DATABASE_URL: postgres.url() },
    }),

  'mistyped flag': () => lastWords(['wait-tcp', 'postgres-service:5432', '--timout', '2m']),

  'missing program': (postgres) =>
    lastWords(['migrate-with-lock', '--', './migrate', '--target=latest'], {
      env: { DATABASE_URL: postgres.url() },
    }),

  async 'secret on a disk'() {
    const folder = temporaryDirectory('templates').path;
    writeFileSync(join(folder, 'app.conf'), 'password=x\n');
    const target = temporaryDirectory('config').path;
    const said = await lastWords([
      'render',
      join(folder, 'app.conf'),
      '--to',
      join(target, 'app.conf'),
      '--secret',
    ]);
    return said.replaceAll(target, '/config');
  },

  async 'deleted pod'() {
    const log = terminationLog();
    const waiting = await startInitbox(['wait-tcp', '127.0.0.1:1', '--termination-log', log.path]);
    await waiting.waitForStderr(/0\/1 ready/);
    waiting.kill('SIGTERM');
    await waiting.exit;
    return log.read();
  },

  async 'failed step'() {
    using network = createNetns();
    const folder = temporaryDirectory('plan').path;
    const plan = join(folder, 'plan.yaml');
    writeFileSync(
      plan,
      `steps:
  - name: volume
    command: [sleep, '60']
  - name: database
    uses: wait-tcp
    targets: postgres-service:5432
    timeout: 1s
  - name: migrate
    command: ['true']
    needs: database
`,
    );
    const said = await lastWords(['run', plan], {
      prefix: network.prefix,
      files: { '/etc/hosts': '127.0.0.1 postgres-service\n' },
    });
    return said.replaceAll(folder, '/etc/initbox');
  },
};

/** What is left in the termination log. */
async function lastWords(argv: readonly string[], options: ProgramOptions = {}): Promise<string> {
  const log = terminationLog();
  const dashes = argv.indexOf('--');
  const own = ['--termination-log', log.path];
  const at = dashes < 0 ? argv.length : dashes;
  await runInitbox([...argv.slice(0, at), ...own, ...argv.slice(at)], options);
  return log.read();
}
