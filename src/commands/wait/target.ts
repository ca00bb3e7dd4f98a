import { Secret } from '../../core/redaction/redactor.ts';
import { passwordIn } from '../../core/userinfo.ts';
import { kinds } from './kinds/index.ts';

/** A target whose kind is known, and nothing else of it yet: the kind is not loaded. */
export interface RecognisedTarget {
  /** Its kind's name in the list. */
  readonly kind: string;
  readonly scheme: string;
  /** As it was written; it may hold a password. */
  readonly text: Secret;
  /** `argument 1`, or its place in a plan. */
  readonly origin: string;
}

/** `user:password@` of a URL with several hosts. */
const passwordOfSeveral = /^[a-z][a-z0-9+.-]*:\/\/[^:@/?#\s]*:([^\s/]+)@/i;

/** A parameter that is a password by its name. */
const secretParameter = /[?&#](?:[\w.-]*(?:password|passwd|secret|token))=([^&#\s]+)/gi;

/**
 * Tells the kind of a target by how it begins.
 * @param secret gets whatever looks like a password
 * @throws Error that says what is accepted
 */
export function recogniseTarget(
  text: string,
  secret: (value: string) => void,
  origin: string,
): RecognisedTarget {
  for (const found of [passwordIn(text) ?? passwordOfSeveral.exec(text)?.[1], ...parameters(text)])
    if (found !== undefined) secret(found);
  const { kind, scheme } = kindOf(text);
  return { kind, scheme, text: new Secret(text), origin };
}

function parameters(text: string): readonly string[] {
  return [...text.matchAll(secretParameter)].flatMap(([, value = '']) => value);
}

function kindOf(text: string): Pick<RecognisedTarget, 'kind' | 'scheme'> {
  if (text === '') throw new Error(`the target is empty; ${accepted()}`);
  const [, scheme = '', rest = ''] = /^([a-z][a-z0-9+.-]*):(.*)$/is.exec(text) ?? [];
  const name = scheme.toLowerCase();
  const isUrl = rest.startsWith('//');
  // A socket and a path is what HTTP is spoken to.
  if (name === 'unix' && /^(?:\/\/(?=\/))?\/[^:?]*:\//.test(rest)) return { kind: 'http', scheme: name };
  for (const [kind, { schemes = [], prefixes = [] }] of Object.entries(kinds)) {
    if (isUrl && schemes.includes(name)) return { kind, scheme: name };
    // `dns:53` is a host and its port.
    if (prefixes.includes(name) && !/^\d+(?:\?|$)/.test(rest)) return { kind, scheme: name };
  }
  if (isUrl)
    throw new Error(
      `${name}:// is not a kind of target; ${accepted()}. For its port alone write tcp://HOST:PORT`,
    );
  return { kind: 'tcp', scheme: '' };
}

function accepted(): string {
  const begins = Object.values(kinds).flatMap(({ schemes = [], prefixes = [] }) => [
    ...schemes.map((scheme) => `${scheme}://`),
    ...prefixes.map((prefix) => `${prefix}:`),
  ]);
  return `write HOST:PORT, or what begins with ${begins.slice(0, -1).join(', ')} or ${begins.at(-1)}`;
}
