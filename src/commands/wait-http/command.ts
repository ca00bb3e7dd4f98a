import { remembered } from '../../clients/dns/remembered.ts';
import { createResolver } from '../../clients/dns/resolver.ts';
import { connectionHeaders, isHarmless, readHeaders } from '../../clients/http/headers.ts';
import { readTlsSettings, requestOptions, warnOfUnused } from '../../clients/http/options.ts';
import { proxyFromEnvironment, type FindProxy } from '../../clients/http/proxy.ts';
import { createHttpClient, usualHttpLimits, type HttpRequest } from '../../clients/http/transport.ts';
import { defineCommand, each } from '../../core/command.ts';
import type { Context, Environment } from '../../core/context.ts';
import {
  choiceParser,
  flag,
  integer,
  list,
  parseText,
  text,
  value,
  valueOr,
} from '../../core/options/option.ts';
import { waitOptions } from '../../core/options/shared-options.ts';
import { UsageError } from '../../core/outcome.ts';
import { parseSize } from '../../core/size.ts';
import { readNamedFile } from '../../fs/input-file.ts';
import { attemptOptions, bounded, paced } from '../../wait/attempt-timeout.ts';
import { waitFor } from '../../wait/loop.ts';
import { waitOutcome } from '../../wait/outcome.ts';
import { waitPlanOf } from '../../wait/plan.ts';
import { attemptRequest } from './attempt.ts';
import { looksAtBody, type Expectations } from './expect.ts';
import { parseHeaderExpectation } from './header.ts';
import { parsePattern } from './pattern.ts';
import { parseJsonExpectation } from './pointer.ts';
import { neverHasBody, parseStatuses, statusWords, success } from './status.ts';
import { parseTarget, type HttpTarget } from './target.ts';
import { mostValues } from './values.ts';

/** What a request may carry, in bytes. */
const mostRequestBody = 16 * 2 ** 20;

/** Requests under way at once over all targets; the loop bounds those of each. */
const parallel = 500;

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

const positionals = {
  usage: 'URL…',
  name: 'urls',
  description: 'http:// and https:// URLs, or unix:/run/app.sock:/path',
  parse: each('URL', parseTarget, { min: 1, example: 'initbox wait-http http://api:8080/healthz' }),
};

