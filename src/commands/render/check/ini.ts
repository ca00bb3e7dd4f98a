/**
 * Why a text is no INI file; undefined where it is. There is no standard: taken is what its readers agree on, sections,
 * `key = value` or `key: value`, bare keys (`skip-networking`), indented lines that go on, comments by `#` and `;`.
 * npm's parser of INI accepts any text, and so could refuse nothing.
 */
export function iniProblem(text: string): string | undefined {
  let sawKey = false;
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === '' || /^[#;]/.test(line)) continue;
    const place = `${index + 1}:${raw.search(/\S/) + 1}`;
    if (line.startsWith('[')) {
      if (!/^\[[^\]]*\S[^\]]*\]\s*([#;].*)?$/.test(line))
        return `${place}: a section is written [name], on a line of its own`;
      sawKey = false;
      continue;
    }
    if (sawKey && /^\s/.test(raw)) continue;
    if (/^[=:]/.test(line)) return `${place}: there is no key before ${line[0]}`;
    if (!/[=:]/.test(line) && /\s/.test(line.replace(/\s+[#;].*$/, '')))
      return `${place}: it is not a section, a key = value or a comment`;
    sawKey = true;
  }
  return undefined;
}
