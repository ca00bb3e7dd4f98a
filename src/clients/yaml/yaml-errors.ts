import type { ErrorCode } from 'yaml';

/**
 * What is wrong with a YAML text, in our words. The parser's own quote the text, changed so that no redactor knows it:
 * of the password `*Xk9v` it says `Unresolved alias: Xk9v`.
 */
const sentences: Readonly<Record<ErrorCode, string>> = {
  ALIAS_PROPS: 'an alias (*name) cannot have a tag or an anchor; quote a value that begins with *',
  BAD_ALIAS: 'an anchor (&name) or alias (*name) has no valid name; quote a value that begins with & or *',
  BAD_COLLECTION_TYPE: 'the tag (!name) here is for another kind of value',
  BAD_DIRECTIVE:
    'a line that begins with % is not a valid directive (%YAML, %TAG); quote a value that begins with %',
  BAD_DQ_ESCAPE: 'a backslash within double quotes begins no valid escape; write \\\\ for a backslash',
  BAD_INDENT: 'the indentation does not fit the lines above it, or a bracket is not closed',
  BAD_PROP_ORDER: 'an anchor (&name) or tag (!name) stands before the - ? or : that it must follow',
  BAD_SCALAR_START: 'a value without quotes cannot begin with this character; quote it',
  BLOCK_AS_IMPLICIT_KEY:
    'a second mapping or list begins on the line of a key; quote a value that has ": " in it',
  BLOCK_IN_FLOW: 'an indented mapping or list stands within [ ] or { }',
  DUPLICATE_KEY: 'this key is there twice',
  IMPOSSIBLE: 'it is not valid YAML',
  KEY_OVER_1024_CHARS: 'a key has more than 1,024 characters',
  MISSING_CHAR: 'a quote, bracket, comma, colon or space is missing',
  MULTILINE_IMPLICIT_KEY: 'a key goes on over several lines; is a quote or a colon missing?',
  MULTIPLE_ANCHORS: 'a value has more than one anchor (&name)',
  MULTIPLE_DOCS: 'a second document (---) begins here; one is taken',
  MULTIPLE_TAGS: 'a value has more than one tag (!name)',
  NON_STRING_KEY: 'a key must be text',
  RESOURCE_EXHAUSTION: 'it is nested too deeply',
  TAB_AS_INDENT: 'a tab stands where YAML takes only spaces',
  TAG_RESOLVE_FAILED:
    'the tag (!name) is unknown, or the value does not fit it; quote a value that begins with !',
  UNEXPECTED_TOKEN: 'this cannot stand here; quote a value that has special characters in it',
};

export function yamlWords(code: ErrorCode): string {
  return sentences[code] ?? sentences.IMPOSSIBLE;
}

export const strayAlias =
  'an alias (*name) stands here without an anchor (&name) above it; quote a value that begins with *';
export const tooManyAliases = 'its aliases (*name) multiply beyond all bounds';
export const selfAlias = 'an alias stands inside of what it names';
export const halfCharacter =
  'this text has one half of a character that takes two (\\ud800 to \\udfff); write both, or the character itself';
export const tooDeep = sentences.RESOURCE_EXHAUSTION;
export const tooManyTokens =
  'it has more than 100,000 words, marks and line ends; split it into smaller files';
/** Where `{{` or `<no value>` stands in the line of a mistake. */
export const unfilledTemplate =
  'a template was not filled in here; give Kubernetes what the template makes (helm template, helm install), or quote a value that has {{ in it';
