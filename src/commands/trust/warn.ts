import type { Context } from '../../core/context.ts';

/** Whoever fills a folder with other things does not fill the log. */
const mostWarnings = 20;

/** Warns of each, up to some. */
export function warnOf(warnings: readonly string[], { log }: Pick<Context, 'log'>): void {
  for (const warning of warnings.slice(0, mostWarnings)) log.warn(warning);
  if (warnings.length > mostWarnings) log.warn(`and ${warnings.length - mostWarnings} more like these`);
}
