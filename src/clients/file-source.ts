import { readFile } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { decompressed, NotDecompressed, notDecompressed } from '../config/decompress.ts';
import { pickField, pickFromBytes, registerContent, textOrBytes } from '../config/fields.ts';
import type { Fetched, FetchAnswer, FieldValue, ReadSource, SourceAddress } from '../config/source.ts';
import { exitStatus } from '../core/exit-status.ts';
import type { Redactor } from '../core/redaction/redactor.ts';
import { overLimit } from '../core/size.ts';
import { liesInConfigMap } from '../fs/config-map.ts';
import { namesInInput, openInput, requireFile, unread } from '../fs/input-file.ts';
import { never, notYet, type Never, type NotYet } from '../wait/attempt.ts';

const contentOf = promisify(readFile);

export interface FileSourceSettings {
  /** Bytes that one file may have. */
  readonly maxSize: number;
  /** A file is compressed, and what it unpacks to is wanted. */
  readonly decompress: boolean;
  /** What the user says; unsaid, all of it is a secret but what lies on the volume of a ConfigMap. */
  readonly saidSecret: boolean | undefined;
}

/** Reads what Kubernetes mounts: a file, or a folder with one file for each key (a Secret's or a ConfigMap's volume). */
export function fileReader(
  address: SourceAddress,
  settings: FileSourceSettings,
  redactor: Redactor,
): ReadSource {
  return async ({ signal }) => {
    try {
      return await read(address, settings, redactor, signal);
    } catch (error) {
      if (error instanceof NotDecompressed) return notDecompressed(error);
      return faultOf(error as NodeJS.ErrnoException, address.path);
    }
  };
}

async function read(
  address: SourceAddress,
  { maxSize, saidSecret, decompress }: FileSourceSettings,
  redactor: Redactor,
  signal: AbortSignal,
): Promise<FetchAnswer> {
  const secretIf = (evident: boolean): boolean => (address.public ? false : (saidSecret ?? evident));
  const found = await readEntry(address.path, maxSize).catch((error: NodeJS.ErrnoException) => {
    const fault = faultOf(error, address.path);
    // Of the source itself: an entry that goes away while a folder is read is replaced.
    return error.code === 'ENOENT' ? { ...fault, missing: true as const } : fault;
  });
  if ('state' in found) return found;
  if (found.bytes === undefined) {
    const folder = await readFolder(address.path, maxSize);
    if ('state' in folder) return folder;
    const { fields } = folder;
    const secret = secretIf(found.secret || folder.secret);
    if (secret) registerContent(redactor, { kind: 'fields', fields });
    return answer(pickField(fields, address.field), address, { secret });
  }
  const secret = secretIf(found.secret);
  const bytes = decompress
    ? await decompressed(found.bytes, { bytes: maxSize, origin: '--max-size' }, signal)
    : found.bytes;
  if (secret) registerContent(redactor, { kind: 'value', value: bytes });
  const content = pickFromBytes(bytes, address.field);
  if (secret && !('state' in content)) registerContent(redactor, content);
  return answer(content, address, { secret, time: found.modified.toISOString() });
}

function answer(
  content: Fetched['content'] | Never,
  address: SourceAddress,
  { secret, time }: { readonly secret: boolean; readonly time?: string },
): FetchAnswer {
  if ('state' in content) return content;
  const provenance = { source: address.text, ...(time === undefined ? {} : { time }) };
  return { state: 'fetched', fetched: { content, secret, provenance } };
}

interface Entry {
  /** Undefined for a folder. */
  readonly bytes?: Uint8Array;
  readonly modified: Date;
  /** By evidence. */
  readonly secret: boolean;
}

async function readEntry(path: string, maxSize: number): Promise<Entry | Never> {
  using input = openInput(path);
  const { descriptor, stat } = input;
  const entry = { modified: stat.mtime, secret: !liesInConfigMap(descriptor) };
  if (stat.isDirectory()) return entry;
  requireFile(stat);
  if (stat.size > maxSize) return tooLarge(stat.size, maxSize);
  const bytes = await contentOf(descriptor);
  return bytes.length > maxSize ? tooLarge(bytes.length, maxSize) : { ...entry, bytes };
}

function tooLarge(size: number, maxSize: number): Never {
  return never(exitStatus.refused, `has ${overLimit(size, maxSize)} (--max-size)`);
}

/** Names with a leading dot are the kubelet's own (..data). */
async function readFolder(
  path: string,
  maxSize: number,
): Promise<{ readonly fields: Map<string, FieldValue>; readonly secret: boolean } | NotYet | Never> {
  const fields = new Map<string, FieldValue>();
  let secret = false;
  for (const name of namesInInput(path)) {
    if (name.startsWith('.')) continue;
    const entry = await readEntry(join(path, name), maxSize);
    if ('state' in entry) return { ...entry, reason: `${name} ${entry.reason}` };
    if (entry.bytes === undefined) continue;
    secret ||= entry.secret;
    fields.set(name, textOrBytes(entry.bytes));
  }
  return { fields, secret };
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
