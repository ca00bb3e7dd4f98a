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

/** An element of a document, with what is below it; comments and instructions are gone. */
export class XmlElement {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: XmlElement[] = [];
  /** Its own text, without that of its children. */
  text = '';

  constructor(name: string, attributes: Readonly<Record<string, string>> = {}) {
    this.name = name;
    this.attributes = attributes;
  }

  all(name: string): XmlElement[] {
    return this.children.filter((child) => child.name === name);
  }

  /** The first element on a way down. */
  at(...names: readonly string[]): XmlElement | undefined {
    return names.reduce<XmlElement | undefined>(
      (element, name) => element?.children.find((child) => child.name === name),
      this,
    );
  }
}

/** Characters that are read in one go: of empty elements some milliseconds. */
const atOnce = 1 << 14;

/** Ends the parser, which would go on behind an error. */
class NotAccepted extends Error {
  override readonly name = 'NotAccepted';
}

/**
 * The root of a well-formed document of a server, in which nothing may define entities; undefined where it is none, as where it
 * was cut off. Signals and timers are heard meanwhile.
 */
export async function xmlRoot(text: string, signal: AbortSignal): Promise<XmlElement | undefined> {
  if (hasMoreOf(text, '<=', mostMarks)) return undefined;
  const document = new XmlElement('');
  const open = [document];
  const refuse = (): never => {
    throw new NotAccepted();
  };
  const addText = (piece: string): void => {
    open.at(-1)!.text += piece;
  };
  const parser = new SaxesParser({ xmlns: false, position: false });
  parser.on('error', refuse);
  parser.on('doctype', refuse);
  parser.on('text', addText);
  parser.on('cdata', addText);
  parser.on('opentag', ({ name, attributes }) => {
    const element = new XmlElement(name, attributes);
    open.at(-1)!.children.push(element);
    open.push(element);
  });
  parser.on('closetag', () => void open.pop());
  try {
    for (let at = 0; at < text.length; at += atOnce) {
      parser.write(text.slice(at, at + atOnce));
      await new Promise((resolve) => void setImmediate(resolve));
      if (signal.aborted) return undefined;
    }
    parser.close();
  } catch (error) {
    if (error instanceof NotAccepted) return undefined;
    throw error;
  }
  return document.children[0];
}
