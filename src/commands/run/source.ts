import { whyNotUtf8 } from '../../core/byte-order-mark.ts';
import type { Context } from '../../core/context.ts';
import { UsageError } from '../../core/outcome.ts';
import { refuseUnexpanded } from '../../core/template-variables.ts';
import { openInput, whyUnread } from '../../fs/input-file.ts';
import { readToEnd } from '../../process/input.ts';

/** A plan as it was written, and where it came from, as messages name it. */
export interface PlanText {
  readonly text: string;
  readonly origin: string;
}

export const planVariable = 'INITBOX_PLAN';

/** What a ConfigMap holds at most (https://kubernetes.io/docs/concepts/configuration/configmap/). */
const longest = 1024 * 1024;

/**
 * Reads the plan from a file, from standard input (`-`), or from INITBOX_PLAN, which holds the plan or its path.
 * @throws UsageError
 */
export async function readPlanText(given: string | undefined, context: Context): Promise<PlanText> {
  if (given === '-') return fromStandardInput(context);
  if (given !== undefined) return fromFile(given, given, context);
  const variable = context.environment[planVariable]?.trim() ?? '';
  if (variable === '')
    throw new UsageError(
      `no plan was given; write for example: initbox run /etc/initbox/plan.yaml, or - for standard input, or set ${planVariable}`,
    );
  if (variable === '-') return fromStandardInput(context);
  // A plan is a map of keys: without a colon it is none.
  if (/^\.{0,2}\/\S*$/.test(variable) || !/[:\s]/.test(variable)) {
    refuseUnexpanded('path', variable, planVariable);
    return fromFile(variable, `${planVariable}: ${variable}`, context);
  }
  return { text: context.environment[planVariable] ?? '', origin: planVariable };
}

async function fromStandardInput(context: Context): Promise<PlanText> {
  const origin = 'standard input';
  let bytes: Buffer;
  try {
    bytes = await readToEnd(0, longest, context);
  } catch (error) {
    if (context.signal.aborted) throw error;
    throw new UsageError(`the plan on standard input cannot be read: ${(error as Error).message}`);
  }
  return { text: decode(bytes, origin), origin };
}

async function fromFile(path: string, origin: string, context: Context): Promise<PlanText> {
  try {
    using plan = openInput(path);
    if (plan.stat.isDirectory())
      throw new UsageError(
        `the plan ${origin} is a directory; give the file in it: ${path.replace(/\/$/, '')}/plan.yaml, say`,
      );
    return { text: decode(await readToEnd(plan.descriptor, longest, context), path), origin: path };
  } catch (error) {
    if (error instanceof UsageError || context.signal.aborted) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new UsageError(`there is no plan ${origin}; is its ConfigMap mounted there?`);
    throw new UsageError(`the plan ${origin} ${whyUnread(error)}`, { cause: error });
  }
}

function decode(bytes: Buffer, origin: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new UsageError(`the plan ${origin}: ${whyNotUtf8(bytes)}`);
  }
}
