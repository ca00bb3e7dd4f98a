/** What a byte stands for that no alphabet has. */
export const absent = 255;

/** What each character stands for in base64 (RFC 4648, 4 and 5), base32 (6) and hex. */
export const sextets = alphabet('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', '-_', 62);
export const quintets = alphabet('ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', '', 0);
export const nibbles = alphabet('0123456789abcdef', 'ABCDEF', 10);

function alphabet(characters: string, others: string, first: number): Uint8Array {
  const values = new Uint8Array(256).fill(absent);
  for (let index = 0; index < characters.length; index++) values[characters.charCodeAt(index)] = index;
  for (let index = 0; index < others.length; index++) values[others.charCodeAt(index)] = first + index;
  return values;
}