export const waitHttp = defineCommand({
  name: 'wait-http',
  summary: 'wait until URLs answer as expected',
  description: `Waits until every URL answers, and one and the same answer meets every expectation: its status, headers, text, and values of its JSON. Each attempt is a request of its own, over HTTP/1.1 and a new connection.

Everything that a server may say is waited for, a 404 and a bad certificate too: while we wait, its routes, its certificate or the server itself may be replaced. The log says at once what is wrong and what to look at. Certificates are verified, unless --insecure.`,
  examples: [
    'initbox wait-http http://api:8080/healthz',
    'initbox wait-http https://api.internal/ready --ca-file /etc/ca/ca.crt --json /status=UP',
    'initbox wait-http http://a:8080/healthz http://b:8080/healthz --any --stable-for 5s',
    "initbox wait-http http://api:8080/ --status 2xx,404 --expect-header 'X-Version: 1.2.3'",
    'initbox wait-http unix:/run/app.sock:/healthz --body ready -- ./server',
  ],
  positionals,
  options: {
    status: list({
      description: 'statuses to wait for: codes, ranges and classes, as 200,204 or 2xx; unset, 200-299',
      placeholder: 'STATUS',
      parse: parseStatuses,
    }),
    'expect-header': list({
      description: 'a header that the answer must have, with this value or with any',
      placeholder: 'NAME[: VALUE]',
      parse: parseHeaderExpectation,
    }),
    body: list({ description: 'a text that the body must hold', placeholder: 'TEXT', parse: parseText }),
    'body-matches': list({
      description: 'a regular expression that must match somewhere in the body',
      placeholder: 'REGEX',
      parse: parsePattern,
    }),
    json: list({
      description:
        'a value that the body’s JSON must have at a JSON pointer, as /status=UP; without =, any value',
      placeholder: 'POINTER[=VALUE]',
      parse: parseJsonExpectation,
    }),
    'max-size': valueOr({
      description:
        'the most that is read of a body, whose JSON may have a value for every 8 bytes of it; without an expectation for the body, none of it is read',
      placeholder: 'SIZE',
      parse: parseSize,
      fallback: '256Ki',
    }),
    method: value({
      description: 'the request’s method; unset, GET, or POST with a body',
      placeholder: methods.join('|'),
      choices: methods,
      parse: (given: string) => choiceParser(methods)(given.toUpperCase()),
    }),
    'request-body-file': text({ description: 'a file to send as the request’s body', placeholder: 'PATH' }),
    ...requestOptions,
    insecure: flag({ description: 'accept any certificate: whoever answers is taken for the server' }),
    redirects: valueOr({
      description: 'how many redirects to follow; one whose status is waited for is not followed',
      placeholder: 'COUNT',
      parse: integer({ min: 0, max: 20 }),
      fallback: '0',
    }),
    'cross-origin': flag({ description: 'follow redirects to other hosts too, without the headers' }),
    ...attemptOptions,
    ...waitOptions,
  },
  afterDashes: 'successor',
  timeout: '5m',
  async run({ options, positionals: given }, context) {
    const expectations: Expectations = {
      statuses: options.status.length > 0 ? options.status.flat() : success,
      headers: options['expect-header'],
      texts: options.body,
      patterns: options['body-matches'],
      json: options.json,
      mostValues: mostValues(options['max-size']),
    };
    const body = readRequestBody(options['request-body-file']);
    const method = options.method ?? (body === undefined ? 'GET' : 'POST');
    checkPossible(method, expectations);
    const headers = readHeaders(options, new Set(connectionHeaders), context);
    const targets = [...new Map(given.map((target) => [target.url.href + target.name, target])).values()];
    checkOneOrigin(targets, headers);
    if (options.insecure)
      context.log.warn('--insecure is on: whoever answers is taken for the server, and gets what is sent');
    warnOfUnused(options, { https: usesHttps(targets, context.environment) }, context.log);
    const tls = readTlsSettings(options, context.environment, !options.insecure);
    using client = createHttpClient({
      resolve: remembered(createResolver(context.paths), context.clock),
      clock: context.clock,
      proxy: readProxies(context),
      tls,
      patience: usualHttpLimits,
      parallel,
      fresh: true,
      forgiving: true,
    });
    const identified = tls.certificate !== undefined;
    const inquiry = ({ url, socketPath, authorization }: HttpTarget) => ({
      client,
      clock: context.clock,
      host: context.host,
      redact: context.redactor.redact,
      expectations,
      redirects: { most: options.redirects, crossOrigin: options['cross-origin'], identified },
      discreet:
        identified || authorization !== undefined || Object.keys(headers).some((name) => !isHarmless(name)),
      request: {
        method,
        url,
        headers: {
          Accept: '*/*',
          ...(authorization === undefined ? {} : { Authorization: authorization }),
          ...headers,
        },
        ...(socketPath === undefined ? {} : { socketPath }),
        ...(body === undefined ? {} : { body }),
        ignoreBody: !looksAtBody(expectations),
        maxBody: options['max-size'],
        maxBodyOrigin: '--max-size',
      } satisfies HttpRequest,
    });
    const limit = options['attempt-timeout'];
    const watched = targets.map((target) => {
      const asked = inquiry(target);
      return bounded(
        { name: target.name, attempt: (probe) => attemptRequest(asked, probe) },
        limit,
        context.clock,
      );
    });
    return waitOutcome(await waitFor(watched, paced(waitPlanOf(options, watched.length), limit), context));
  },
});

/** @throws UsageError for what no answer could ever meet */
function checkPossible(method: string, expectations: Expectations): void {
  if (!looksAtBody(expectations)) return;
  if (method === 'HEAD')
    throw new UsageError(
      'an answer to HEAD has no body, so that --body, --body-matches and --json can never hold',
    );
  if (neverHasBody(expectations.statuses)) {
    throw new UsageError(
      `an answer ${statusWords(expectations.statuses)} has no body, so that --body, --body-matches and --json can never hold`,
    );
  }
}

/** A proxy may be reached by https too. */
function usesHttps(
  targets: readonly HttpTarget[],
  { HTTP_PROXY = '', http_proxy: proxy = '' }: Environment,
): boolean {
  return targets.some(({ url }) => url.protocol === 'https:') || /^https:/i.test(proxy || HTTP_PROXY);
}

/** Credentials are for one place: with URLs of several hosts they would go to all of them. */
function checkOneOrigin(targets: readonly HttpTarget[], headers: Readonly<Record<string, string>>): void {
  const secrets = Object.keys(headers).filter((name) => !isHarmless(name));
  const origins = new Set(targets.map(({ url, socketPath }) => socketPath ?? url.origin));
  if (secrets.length === 0 || origins.size < 2) return;
  throw new UsageError(
    `the header ${secrets[0]} is given for URLs at ${origins.size} places (${[...origins].slice(0, 4).join(', ')}); it would go to all of them: wait for these in steps of their own`,
  );
}

function readRequestBody(path: string | undefined): Buffer | undefined {
  return path === undefined
    ? undefined
    : readNamedFile({ text: path, origin: '--request-body-file' }, mostRequestBody);
}

function readProxies({ environment, redactor }: Context): FindProxy {
  try {
    return proxyFromEnvironment(environment, (password) => void redactor.secret(password));
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
