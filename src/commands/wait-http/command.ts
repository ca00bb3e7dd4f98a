import { defineCommand, each } from '../../core/command.ts';
import { waitHttpOptions } from './options.ts';
import { checkWaitHttp, runWaitHttp } from './run.ts';
import { parseTarget } from './target.ts';

const positionals = {
  usage: 'URL…',
  name: 'urls',
  description: 'http://, https:// and h2c:// URLs, or unix:/run/app.sock:/path',
  parse: each('URL', parseTarget, { min: 1, example: 'initbox wait-http http://api:8080/healthz' }),
};

export const waitHttp = defineCommand({
  name: 'wait-http',
  summary: 'wait until URLs answer as expected',
  description: `Waits until every URL answers, and one and the same answer meets every expectation: its status, headers, text, and values of its JSON. Each attempt is a request of its own, on a new connection, over HTTP/1.1, or over HTTP/2 where the URL begins with h2c:// or an https server speaks nothing else.

It waits through every answer that does not fit, even a 404 or a bad certificate: while we wait, its routes, its certificate or the server itself may be replaced. The log says at once what is wrong and what to look at. Certificates are verified, unless --insecure.`,
  examples: [
    'initbox wait-http http://api:8080/healthz',
    'initbox wait-http https://api.internal/ready --ca-file /etc/ca/ca.crt --json /status=UP',
    'initbox wait-http http://a:8080/healthz http://b:8080/healthz --any --stable-for 5s',
    "initbox wait-http http://api:8080/ --status 2xx,404 --expect-header 'X-Version: 1.2.3'",
    'initbox wait-http h2c://zitadel:8080/debug/ready --timeout 5m',
    'initbox wait-http unix:/run/app.sock:/healthz --body ready -- ./server',
  ],
  positionals,
  options: waitHttpOptions,
  afterDashes: 'successor',
  timeout: '5m',
  check: checkWaitHttp,
  run: runWaitHttp,
});
