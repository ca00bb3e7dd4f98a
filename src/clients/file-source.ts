import { readFile } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { pickField, pickFromBytes, registerContent } from '../config/fields.ts';
import type { Fetched, FetchAnswer, FieldValue, ReadSource, SourceAddress } from '../config/source.ts';
import { exitStatus } from '../core/exit-status.ts';
import type { Redactor } from '../core/redaction/redactor.ts';
import { formatBytes } from '../core/size.ts';
import { namesInInput, openInput, requireFile, unread } from '../fs/input-file.ts';
import { never, notYet, type Never, type NotYet } from '../wait/attempt.ts';

const contentOf = promisify(readFile);

/**
 * Reads what Kubernetes mounts: a file, or a folder with one file for each key (a Secret's or a ConfigMap's volume).
 * All of it counts as secret: a file does not tell.
 * @param maxSize bytes that one file may have
 */
export function fileReader(address: SourceAddress, maxSize: number, redactor: Redactor): ReadSource {
  return async () => {
    try {
      return await read(address, maxSize, redactor);
    } catch (error) {
      return faultOf(error as NodeJS.ErrnoException, address.path);
    }
  };
}

async function read(address: SourceAddress, maxSize: number, redactor: Redactor): Promise<FetchAnswer> {
  const found = await readEntry(address.path, maxSize);
  if (found === 'folder') {
    const fields = await readFolder(address.path, maxSize);
    if (!(fields instanceof Map)) return fields;
    registerContent(redactor, { kind: 'fields', fields });
    return answer(pickField(fields, address.field), address, undefined);
  }
  if ('state' in found) return found;
  registerContent(redactor, { kind: 'value', value: found.bytes });
  const content = pickFromBytes(found.bytes, address.field);
  if (!('state' in content)) registerContent(redactor, content);
  return answer(content, address, found.modified.toISOString());
}

function answer(
  content: Fetched['content'] | Never,
  address: SourceAddress,
  time: string | undefined,
): FetchAnswer {
  if ('state' in content) return content;
  const provenance = { source: address.text, ...(time === undefined ? {} : { time }) };
  return { state: 'fetched', fetched: { content, secret: true, provenance } };
}

interface FileContent {
  readonly bytes: Uint8Array;
  readonly modified: Date;
}

async function readEntry(path: string, maxSize: number): Promise<FileContent | 'folder' | Never> {
  using input = openInput(path);
  const { descriptor, stat } = input;
  if (stat.isDirectory()) return 'folder';
  requireFile(stat);
  if (stat.size > maxSize) return tooLarge(stat.size, maxSize);
  const bytes = await contentOf(descriptor);
  return bytes.length > maxSize ? tooLarge(bytes.length, maxSize) : { bytes, modified: stat.mtime };
}

function tooLarge(size: number, maxSize: number): Never {
  return never(
    exitStatus.refused,
    `has ${formatBytes(size)}, over the limit of ${formatBytes(maxSize)} (--max-size)`,
  );
}

/** Names with a leading dot are the kubelet's own (..data). */
async function readFolder(path: string, maxSize: number): Promise<Map<string, FieldValue> | NotYet | Never> {
  const fields = new Map<string, FieldValue>();
  for (const name of namesInInput(path)) {
    if (name.startsWith('.')) continue;
    const entry = await readEntry(join(path, name), maxSize);
    if (entry === 'folder') continue;
    if ('state' in entry) return { ...entry, reason: `${name} ${entry.reason}` };
    fields.set(name, textOrBytes(entry.bytes));
  }
  return fields;
}

function textOrBytes(bytes: Uint8Array): FieldValue {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return bytes;
  }
}

/** A missing file is waited for: a sidecar may write it. What permissions forbid stays forbidden. */
function faultOf(error: NodeJS.ErrnoException, path: string): NotYet | Never {
  if (error.code === 'ENOENT' || error.code === 'ENOTDIR') {
    return notYet('does not exist', {
      hint: path.includes('*')
        ? 'a * is taken as it is here: no shell expands it; name the folder, or each file'
        : 'is the volume mounted here, and does the Secret or ConfigMap have that key?',
    });
  }
  const { status, why, hint } = unread(error);
  return never(
    status,
    why,
    error.code === 'EACCES' ? 'look at runAsUser, fsGroup and the defaultMode of the volume' : hint,
  );
}
