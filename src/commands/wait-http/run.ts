import { remembered } from '../../clients/dns/remembered.ts';
import { createResolver } from '../../clients/dns/resolver.ts';
import { connectionHeaders, hasAuthorization, isHarmless, readHeaders } from '../../clients/http/headers.ts';
import { readNetrc } from '../../clients/http/netrc.ts';
import { checkRequests, checkPair, readTlsSettings, warnOfUnused } from '../../clients/http/options.ts';
import { readProxies } from '../../clients/http/proxy.ts';
import { usesHttps } from '../../clients/http/tls.ts';
import { createHttpClient, usualHttpLimits, type HttpRequest } from '../../clients/http/transport.ts';
import type { Input, Surroundings } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import type { Values } from '../../core/options/option.ts';
import { everyOne, UsageError, type Outcome } from '../../core/outcome.ts';
import { readNamedFile } from '../../fs/input-file.ts';
import { bounded, paced } from '../../wait/attempt-timeout.ts';
import type { Target } from '../../wait/attempt.ts';
import { waitFor } from '../../wait/loop.ts';
import { waitOutcome } from '../../wait/outcome.ts';
import { waitPlanOf } from '../../wait/plan.ts';
import { attemptRequest } from './attempt.ts';
import { looksAtBody, type Expectations } from './expect.ts';
import type { httpTargetOptions, waitHttpOptions } from './options.ts';
import { neverHasBody, statusWords, success } from './status.ts';
import type { HttpTarget } from './target.ts';
import { valuesWithin } from './values.ts';

/** What a request may carry, in bytes. */
const mostRequestBody = 16 * 2 ** 20;

/** Requests under way at once over all targets; the loop bounds those of each. */
const parallel = 500;

/** Asks every URL until all answer as expected. */
export async function runWaitHttp(
  { options, positionals: given }: Input<typeof waitHttpOptions, readonly HttpTarget[]>,
  context: Context,
): Promise<Outcome> {
  const limit = options['attempt-timeout'];
  const targets = distinct(given);
  using requests = requestTargets(options, targets, context);
  const watched = targets.map((target) => bounded(requests.targetOf(target), limit, context.clock));
  return waitOutcome(await waitFor(watched, paced(waitPlanOf(options, watched.length), limit), context));
}

/** Makes targets, which share one client. */
interface RequestTargets extends Disposable {
  targetOf(target: HttpTarget): Target;
}

/**
 * What asks URLs.
 * @param targets all of them
 * @throws UsageError
 */
export function requestTargets(
  options: Values<typeof httpTargetOptions>,
  targets: readonly HttpTarget[],
  context: Context,
): RequestTargets {
  const expectations = expectationsOf(options);
  const method = checkPossible(options, expectations);
  const body = readRequestBody(options['request-body-file']);
  const headers = readHeaders(options, new Set(connectionHeaders), context);
  const netrc = options['netrc-file'] === undefined ? undefined : readNetrc(options['netrc-file'], context);
  checkOneOrigin(targets, headers);
  if (options.insecure)
    context.log.warn(
      '--insecure is on: whoever answers is taken for the server, or for the https proxy before it, and gets what is sent',
    );
  const https = usesHttps(
    targets.map(({ url }) => url),
    context.environment,
  );
  warnOfUnused(options, { https }, context.log);
  // A redirect may lead to https.
  const tls = readTlsSettings(
    options,
    context.environment,
    !options.insecure,
    https || options.redirects > 0,
  );
  const client = createHttpClient({
    resolve: remembered(createResolver(context), context.clock),
    clock: context.clock,
    proxy: readProxies(context, webUrls(targets)),
    tls,
    patience: usualHttpLimits,
    parallel,
    fresh: true,
    forgiving: true,
  });
  const identified = tls.certificate !== undefined;
  const authorizationOf = ({ authorization, socketPath, url }: HttpTarget): string | undefined =>
    authorization ??
    (socketPath !== undefined || hasAuthorization(headers)
      ? undefined
      : netrc?.authorization(url, undefined));
  const inquiry = ({ url, socketPath, h2c }: HttpTarget, authorization: string | undefined) => ({
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
      ...(h2c === undefined ? {} : { h2c }),
      ...(body === undefined ? {} : { body }),
      ignoreBody: !looksAtBody(expectations),
      maxBody: options['max-size'],
      maxBodyOrigin: '--max-size',
    } satisfies HttpRequest,
  });
  return {
    targetOf(target) {
      const asked = inquiry(target, authorizationOf(target));
      return { name: target.name, attempt: (probe) => attemptRequest(asked, probe) };
    },
    [Symbol.dispose]: () => client[Symbol.dispose](),
  };
}

/**
 * Checks what can be told without a file or a server.
 * @throws UsageError, as runWaitHttp does for the same
 */
export function checkWaitHttp(
  {
    options,
    positionals: given,
  }: {
    readonly options: Values<typeof httpTargetOptions>;
    readonly positionals: readonly HttpTarget[];
  },
  { environment, redactor }: Pick<Surroundings, 'environment' | 'redactor'>,
): void {
  everyOne(
    [
      () => void checkPossible(options, expectationsOf(options)),
      () => checkPair(options),
      () => {
        if (environment === undefined) return;
        const headers = checkRequests(options, new Set(connectionHeaders), { environment, redactor });
        checkOneOrigin(distinct(given), headers);
      },
      () => {
        if (environment !== undefined) readProxies({ environment, redactor }, webUrls(given));
      },
    ],
    (check) => check(),
  );
}

function expectationsOf(options: Values<typeof httpTargetOptions>): Expectations {
  return {
    statuses: options.status.length > 0 ? options.status.flat() : success,
    headers: options['expect-header'],
    texts: options.body,
    patterns: options['body-matches'],
    json: options.json,
    mostValues: valuesWithin(options['max-size']),
  };
}

/** What a proxy may be between. */
function webUrls(targets: readonly HttpTarget[]): URL[] {
  return targets.filter(({ socketPath, h2c }) => socketPath === undefined && !h2c).map(({ url }) => url);
}

function distinct(targets: readonly HttpTarget[]): readonly HttpTarget[] {
  return [...new Map(targets.map((target) => [target.url.href + target.name, target])).values()];
}

/**
 * @returns the method
 * @throws UsageError for what no answer could ever meet
 */
function checkPossible(options: Values<typeof httpTargetOptions>, expectations: Expectations) {
  const method = options.method ?? (options['request-body-file'] === undefined ? 'GET' : 'POST');
  if (!looksAtBody(expectations)) return method;
  if (method === 'HEAD')
    throw new UsageError(
      'an answer to HEAD has no body, so that --body, --body-matches and --json can never hold',
    );
  if (neverHasBody(expectations.statuses)) {
    throw new UsageError(
      `an answer ${statusWords(expectations.statuses)} has no body, so that --body, --body-matches and --json can never hold`,
    );
  }
  return method;
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
