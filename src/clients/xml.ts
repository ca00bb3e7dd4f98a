import { SaxesParser } from 'saxes';

import { hasMoreOf } from '../config/bounds.ts';

/** By what the parser's sentence is about: it gives no codes, and its own words quote names, which may be values. */
const sentences: readonly (readonly [about: RegExp, words: string])[] = [
  [/entity/, 'an & begins no known entity; write &amp; for an &'],
  [
    /XML declaration|expected (the name|one of)|name\/value|value (required|must be quoted)|(version number|encoding value|standalone value) must/,
    'the XML declaration (<?xml …?>) is not valid, or not at the start',
  ],
  [/processing instruction/, 'a processing instruction (<?…?>) is not valid'],
  [/unclosed tag|unexpected end/, 'it ends before all tags are closed'],
  [/clos(e|ing) tag/, 'a closing tag does not fit the tag that is open'],
  [/outside of root/, 'text stands outside of the root element'],
  [/only one root/, 'a second root element begins'],
  [/root element/, 'there is no root element'],
  [/prefix|xmlns|namespace/, 'a namespace prefix is not declared, or reserved'],
  [/duplicate attribute/, 'an attribute is there twice'],
  [/attribute|forward-slash/, 'an attribute is not written name="value"'],
  [/comment/, 'a comment (<!-- … -->) is not valid'],
  [/doctype/, 'the document type (<!DOCTYPE …>) is not in its place'],
  [/tag name|malformed name|incorrect syntax/, 'a < begins no valid tag; write &lt; for a <'],
  [/\]\]>/, 'a text has ]]> in it; write ]]&gt;'],
  [/disallowed character/, 'a character stands here that XML does not allow; write &lt; for a <'],
];

/** Marks that a tag begins with, or an attribute has: the parser cannot be cut. */
const mostMarks = 500_000;

/** Why a text is not well-formed XML, with line and column and nothing of the text; undefined where it is. */
export function xmlProblem(text: string): string | undefined {
  if (hasMoreOf(text, '<=', mostMarks)) return '1:1: it has more than 500,000 tags and attributes';
  const parser = new SaxesParser({ xmlns: true });
  let problem: string | undefined;
  parser.on('error', ({ message }) => {
    // `3:5: words.`; later ones follow from the first.
    if (problem !== undefined) return;
    const [, place = '1:1', about = ''] = /^(\d+:\d+): (.*)$/s.exec(message) ?? [];
    const [, words = 'it is not valid XML'] = sentences.find(([pattern]) => pattern.test(about)) ?? [];
    problem = `${place}: ${words}`;
  });
  parser.write(text);
  parser.close();
  return problem;
}
