import { defineCommand, each } from '../../core/command.ts';
import { waitCommandOptions } from './options.ts';
import { checkWait, rightsOfWait, runWait } from './run.ts';
import { recogniseTarget } from './target.ts';

const positionals = {
  usage: 'TARGET…',
  name: 'targets',
  description:
    'host:port, tcp://…, unix:/path, dns:NAME, http://…, https://…, h2c://…, postgres://…, redis://…, grpc://…, ws://…, file:/path, and exec:COMMAND in a plan; options of one target are parameters of its URL, named like the flags',
  parse: each('target', recogniseTarget, {
    min: 1,
    example: 'initbox wait db:5432 http://api:8080/healthz',
  }),
};

export const wait = defineCommand({
  name: 'wait',
  summary: 'wait for several things of any kind',
  description: `Waits until every target is there, each by its own protocol, all at once under one deadline. The targets may be of different kinds.

Options of one target are parameters of its URL, behind ? (behind # for http, https and h2c, whose query is the server’s). Each kind has its own, and interval, invert, successes, stable-for, attempt-timeout, max-attempts and initial-delay are taken by all; flags say the same for every target that does not.

If it gives up, it says for each target how far it came: dns, tcp, tls, protocol, login, assertion.`,
  examples: [
    'initbox wait db:5432 dns:kafka http://api:8080/healthz',
    "initbox wait 'postgres://app@db/app?table=public.users' 'http://api:8080/ready#status=200-299' -- ./server",
    "initbox wait 'dns:kafka?min-addresses=3' 'tcp://cache:6379?stable-for=5s' --timeout 2m",
    "initbox wait 'old-leader:5432?invert'",
    'initbox wait grpc://api:50051 kubernetes:job/migrate --print-role --account shop/api',
  ],
  positionals,
  options: waitCommandOptions,
  afterDashes: 'successor',
  timeout: '5m',
  check: checkWait,
  rights: rightsOfWait,
  run: runWait,
});
