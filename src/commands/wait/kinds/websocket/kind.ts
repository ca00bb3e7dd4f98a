import { checkTls, readTls, tlsTargetOptions } from '../../../../clients/connection/server-url.ts';
import { connectionHeaders, hasAuthorization, readHeaders } from '../../../../clients/http/headers.ts';
import { requestOptions } from '../../../../clients/http/options.ts';
import type { MessageDemand } from '../../../../clients/websocket/attempt.ts';
import type { Clock } from '../../../../core/clock.ts';
import { quoted } from '../../../../core/misplaced-secret.ts';
import { list, text, value } from '../../../../core/options/option.ts';
import { UsageError } from '../../../../core/outcome.ts';
import { parsePattern, patternSearch, patternTime, simplerPattern } from '../../../../core/pattern.ts';
import { parseTarget } from '../../../wait-http/target.ts';
import { defineKind } from '../../kind.ts';
import { serverStages, serverTools } from '../../server-target.ts';

/** What the handshake sets itself. */
const reserved: ReadonlySet<string> = new Set([
  ...connectionHeaders,
  'upgrade',
  'sec-websocket-key',
  'sec-websocket-version',
  'sec-websocket-protocol',
  'sec-websocket-extensions',
]);

export const websocket = defineKind({
  options: {
    subprotocol: list({
      description: 'a subprotocol to ask for; the server must agree on one of them',
      placeholder: 'NAME',
      parse: parseSubprotocol,
    }),
    expect: text({ description: 'a text that a message of the server must hold', placeholder: 'TEXT' }),
    matches: value({
      description: 'a regular expression that must match somewhere in a message of the server',
      placeholder: 'REGEX',
      parse: parsePattern,
    }),
    send: text({
      description: 'a message to send first, where it speaks only when asked',
      placeholder: 'TEXT',
    }),
    'header-file': requestOptions['header-file'],
    'header-env': requestOptions['header-env'],
    user: requestOptions.user,
    ...tlsTargetOptions,
  },
  optionsBehind: '#',
  limit: 5000,
  read({ address, scheme, options }, around) {
    const { url, name, authorization } = parseTarget(
      address.replace(/^ws/i, 'http'),
      around.secret,
      'write ws://HOST:PORT/PATH or wss://…',
    );
    checkTls(options, scheme, 'wss');
    const { expect, matches, send } = options;
    if (expect !== undefined && matches !== undefined)
      throw new UsageError('expect and matches cannot be combined');
    if (send !== undefined && expect === undefined && matches === undefined)
      throw new UsageError('send has no effect without expect or matches: nobody would look at the answer');
    if (send !== undefined && Buffer.byteLength(send) > 65_535)
      throw new UsageError('send is longer than 64 KiB');
    const secure = scheme === 'wss';
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const endpoint = { kind: 'tcp', host, port: Number(url.port || (secure ? 443 : 80)) } as const;
    const shown = name.replace(/^http/, 'ws');
    return {
      name: shown,
      async open(context) {
        const { attemptWebSocket } = await import('../../../../clients/websocket/attempt.ts');
        const headers = readHeaders(options, reserved, context);
        const tools = serverTools(context);
        const demands = {
          place: { endpoint, tls: secure ? readTls(options, context.environment) : undefined },
          host: url.host,
          path: `${url.pathname}${url.search}`,
          headers: {
            ...(authorization === undefined || hasAuthorization(headers)
              ? {}
              : { Authorization: authorization }),
            ...headers,
          },
          subprotocols: options.subprotocol,
          send,
        };
        // Of each attempt: its patterns have so much time.
        const demandOfAttempt = () => messageDemand(expect, matches, context.clock);
        const stages = serverStages([endpoint], {
          tls: secure,
          login: false,
          assertion: expect !== undefined || matches !== undefined || options.subprotocol.length > 0,
        });
        return {
          name: shown,
          stages,
          attempt: (probe) => attemptWebSocket({ ...demands, expect: demandOfAttempt() }, tools, probe),
        };
      },
    };
  },
});

function messageDemand(
  expect: string | undefined,
  matches: RegExp | undefined,
  clock: Pick<Clock, 'now'>,
): MessageDemand | undefined {
  if (expect !== undefined)
    return { words: JSON.stringify(expect), holds: (said) => Promise.resolve(said.includes(expect)) };
  if (matches === undefined) return undefined;
  const search = patternSearch(clock);
  return {
    words: String(matches),
    holds: async (said) =>
      (await search(matches, said)) ?? {
        reason: `${String(matches)} takes longer than ${patternTime}ms in what it says`,
        hint: simplerPattern,
      },
  };
}

/** @throws Error that says what is accepted */
function parseSubprotocol(given: string): string {
  // RFC 6455, 4.1: a token of HTTP.
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(given))
    throw new Error(`${quoted(given)} is not the name of a subprotocol`);
  return given;
}
