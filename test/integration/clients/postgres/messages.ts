// A PostgreSQL server's messages, right and wrong ones.

/** A message with a right length, or with the one that is given. */
export function message(type: string, body: Buffer | string = '', length?: number): Buffer {
  const bytes = Buffer.from(body as string, 'latin1');
  const head = Buffer.alloc(5);
  head.write(type, 'latin1');
  head.writeInt32BE(length ?? bytes.length + 4, 1);
  return Buffer.concat([head, bytes]);
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

export const authentication = (code: number, more: Buffer | string = ''): Buffer =>
  message('R', Buffer.concat([int32(code), Buffer.from(more as string, 'latin1')]));

export const report = (type: 'E' | 'N', fields: string): Buffer => message(type, `${fields}\0`);

export const fatal = report('E', 'SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0');
export const notice = report('N', 'SNOTICE\0VNOTICE\0C00000\0Mfor your information\0');

export function rowDescription(names: readonly string[]): Buffer {
  return message(
    'T',
    Buffer.concat([
      int16(names.length),
      ...names.map((name) =>
        Buffer.concat([
          Buffer.from(`${name}\0`),
          int32(0),
          int16(0),
          int32(25),
          int16(-1),
          int32(-1),
          int16(0),
        ]),
      ),
    ]),
  );
}

export function dataRow(values: readonly (string | null)[]): Buffer {
  return message(
    'D',
    Buffer.concat([
      int16(values.length),
      ...values.map((value) =>
        value === null ? int32(-1) : Buffer.concat([int32(Buffer.byteLength(value)), Buffer.from(value)]),
      ),
    ]),
  );
}

export const ready = message('Z', 'I');
export const complete = message('C', 'SELECT 1\0');

/** What follows the startup packet where no password is asked for. */
export const welcome: readonly Buffer[] = [
  authentication(0),
  message('S', 'server_version\x0018.1\0'),
  message('S', 'client_encoding\0UTF8\0'),
  message('K', Buffer.concat([int32(4711), int32(1)])),
  ready,
];

/** The answer to SELECT 1, by the simple and by the extended protocol. */
export const one: readonly Buffer[] = [rowDescription(['?column?']), dataRow(['1']), complete, ready];
export const oneExtended: readonly Buffer[] = [message('1'), message('2'), ...one];
