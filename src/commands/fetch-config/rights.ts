import type { SourceAddress } from '../../config/source.ts';
import type { ClusterRights } from '../../core/cluster-rights.ts';
import type { Input } from '../../core/command.ts';
import type { Context } from '../../core/context.ts';
import { printed, UsageError, type Outcome } from '../../core/outcome.ts';
import type { fetchOptions, FetchOptions } from './options.ts';

/** What the sources need of the cluster's API server. @throws UsageError */
export async function rightsOfFetchConfig(
  {
    options,
    positionals: given,
  }: Pick<Input<typeof fetchOptions, readonly SourceAddress[]>, 'options' | 'positionals'>,
  context: Context,
): Promise<readonly ClusterRights[]> {
  const { rightsOfSources } = await import('../../clients/sources/cluster-sources.ts');
  const needed = await rightsOfSources(await allSources(given, options, context), options, context);
  return needed === undefined ? [] : [needed];
}

async function allSources(
  given: readonly SourceAddress[],
  { spec }: FetchOptions,
  { redactor }: Context,
): Promise<readonly SourceAddress[]> {
  if (spec === undefined) return given;
  const { readSpec } = await import('./spec.ts');
  const { files } = await readSpec(spec, (value) => void redactor.secret(value), redactor);
  return files.flatMap(({ parts }) => parts.map(({ address }) => address));
}

/** Prints the Roles in place of fetching. @throws UsageError */
export async function printRolesOfSources(
  given: readonly SourceAddress[],
  options: FetchOptions,
  context: Context,
): Promise<Outcome> {
  const needed = await rightsOfFetchConfig({ options, positionals: given }, context);
  if (needed.length === 0)
    throw new UsageError('--print-role is for sources kubernetes:KIND/NAME, and there is none');
  const { rolesFor } = await import('../../clients/kubernetes/role.ts');
  context.stdout(rolesFor(needed, options.account));
  return printed('printed the Roles');
}
