/** What a byte stands for that no alphabet has. */
export const absent = 255;

/** What each character stands for in base64 (RFC 4648, 4 and 5) and in hex. */
export const sextets = alphabet('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/', '-_', 62);
export const nibbles = alphabet('0123456789abcdef', 'ABCDEF', 10);

function alphabet(characters: string, others: string, first: number): Uint8Array {
  const values = new Uint8Array(256).fill(absent);
  for (const [index, character] of characters.split('').entries()) values[character.charCodeAt(0)] = index;
  for (const [index, character] of others.split('').entries())
    values[character.charCodeAt(0)] = first + index;
  return values;
}
