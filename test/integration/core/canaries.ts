// 200 secrets of every shape that a parser, an encoder or a log stumbles over; all hold one mark, which nothing else does.
const mark = 'CNRY';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

const shapes: readonly ((m: string) => string)[] = [
  // YAML
  (m) => `*${m}`,
  (m) => `&${m} x`,
  (m) => `!${m} x`,
  (m) => `%${m}`,
  (m) => `@${m}`,
  (m) => `- ${m}`,
  (m) => `? ${m}: [`,
  (m) => `{${m}`,
  (m) => `[${m}, `,
  (m) => `${m}: ${m}: x`,
  (m) => `|${m}`,
  (m) => `>-${m}`,
  (m) => `# ${m}`,
  (m) => `"${m}`,
  (m) => `'${m}`,
  // XML
  (m) => `<${m}>`,
  (m) => `</${m}>`,
  (m) => `&${m};`,
  (m) => `<!--${m}`,
  (m) => `<![CDATA[${m}`,
  (m) => `<?${m}`,
  (m) => `<a ${m}="`,
  // Regular expressions
  (m) => `(${m}`,
  (m) => `[${m}-a]`,
  (m) => `${m}{2,1}`,
  (m) => `\\${m}`,
  (m) => `(?<${m}>`,
  (m) => `*${m}+?`,
  (m) => `^${m}$|.`,
  // Encodings
  (m) => base64(`${m} in base64`),
  (m) => Buffer.from(`${m}?>~ in base64url`).toString('base64url'),
  (m) => Buffer.from(`${m} in hex`).toString('hex'),
  (m) => encodeURIComponent(`${m}/?&=#% ü`),
  (m) => `${m}%zz%`,
  (m) => JSON.stringify({ [m]: `"${m}"` }),
  // Lines
  (m) => `${m}\nsecond ${m}`,
  (m) => `first\r\n${m}\r\n`,
  (m) => `-----BEGIN KEY-----\n${base64(m.repeat(40)).replace(/.{64}/g, '$&\n')}\n-----END KEY-----\n`,
  // Signs
  (m) => `it's "${m}" \`x\``,
  (m) => `${m}\t\u0001\u001b[31m`,
  (m) => `\u202e${m}\u200b`,
  (m) => `é${m}漢字🔑`,
  (m) => `${m} = [ ; x`,
  (m) => `$${m}; touch EXECUTED #`,
  // Sizes
  (m) => m.repeat(200),
  (m) => `${m}${'x'.repeat(4000)}${m}`,
  (m) => `${m} ${'word '.repeat(3000)}`,
  (m) => base64(m.repeat(8000)),
  (m) => `${m}\n`.repeat(6000),
];

/** Values by names that a variable can have. */
export const canaries: Readonly<Record<string, string>> = Object.fromEntries(
  Array.from({ length: 200 }, (_, index) => [
    `CANARY_${index}`,
    shapes[index % shapes.length]!(`${mark}${String(index).padStart(3, '0')}pw`),
  ]),
);

/** Where the mark shows as it is, in base64 wherever it stands in what was encoded, in hex and in a URL. */
export const showsCanary = new RegExp(
  [
    mark,
    ...[0, 1, 2].map((before) =>
      base64('x'.repeat(before) + mark).slice(
        Math.ceil((before * 8) / 6),
        Math.floor(((before + mark.length) * 8) / 6),
      ),
    ),
    Buffer.from(mark).toString('hex'),
  ].join('|'),
);
