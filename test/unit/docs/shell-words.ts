/**
 * The words of a line as a POSIX shell takes them, up to a pipe, a redirection or the next command. Variables and
 * `$(NAME)` of a manifest become samples.
 */
export function shellWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < line.length; at++) {
    const char = line[at] ?? '';
    const rest = line.slice(at);
    if (quote === "'") {
      if (char === "'") quote = '';
      else word += char;
      continue;
    }
    if (char === '\\') {
      word = (word ?? '') + (line[++at] ?? '');
      continue;
    }
    const variable = /^\$(?:\{(\w+)\}|\((\w+)\)|(\w+))/.exec(rest);
    if (variable) {
      word = (word ?? '') + sampleOf(variable[1] ?? variable[2] ?? variable[3] ?? '');
      at += variable[0].length - 1;
      continue;
    }
    if (quote === '"') {
      if (char === '"') quote = '';
      else word += char;
      continue;
    }
    if (char === "'" || char === '"') {
      quote = char;
      word ??= '';
    } else if (/[|;&<>]/.test(char) || (char === '#' && word === undefined)) {
      break;
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? '') + char;
  }
  if (quote !== '') throw new Error(`the quote ${quote} is not closed in: ${line}`);
  if (word !== undefined) words.push(word);
  return words;
}

/** `$(NAME)` in a container's command and arguments, as the kubelet fills it in. */
export function withVariables(text: string): string {
  return text.replace(/\$\((\w+)\)/g, (_all, name: string) => sampleOf(name));
}

function sampleOf(name: string): string {
  return name === 'DATABASE_URL' ? 'postgres://app@postgres-service:5432/app' : `sample-of-${name}`;
}

/** What a page writes where everybody has something else. */
const placeholders: Readonly<Record<string, string>> = {
  HEX: '0'.repeat(64),
  'sha256:HEX': `sha256:${'0'.repeat(64)}`,
  'UID:GID': '1000:1000',
  COUNT: '3',
};

/** The arguments of the initbox that a line starts; undefined where it starts none. */
export function initboxArguments(line: string): string[] | undefined {
  const words = shellWords(line.replace(/^\$ /, '')).map((word) => placeholders[word] ?? word);
  while (/^\w+=/.test(words[0] ?? '')) words.shift();
  const isProgram = (word: string | undefined): boolean => /^(\/initbox\/)?initbox$/.test(word ?? '');
  const dashes = words.indexOf('--');
  const start = isProgram(words[0])
    ? 1
    : dashes > 0 && isProgram(words[dashes + 1])
      ? dashes + 2
      : words[0] === 'docker' && words[1] === 'run'
        ? words.findIndex((word) => /^initbox(:[\w.]+)?$/.test(word)) + 1
        : words[0] === 'kubectl' && words.some((word) => word.startsWith('--image=initbox:'))
          ? dashes + 1
          : 0;
  return start === 0 ? undefined : words.slice(start);
}
