// Wrong answers: right messages cut, mixed, repeated, with other bytes and lengths.
import type { Random } from '../../../chaos/random.ts';
import {
  authentication,
  complete,
  dataRow,
  fatal,
  int16,
  int32,
  message,
  notice,
  oneExtended,
  ready,
  report,
  rowDescription,
  welcome,
} from './messages.ts';

/** Right messages, which a mutation takes or puts elsewhere. */
const parts: readonly Buffer[] = [
  ...welcome,
  ...oneExtended,
  fatal,
  notice,
  report('E', 'SERROR\0VERROR\0C42601\0Msyntax error\0'),
  authentication(3),
  authentication(5, 'salt'),
  authentication(7),
  authentication(10, 'SCRAM-SHA-256\0\0'),
  authentication(11, 'r=abc,s=c2FsdA==,i=4096'),
  authentication(12, 'v=c2FsdA=='),
  message('A', Buffer.concat([int32(1), Buffer.from('channel\0payload\0')])),
  message('G', Buffer.concat([Buffer.from([0]), int16(0)])),
  message('H', Buffer.concat([Buffer.from([0]), int16(1), int16(0)])),
  message('d', 'copied'),
  message('c'),
  message('s'),
  message('n'),
  message('I'),
  message('3'),
  message('t', int16(0)),
  message('W', Buffer.concat([Buffer.from([0]), int16(0)])),
  message('v', Buffer.concat([int32(0), int32(0)])),
  dataRow([null, '1', '{"a":1}']),
  rowDescription(['a', 'b', '__proto__']),
  rowDescription([]),
  dataRow([]),
  complete,
  ready,
];

export const greetings = [
  'HTTP/1.1 400 Bad Request\r\n\r\n',
  'SSH-2.0-OpenSSH_9.2\r\n',
  '-ERR unknown command\r\n',
  '220 mail ESMTP\r\n',
  'J\0\0\0\n8.0.36\0\0\0\0\0',
  '\x15\x03\x01\0\x02\x02\x46',
  'RFB 003.008\n',
];

/** Makes one thing of an answer wrong: bytes, lengths, order, and what belongs elsewhere. */
export function mutateTurn(turn: Buffer[], random: Random): void {
  const at = Math.floor(random.between(0, turn.length));
  const bytes = Buffer.from(turn[at] ?? ready);
  const part = random.pick(parts) as Buffer;
  const byte = (): number => Math.floor(random.between(0, 256));
  const noise = (): Buffer => Buffer.from(Array.from({ length: Math.floor(random.between(0, 40)) }, byte));
  switch (Math.floor(random.between(0, 13))) {
    case 0:
      bytes[Math.floor(random.between(0, bytes.length))] = byte();
      turn[at] = bytes;
      break;
    case 1: // A wrong length, often a near one.
      if (bytes.length < 5) break;
      bytes.writeInt32BE(
        random.pick([0, 1, 3, 4, 5, 8, -1, 0x7fffffff, bytes.length - 2, bytes.length, bytes.length + 7]) ??
          0,
        1,
      );
      turn[at] = bytes;
      break;
    case 2:
      turn[at] = bytes.subarray(0, Math.floor(random.between(0, bytes.length)));
      break;
    case 3: // The whole message is shorter or longer than its contents say.
      turn[at] = message(
        bytes.toString('latin1', 0, 1) || 'Z',
        random.next() < 0.5
          ? bytes.subarray(5, Math.floor(random.between(5, bytes.length)))
          : Buffer.concat([bytes.subarray(5), noise()]),
      );
      break;
    case 4:
      turn.splice(at, 0, part);
      break;
    case 5:
      turn.splice(at, 1);
      break;
    case 6:
      turn[at] = part;
      break;
    case 7:
      turn.push(...turn.slice(at));
      break;
    case 8:
      turn.splice(at, 0, message(String.fromCharCode(byte()), noise()));
      break;
    case 9:
      turn.splice(at, 0, noise());
      break;
    case 10:
      turn[at] = Buffer.from(random.pick(greetings) as string, 'latin1');
      break;
    case 11:
      turn.splice(at, 0, ...Array.from({ length: Math.floor(random.between(1, 3000)) }, () => notice));
      break;
    default:
      turn.splice(0, turn.length, ...turn.toSorted(() => random.next() - 0.5));
  }
}
