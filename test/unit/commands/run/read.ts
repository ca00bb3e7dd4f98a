import { commands } from '../../../../src/commands/index.ts';
import { readPlan, type Plan } from '../../../../src/commands/run/plan.ts';
import { podPaths } from '../../../../src/core/context.ts';
import { UsageError } from '../../../../src/core/outcome.ts';
import { createRedactor } from '../../../../src/core/redaction/redactor.ts';
import { systemHost } from '../../../../src/process/host.ts';

interface Surroundings {
  readonly environment?: Readonly<Record<string, string>>;
  readonly uid?: number;
}

/** What the steps of most plans find. */
export const usual = { DATABASE_URL: 'postgres://app@db/app', VAULT_ADDR: 'https://vault:8200' };

/** Reads a plan as `plan.yaml`. */
export function read(text: string, { environment = usual, uid = 0 }: Surroundings = {}): Promise<Plan> {
  return readPlan(
    { text, origin: 'plan.yaml' },
    {
      commands,
      environment,
      redactor: createRedactor(),
      host: { ...systemHost, uid },
      paths: podPaths,
      signal: new AbortController().signal,
    },
  );
}

/** What is said against a plan; fails where nothing is. */
export async function mistakesOf(text: string, surroundings: Surroundings = {}): Promise<string[]> {
  try {
    await read(text, surroundings);
  } catch (error) {
    if (error instanceof UsageError) return error.message.split('\n').map((line) => line.trim());
    throw error;
  }
  throw new Error('the plan was taken');
}
