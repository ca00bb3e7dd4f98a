import { isAbsolute } from 'node:path';

import type { Format } from '../../config/formats/format.ts';
import { parseSource, refuseTree, type FieldValue, type SourceAddress } from '../../config/source.ts';
import { whyNotUtf8 } from '../../core/byte-order-mark.ts';
import { hideMisplacedInDocument, quoted } from '../../core/misplaced-secret.ts';
import { UsageError } from '../../core/outcome.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { readNamedFile } from '../../fs/input-file.ts';
import { parseFileMode, parseFileOwner, type FileOwner } from '../../fs/publish/attributes.ts';
import type { MergeRule } from './merge.ts';
import type { KeyRule } from './pick.ts';
import schema from './spec.schema.json' with { type: 'json' };

/** What `--spec FILE` asks for. */
export interface Spec {
  /** The folder for relative paths. */
  readonly to: string | undefined;
  readonly files: readonly SpecFile[];
}

export interface SpecFile {
  readonly path: string;
  readonly format: Format;
  readonly mode: number | undefined;
  readonly owner: FileOwner | undefined;
  readonly merge: MergeRule;
  readonly parts: readonly SpecPart[];
  /** `fetch.yaml:3:5`. */
  readonly origin: string;
}

export interface SpecPart {
  readonly address: SourceAddress;
  /** What to take; undefined for everything as it is. */
  readonly keys: readonly KeyRule[] | undefined;
  /** Take the keys that no rule names as well. */
  readonly others: boolean;
}

/** The file as its schema has checked it. */
interface Written {
  readonly to?: string;
  readonly merge?: MergeRule;
  readonly mode?: string;
  readonly owner?: string;
  readonly files: readonly WrittenFile[];
}
interface WrittenFile {
  readonly path: string;
  readonly format?: Format;
  readonly mode?: string;
  readonly owner?: string;
  readonly merge?: MergeRule;
  readonly from: string | readonly (string | WrittenPart)[];
}
interface WrittenPart {
  readonly source: string;
  readonly keys?: readonly string[] | Readonly<Record<string, string | WrittenKey>>;
  readonly others?: boolean;
  readonly optional?: boolean;
  readonly public?: boolean;
}
interface WrittenKey {
  readonly key?: string;
  readonly optional?: boolean;
  readonly default?: FieldValue;
  readonly decode?: 'base64' | 'json';
}

type Path = readonly (string | number)[];

/** Problems told at once. */
const shown = 10;

/**
 * Reads a specification.
 * @param secret gets what must never be printed: a password in a source's URL
 * @param redactor is told of whatever looks like a secret in the specification
 * @throws UsageError with file, line and column
 */
export async function readSpec(
  file: string,
  secret: (value: string, origin: string) => void,
  redactor: Pick<Redactor, 'secret'>,
): Promise<Spec> {
  return parseSpec(readText(file), file, secret, redactor);
}

/** As readSpec, of a text. @param file its name, for messages */
export async function parseSpec(
  text: string,
  file: string,
  secret: (value: string, origin: string) => void,
  redactor?: Pick<Redactor, 'secret'>,
): Promise<Spec> {
  const [{ parseYaml, YamlProblem }, { checkSchema }, { nearest }] = await Promise.all([
    import('../../clients/yaml/text.ts'),
    import('../../clients/json-schema.ts'),
    import('../../clients/nearest.ts'),
  ]);
  let yaml: ReturnType<typeof parseYaml>;
  try {
    yaml = parseYaml(text);
  } catch (error) {
    if (error instanceof YamlProblem) throw new UsageError(`${file}:${error.message}`, { cause: error });
    throw error;
  }
  if (redactor !== undefined) hideMisplacedInDocument(yaml.value, redactor);
  const place = (path: Path): string => `${file}:${yaml.at(path)}`;
  const problems = checkSchema(schema, yaml.value, nearest);
  if (problems.length > 0) {
    const lines = problems
      .slice(0, shown)
      .map(({ path, message }) => `${place(path)}: ${pathText(path)}${message}`);
    const more = problems.length > shown ? [`and ${problems.length - shown} more`] : [];
    throw new UsageError([...lines, ...more]);
  }
  const written = yaml.value as Written;
  const reader = new SpecReader(written, place, secret);
  if (written.to !== undefined) reader.expanded(written.to, ['to']);
  return { to: written.to, files: written.files.map((entry, index) => reader.file(entry, ['files', index])) };
}

/** Turns what was written into what is meant; knows where everything stands. */
class SpecReader {
  readonly #written: Written;
  readonly #place: (path: Path) => string;
  readonly #secret: (value: string, origin: string) => void;

