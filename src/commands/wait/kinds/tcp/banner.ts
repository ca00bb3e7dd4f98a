import { AnswerTooLong, ConnectionEnded } from '../../../../clients/connection/conversation.ts';
import type { Endpoint } from '../../../../clients/connection/endpoint.ts';
import { judgeConnection, openConversation } from '../../../../clients/connection/open.ts';
import { remembered } from '../../../../clients/dns/remembered.ts';
import { createResolver } from '../../../../clients/dns/resolver.ts';
import type { Context } from '../../../../core/context.ts';
import { excerpt } from '../../../../core/excerpt.ts';
import { notYet, satisfied, type Answer, type Probe } from '../../../../wait/attempt.ts';

export interface BannerDemands {
  readonly endpoint: Endpoint;
  /** What is sent first. */
  readonly send: string | undefined;
  /** What the server must say. */
  readonly expect: string;
}

/** Bytes in which it must have said it, and characters of it that are shown. */
const most = 64 * 1024;
const shown = 80;

/** Makes attempts that connect, send a text, and read until the server has said another one. */
export function bannerAttempts(
  { endpoint, send, expect }: BannerDemands,
  { paths, host, clock, redactor }: Pick<Context, 'paths' | 'host' | 'clock' | 'redactor'>,
): (probe: Probe) => Promise<Answer> {
  const resolve = remembered(createResolver({ paths, host }), clock);
  const wanted = Buffer.from(expect);
  const words = (heard: Buffer): string =>
    heard.length === 0 ? 'nothing' : JSON.stringify(excerpt(heard.toString('utf8'), shown, redactor.redact));
  return async (probe) => {
    const opened = await openConversation({ endpoint, tls: undefined }, { resolve, clock }, probe);
    if ('state' in opened) return opened;
    using conversation = opened;
    const { peer } = conversation;
    if (send !== undefined) conversation.write(send);
    try {
      await conversation.read((heard) => {
        const at = heard.indexOf(wanted);
        if (at >= 0) return { value: at, length: at + wanted.length };
        probe.phase(
          heard.length === 0
            ? `waiting for ${peer} to say ${JSON.stringify(expect)}`
            : `${peer} said ${words(heard)}, without ${JSON.stringify(expect)}`,
        );
        return undefined;
      }, most);
      return satisfied(`said ${JSON.stringify(expect)} (${peer})`);
    } catch (error) {
      if (error instanceof ConnectionEnded || error instanceof AnswerTooLong)
        return notYet(
          `said ${words(error.heard)}, without ${JSON.stringify(expect)}${error instanceof ConnectionEnded ? ', and closed the connection' : ''} (${peer})`,
          {
            hint: 'is it the right port? a proxy or mesh that accepts for a server that is down says nothing, or closes',
          },
        );
      return judgeConnection(error, peer);
    }
  };
}
