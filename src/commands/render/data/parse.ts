import { extname } from 'node:path';

import { parseJson } from '../../../config/json.ts';
import type { FieldValue } from '../../../config/source.ts';
import { whyNotUtf8, withoutByteOrderMark } from '../../../core/byte-order-mark.ts';
import { jsonProblem } from '../check/json.ts';
import { readDotenv } from './read-dotenv.ts';
import { readProperties } from './read-properties.ts';

/** How files of data are read, by their ending. */
export const dataEndings = ['.yaml', '.yml', '.json', '.properties', '.env'] as const;
export type DataEnding = (typeof dataEndings)[number];

/** The ending of a path that says how to read it; undefined for others. `.env` alone is a name as well. */
export function endingOf(path: string): DataEnding | undefined {
  const name = path.slice(path.lastIndexOf('/') + 1).toLowerCase();
  const ending = name === '.env' ? name : extname(name);
  return dataEndings.find((known) => known === ending);
}

/**
 * Reads a file of data.
 * @throws Error that says where it is wrong, without more of the text than keys
 */
export async function parseData(bytes: Uint8Array, ending: DataEnding): Promise<FieldValue> {
  const text = withoutByteOrderMark(decodeUtf8(bytes));
  if (ending === '.json') return jsonOf(text);
  if (ending === '.properties') return Object.fromEntries(readProperties(text));
  if (ending === '.env') return Object.fromEntries(readDotenv(text));
  const { parseYaml } = await import('../../../clients/yaml/text.ts');
  return parseYaml(text).value as FieldValue;
}

function jsonOf(text: string): FieldValue {
  try {
    return parseJson(text);
  } catch (error) {
    throw new Error(jsonProblem(text) ?? (error as Error).message, { cause: error });
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @throws Error where it is not text */
export function decodeUtf8(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (error) {
    throw new Error(whyNotUtf8(bytes), { cause: error });
  }
}