  constructor(
    written: Written,
    place: (path: Path) => string,
    secret: (value: string, origin: string) => void,
  ) {
    this.#written = written;
    this.#place = place;
    this.#secret = secret;
  }

  /** @throws UsageError where a path holds a reference that nobody replaced */
  expanded(text: string, path: Path): void {
    refuseUnexpanded('path', text, `${this.#place(path)}: ${pathText(path).slice(0, -2)}`);
  }

  file(entry: WrittenFile, path: Path): SpecFile {
    this.expanded(entry.path, [...path, 'path']);
    if (!isAbsolute(entry.path) && this.#written.to === undefined) {
      this.#refuse([...path, 'path'], `${quoted(entry.path)} is relative, and there is no "to" at the top`);
    }
    const parts = typeof entry.from === 'string' ? [entry.from] : entry.from;
    return {
      path: entry.path,
      format: entry.format ?? 'raw',
      mode: this.#read(entry.mode, this.#written.mode, [...path, 'mode'], parseFileMode),
      owner: this.#read(entry.owner, this.#written.owner, [...path, 'owner'], parseFileOwner),
      merge: entry.merge ?? this.#written.merge ?? 'error',
      parts: parts.map((part, index) =>
        this.#part(part, typeof entry.from === 'string' ? [...path, 'from'] : [...path, 'from', index]),
      ),
      origin: this.#place(path),
    };
  }

  #part(part: string | WrittenPart, path: Path): SpecPart {
    if (typeof part === 'string')
      return { address: this.#source(part, path), keys: undefined, others: false };
    const source = this.#source(part.source, [...path, 'source']);
    const address = {
      ...source,
      ...(part.public ? { public: true } : {}),
      ...(part.optional ? { optional: true } : {}),
    };
    if (part.optional && address.field !== undefined)
      this.#refuse(
        [...path, 'optional'],
        `"optional" goes with "keys": write keys: [${quoted(address.field)}] in place of #${address.field}`,
      );
    if (part.keys === undefined) {
      if (part.others !== undefined)
        this.#refuse(path, '"others" goes with "keys"; without these everything is taken');
      return { address, keys: undefined, others: false };
    }
    const entries: [string, string | WrittenKey][] = Array.isArray(part.keys)
      ? (part.keys as string[]).map((key) => [key, key])
      : Object.entries(part.keys);
    if (address.field !== undefined)
      this.#refuse(
        [...path, 'keys'],
        `${address.text} picks one field already; leave #${address.field} or the keys out`,
      );
    const twice = entries.find(([name], index) => entries.findIndex(([other]) => other === name) !== index);
    if (twice) this.#refuse([...path, 'keys'], `the key ${quoted(twice[0])} is taken twice`);
    const keys = entries.map(([name, rule]) =>
      this.#key(name, rule, part.optional ?? false, [...path, 'keys', name]),
    );
    return { address, keys, others: part.others ?? false };
  }

  #key(name: string, rule: string | WrittenKey, optional: boolean, path: Path): KeyRule {
    if (typeof rule === 'string')
      return { name, key: rule, optional, fallback: undefined, decode: undefined };
    const missing = rule.optional ?? optional;
    if (rule.default !== undefined && rule.optional === true)
      this.#refuse(path, '"default" and "optional" cannot be combined: with a default it is never left out');
    if (rule.default === null) this.#refuse(path, 'the default is empty; write "" for an empty text');
    return {
      name,
      key: rule.key ?? name,
      optional: missing,
      fallback: rule.default,
      decode: rule.decode,
    };
  }

  #source(text: string, path: Path): SourceAddress {
    const origin = this.#place(path);
    try {
      const address = parseSource(text, (value) => this.#secret(value, origin));
      refuseTree(address);
      return address;
    } catch (error) {
      return this.#refuse(path, (error as Error).message);
    }
  }

  #read<T>(
    own: string | undefined,
    common: string | undefined,
    path: Path,
    parse: (text: string) => T,
  ): T | undefined {
    const text = own ?? common;
    if (text === undefined) return undefined;
    try {
      return parse(text);
    } catch (error) {
      return this.#refuse(own === undefined ? path.slice(-1) : path, (error as Error).message);
    }
  }

  #refuse(path: Path, why: string): never {
    throw new UsageError(`${this.#place(path)}: ${pathText(path)}${why}`);
  }
}

/** `files[0].from[1]: ` */
function pathText(path: Path): string {
  if (path.length === 0) return '';
  const text = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`)).join('');
  return `${text.replace(/^\./, '')}: `;
}

function readText(file: string): string {
  const bytes = readNamedFile({ text: file, origin: '--spec' });
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new UsageError(`--spec: ${file}: ${whyNotUtf8(bytes)}`, { cause: error });
  }
}
