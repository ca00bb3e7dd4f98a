import { parseAllDocuments } from 'yaml';

import { blocksIn, type Block } from './pages.ts';

export const yamlBlocks = blocksIn('yaml');

/** Every document of a block; throws where one is not YAML, or merely odd. */
export function documentsIn(block: Block): unknown[] {
  return parseAllDocuments(block.text).map((document) => {
    const [problem] = [...document.errors, ...document.warnings];
    if (problem !== undefined) throw new Error(`${block.place}: ${problem.message}`);
    return document.toJS() as unknown;
  });
}

export type Map = Readonly<Record<string, unknown>>;

export function isMap(value: unknown): value is Map {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Every map in a value, itself included. */
export function mapsIn(value: unknown): Map[] {
  if (Array.isArray(value)) return value.flatMap(mapsIn);
  return isMap(value) ? [value, ...Object.values(value).flatMap(mapsIn)] : [];
}
