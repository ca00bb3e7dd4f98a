import { parseEndpoint } from '../../clients/connection/endpoint.ts';
import { defineCommand, each } from '../../core/command.ts';
import { waitTcpOptions } from './options.ts';
import { runWaitTcp } from './run.ts';

const positionals = {
  usage: 'TARGET…',
  name: 'targets',
  description:
    'host:port, [IPv6]:port, unix:/path, or a URL: its host and its port, or the known port of its scheme; the rest is never printed',
  parse: each('target', (text, secret) => parseEndpoint(text, secret), {
    min: 1,
    example: 'initbox wait-tcp postgres-service:5432',
  }),
};

export const waitTcp = defineCommand({
  name: 'wait-tcp',
  summary: 'wait until ports accept connections',
  description: `Waits until every target accepts a TCP connection (or a connection to a unix socket). Each attempt tries all addresses of a name, IPv4 and IPv6; one open address is enough. A refused connection, an unknown name, a dropped packet and an unreachable network are all waited for.

An open port is not yet a ready database: see wait-postgres and wait-http. A proxy or a mesh may accept for a server that is down: see --hold.`,
  examples: [
    'initbox wait-tcp postgres-service:5432',
    'initbox wait-tcp db:5432 cache:6379 --timeout 2m -- ./server --port 8080',
    'initbox wait-tcp "$DATABASE_URL"',
    "initbox wait-tcp '[fd00::10]:5432' unix:/run/app.sock --any",
    'initbox wait-tcp old-leader:5432 --invert',
  ],
  positionals,
  options: waitTcpOptions,
  afterDashes: 'successor',
  timeout: '5m',
  run: runWaitTcp,
});
