import { jsonInline } from '../../config/formats/json.ts';
import type { DryFile } from '../../config/outputs.ts';
import {
  JsonNumber,
  type Fetched,
  type FieldValue,
  type Provenance,
  type SourceAddress,
} from '../../config/source.ts';

/** A name and how many bytes it holds; never a value. */
interface Sized {
  readonly name: string;
  readonly size: number;
}

/** What `--dry-run` prints. */
export interface DryRunReport {
  readonly sources: readonly (Provenance & {
    readonly absent?: true;
    readonly size?: number;
    readonly fields?: readonly Sized[];
  })[];
  readonly files: readonly DryFile[];
  readonly variables?: readonly Sized[];
}

export function dryRunReport(
  found: ReadonlyMap<SourceAddress, Fetched>,
  files: readonly DryFile[],
  environment: Readonly<Record<string, string>> | undefined,
): DryRunReport {
  const sources = [...found.values()].map(({ provenance, content, absent }) =>
    absent !== undefined
      ? { ...provenance, absent: true as const }
      : content.kind === 'value'
        ? { ...provenance, size: sizeOf(content.value) }
        : {
            ...provenance,
            fields: [...content.fields].map(([name, value]) => ({ name, size: sizeOf(value) })),
          },
  );
  if (environment === undefined) return { sources, files };
  const variables = Object.entries(environment).map(([name, value]) => ({ name, size: sizeOf(value) }));
  return { sources, files, variables };
}

/** In bytes: of a text as it is, of a structure as JSON without spaces. */
function sizeOf(value: FieldValue): number {
  if (value === null) return 0;
  if (value instanceof Uint8Array) return value.length;
  if (typeof value === 'object' && !(value instanceof JsonNumber)) return Buffer.byteLength(jsonSize(value));
  return Buffer.byteLength(String(value));
}

function jsonSize(value: FieldValue): string {
  try {
    return jsonInline('the value', value);
  } catch {
    return ''; // nested beyond all bounds: no format would write it
  }
}
