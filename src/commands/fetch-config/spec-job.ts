import { isAbsolute, join, relative, resolve } from 'node:path';

import type { HttpSourceSettings } from '../../clients/http/source.ts';
import { isSecretSource } from '../../clients/sources/http-settings.ts';
import { sharedReads } from '../../clients/sources/reads.ts';
import { outputTo, type Output } from '../../config/outputs.ts';
import type { SourceAddress } from '../../config/source.ts';
import type { Context } from '../../core/context.ts';
import { quoted } from '../../core/misplaced-secret.ts';
import { UsageError } from '../../core/outcome.ts';
import { checkBesideSpec, type FetchJob, type Inputs } from './job.ts';
import type { FetchOptions } from './options.ts';
import { readSpec, type SpecFile } from './spec.ts';

/**
 * Puts together what a specification asks for.
 * @throws UsageError where it is wrong, with line and column, or where a flag does not go with it
 */
export async function planSpec(
  given: readonly SourceAddress[],
  options: FetchOptions,
  http: HttpSourceSettings,
  { redactor, log }: Pick<Context, 'redactor' | 'log'>,
): Promise<FetchJob> {
  const file = options.spec ?? '';
  checkBesideSpec(given, options);
  const spec = await readSpec(
    file,
    (value, origin) => {
      redactor.secret(value);
      log.warn(`${origin}: a secret stands in the specification; a header from a file would not show it`);
    },
    redactor,
  );
  const base = spec.to === undefined ? undefined : resolve(spec.to);
  const outputs = new Map<Output, Inputs>();
  for (const entry of spec.files) {
    const secret = entry.parts.some(({ address }) => isSecretSource(address, http));
    outputs.set(outputOf(entry, base, secret), { parts: entry.parts, merge: entry.merge });
  }
  const reads = sharedReads(spec.files.flatMap(({ parts }) => parts.map(({ address }) => address)));
  return {
    addresses: reads.addresses,
    reads,
    outputs: [...outputs.keys()],
    inputs: outputs,
    environment: undefined,
    set: `fetch-config --spec ${file}`,
  };
}

/** Relative paths lie below `to`, and so do absolute ones that are in it: they appear together. */
function outputOf(
  { path, format, mode, owner, origin }: SpecFile,
  base: string | undefined,
  secret: boolean,
): Output {
  const rest = { format, mode, owner, secret, origin };
  const whole = isAbsolute(path) ? path : join(base ?? '', path);
  const inside = base === undefined ? '' : relative(base, whole);
  if (!isAbsolute(path) && (inside.startsWith('..') || path.split('/').includes('..'))) {
    throw new UsageError(`${origin}: the path ${quoted(path)} leaves "to" by ".."`);
  }
  const output = outputTo(whole + (path.endsWith('/') ? '/' : ''), rest);
  if (base === undefined || inside === '' || inside.startsWith('..')) return output;
  return { ...output, folder: base, ...(output.name === undefined ? { below: inside } : { name: inside }) };
}
