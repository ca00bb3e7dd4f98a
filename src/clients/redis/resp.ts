/** A value as a Redis server sends it (RESP2, https://redis.io/docs/latest/develop/reference/protocol-spec/). */
export type RespValue =
  | { readonly type: 'status' | 'error' | 'text'; readonly text: string }
  | { readonly type: 'number'; readonly number: number }
  | { readonly type: 'nothing' }
  | { readonly type: 'list'; readonly items: readonly RespValue[] };

/** What answers does not speak Redis' protocol. */
export class NotRedis extends Error {
  constructor() {
    super('what answers there is not Redis');
  }
}

/** Values within values, which no answer here has more of. */
const deepest = 4;

/** A command as an array of bulk strings. */
export function respCommand(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`;
}

/**
 * Takes one value off the front of what has come.
 * @throws NotRedis
 */
export function takeResp(
  heard: Buffer,
  depth = 0,
): { readonly value: RespValue; readonly length: number } | undefined {
  if (heard.length === 0) return undefined;
  const type = String.fromCharCode(heard[0] ?? 0);
  if (!'+-:$*'.includes(type) || depth > deepest) throw new NotRedis();
  const end = heard.indexOf('\r\n');
  // A count has at most 20 digits, a status or error one line.
  if (end < 0) {
    if (':$*'.includes(type) && heard.length > 24) throw new NotRedis();
    return undefined;
  }
  const text = heard.toString('utf8', 1, end);
  const after = end + 2;
  if (type === '+' || type === '-')
    return { value: { type: type === '+' ? 'status' : 'error', text }, length: after };
  if (!/^-?\d{1,15}$/.test(text)) throw new NotRedis();
  const number = Number(text);
  if (type === ':') return { value: { type: 'number', number }, length: after };
  if (number < 0) return { value: { type: 'nothing' }, length: after };
  if (type === '$') {
    if (heard.length < after + number + 2) return undefined;
    return {
      value: { type: 'text', text: heard.toString('utf8', after, after + number) },
      length: after + number + 2,
    };
  }
  const items: RespValue[] = [];
  let length = after;
  for (let index = 0; index < number; index += 1) {
    const item = takeResp(heard.subarray(length), depth + 1);
    if (item === undefined) return undefined;
    items.push(item.value);
    length += item.length;
  }
  return { value: { type: 'list', items }, length };
}
