import type { Meaning } from '../template-variables.ts';
import type { Option } from './option.ts';

/**
 * What an option's value is read as, by its placeholder, which is its type. `text` is taken as it is: SQL, patterns, what
 * is compared with something. `parsed` takes no reference anyway: numbers, words of a list, or a reader of its own that
 * says so. A test keeps this complete.
 */
const meanings: Readonly<Record<string, Meaning | 'text' | 'parsed'>> = {
  PATH: 'path',
  'PATH|SOURCE': 'place',
  FILE: 'path',
  DIR: 'path',
  URL: 'url',
  'HOST[:PORT]': 'word',
  'NAME[.NAMESPACE]': 'word',
  ADDRESS: 'name',
  HOST: 'name',
  NAME: 'name',
  'NAME|ARN': 'name',
  ID: 'name',
  // One key for all images, and every later migration would be taken for done.
  KEY: 'word',
  // Vault's path of an auth method, not a file's.
  MOUNT: 'name',
  TYPE: 'word',
  VERSION: 'name',
  NAMESPACE: 'name',
  LABELS: 'name',
  '/PATH': 'name',
  WHAT: 'name',
  'OWNER:GROUP': 'name',
  ROLE: 'name',
  EMAIL: 'name',
  'vault:PATH': 'name',
  'RIGHT,…=ROLE': 'parsed',
  '[SCHEMA.]TABLE': 'name',
  '[DATABASE.]TABLE': 'name',
  '[NAME=]SOURCE|FILE': 'parsed',
  COUNT: 'parsed',
  DURATION: 'parsed',
  'HEADER=VARIABLE': 'parsed',
  HEX: 'parsed',
  'HEX|ADDRESS': 'url',
  'KIND:VERSION': 'parsed',
  MODE: 'parsed',
  NUMBER: 'parsed',
  OCTAL: 'parsed',
  SIZE: 'parsed',
  STATUS: 'parsed',
  'UID:GID': 'parsed',
  'UID[:GID]': 'parsed',
  GLOB: 'text',
  'NAME=VALUE': 'text',
  'NAME[: VALUE]': 'text',
  "'OPEN CLOSE'": 'text',
  "'OPEN [CLOSE]'": 'text',
  LINE: 'text',
  'POINTER[=VALUE]': 'text',
  REGEX: 'text',
  SQL: 'text',
  TEXT: 'text',
  // Of a plan's step, which has a reader of its own.
  STEP: 'parsed',
  VARIABLE: 'parsed',
};

/** Undefined for a placeholder that nobody has thought of, and for switches and choices, which take their words alone. */
export function meaningOf(option: Option): Meaning | 'text' | 'parsed' | undefined {
  return option.kind === 'switch' || option.choices !== undefined ? undefined : meanings[option.placeholder];
}
