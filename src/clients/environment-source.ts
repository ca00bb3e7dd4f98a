import { pickField, registerContent } from '../config/fields.ts';
import type { FieldValue, ReadSource, SourceAddress } from '../config/source.ts';
import type { Environment } from '../core/context.ts';
import { exitStatus } from '../core/exit-status.ts';
import { UsageError } from '../core/outcome.ts';
import type { Redactor } from '../core/redaction/redactor.ts';
import { nonexistent } from '../wait/attempt.ts';

/** Reads `env:NAME`, one field of that name, or `env:APP_*`, all variables that start so. */
export function environmentReader(
  address: SourceAddress,
  { environment, redactor }: { readonly environment: Environment; readonly redactor: Redactor },
  saidSecret: boolean | undefined,
): ReadSource {
  const secret = address.public ? false : (saidSecret ?? true);
  return async () => {
    const fields = matching(address, environment);
    if (fields.size === 0) return nonexistent(exitStatus.usage, unset(address), whereVariablesAre);
    if (secret) registerContent(redactor, { kind: 'fields', fields });
    const content = pickField(fields, address.field);
    if ('state' in content) return content;
    return { state: 'fetched', fetched: { content, secret, provenance: { source: address.text } } };
  };
}

/**
 * The variables that an address names.
 * @throws UsageError where there is none
 */
export function variablesAt(address: SourceAddress, environment: Environment): Map<string, FieldValue> {
  const fields = matching(address, environment);
  if (fields.size === 0) throw new UsageError(`${address.text} ${unset(address)}; ${whereVariablesAre}`);
  return fields;
}

const whereVariablesAre = 'look at env and envFrom of this container';

function unset({ path }: SourceAddress): string {
  return path.endsWith('*') ? 'matches no variable' : 'is not set';
}

function matching(address: SourceAddress, environment: Environment): Map<string, FieldValue> {
  const wild = address.path.endsWith('*');
  const start = address.path.slice(0, -1);
  const fields = new Map<string, FieldValue>();
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && (wild ? name.startsWith(start) : name === address.path))
      fields.set(name, value);
  }
  return fields;
}
