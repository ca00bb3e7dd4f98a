import { SaxesParser } from 'saxes';

/** Why a text is not well-formed XML, with line and column and no more of it than names; undefined where it is. */
export function xmlProblem(text: string): string | undefined {
  const parser = new SaxesParser({ xmlns: true });
  let problem: string | undefined;
  parser.on('error', ({ message }) => {
    // `3:5: words.`; later ones follow from the first.
    problem ??= message.replace(/\.$/, '');
  });
  parser.write(text);
  parser.close();
  return problem;
}
