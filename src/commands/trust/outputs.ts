import { resolve } from 'node:path';

import { outputTo, type Output } from '../../config/outputs.ts';
import { UsageError } from '../../core/outcome.ts';
import { inputKind } from '../../fs/input-file.ts';
import { identityOfFolder } from '../../fs/publish/target-checks.ts';
import type { TrustOptions } from './options.ts';

/** What can be written, by its option. */
export const trustTargets = ['bundle', 'hash-dir', 'pkcs12', 'jks'] as const;
export const keyTargets = ['key-pkcs12', 'key-jks'] as const;
/** Those that a password protects. */
export const storeTargets = ['pkcs12', 'jks', ...keyTargets] as const;

export type TrustTarget = (typeof trustTargets)[number] | (typeof keyTargets)[number];

/** Where each of them goes. @throws UsageError where a file's path is a folder's */
export function outputsOf(options: TrustOptions): ReadonlyMap<TrustTarget, Output> {
  const outputs = new Map<TrustTarget, Output>();
  for (const target of [...trustTargets, ...keyTargets]) {
    const path = options[target];
    if (path === undefined) continue;
    const secret = target === 'key-pkcs12' || target === 'key-jks';
    const format = target === 'hash-dir' ? 'files' : 'raw';
    const { mode, owner } = options;
    const origin = `--${target}`;
    // As for certificate: whoever may change a key could put his own there.
    if (secret && mode !== undefined && (mode & 0o022) !== 0)
      throw new UsageError(
        `--mode: "${mode.toString(8).padStart(4, '0')}" lets others change the private key (${origin}); write 0400, 0440 or 0600, say`,
      );
    if (format === 'raw' && (path.endsWith('/') || resolve(path) === '/'))
      throw new UsageError(`${origin}: ${path} names a folder; name a file in it`);
    outputs.set(target, outputTo(path, { format, mode, owner, secret, origin }));
  }
  return outputs;
}

/**
 * What is written into a folder of what is read would be read by the next run, and stay trusted when it is gone from
 * where it came.
 * @throws UsageError
 */
export function refuseFeedback(read: readonly string[], outputs: ReadonlyMap<TrustTarget, Output>): void {
  const folders = new Map(read.filter(isFolder).map((path) => [identityOfFolder(path), path]));
  for (const { folder, name, origin } of outputs.values()) {
    const source = folders.get(identityOfFolder(folder));
    if (source === undefined) continue;
    throw new UsageError(
      `${origin}: ${name === undefined ? folder : `${folder}/${name}`} lies in ${source} (--add), and the next run would read it; write to another folder`,
    );
  }
}

/** The same on every run, and another one for another set of targets beside it. */
export function publicationOf(outputs: ReadonlyMap<TrustTarget, Output>): string {
  const paths = [...outputs.values()].map(({ folder, name }) => `${folder}/${name ?? ''}`);
  return `trust ${paths.join(' ')}`;
}

function isFolder(path: string): boolean {
  try {
    return inputKind(path) === 'folder';
  } catch {
    return false; // whoever reads it says why
  }
}
