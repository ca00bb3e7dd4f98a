import { XMLValidator } from 'fast-xml-parser';

/** Why a text is not well-formed XML, with line and column and no more of it than names; undefined where it is. */
export function xmlProblem(text: string): string | undefined {
  const found = XMLValidator.validate(text);
  return found === true ? undefined : `${found.err.line}:${found.err.col}: ${found.err.msg}`;
}
