import type { CommandList } from '../core/command.ts';
import type { Environment } from '../core/context.ts';
import type { Options } from '../core/options/option.ts';
import { twinNames } from '../core/options/resolve-options.ts';
import { timeoutOption } from '../core/options/shared-options.ts';
import { didYouMean } from './command-names.ts';

/**
 * What Kubernetes puts into every pod of a namespace for a Service named `initbox` or `initbox-…`
 * (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
 */
const serviceLink =
  /^INITBOX_(.*_)?(PORT|SERVICE_HOST|SERVICE_PORT)$|_SERVICE_PORT_|_PORT_\d+_(TCP|UDP|SCTP)/;

const prefix = 'INITBOX_';

/** Without what all of them have, which would make any two look alike. */
function bare(name: string): string {
  return name.slice(prefix.length);
}

/** Set by initbox itself for the commands that it runs, or read by one command as its input. */
const ours: ReadonlySet<string> = new Set([
  'INITBOX_EXEC_TRY',
  'INITBOX_LOCK_RUN',
  'INITBOX_LOCK_TOKEN',
  'INITBOX_PLAN',
]);

/** A warning for each INITBOX_ variable that no command knows: most are misspelt. */
export async function unknownVariables(
  environment: Environment,
  options: Options,
  commands: CommandList,
): Promise<string[]> {
  const own = new Set(twinNames(options));
  const strangers = Object.keys(environment).filter(
    (name) => name.startsWith(prefix) && !own.has(name) && !ours.has(name) && !serviceLink.test(name),
  );
  if (strangers.length === 0) return [];
  // Only now are the other commands loaded: a variable may be meant for another container of the same template.
  const all = await Promise.all(Object.values(commands).map((load) => load()));
  const known = new Set([
    ...own,
    ...all.flatMap((command) => twinNames({ ...command.options, timeout: timeoutOption(undefined) })),
  ]);
  return Promise.all(
    strangers
      .filter((name) => !known.has(name))
      .map(
        async (name) =>
          `the variable ${name} is unknown and has no effect${await didYouMean(bare(name), [...known].map(bare), prefix)}`,
      ),
  );
}
