import type { SourceAddress } from '../../config/source.ts';
import type { Context } from '../../core/context.ts';
import { UsageError } from '../../core/outcome.ts';
import { checkRequests } from '../http/options.ts';
import { readProxies } from '../http/proxy.ts';
import { webUrls } from '../http/source-urls.ts';
import { azureOptionsOf } from './azure-options.ts';
import { awsSchemes, azureSchemes, googleSchemes } from './cloud-schemes.ts';
import { checkOneOrigin, reservedHeaders } from './http-settings.ts';
import type { SourceOptions } from './options.ts';
import { vaultSources } from './vault-sources.ts';

type Around = Pick<Context, 'environment' | 'redactor' | 'paths'>;

/**
 * Checks how sources are reached, as far as it can be told without a file or a server.
 * @throws UsageError with every mistake, as openSources does for each
 */
export async function checkSources(
  addresses: readonly SourceAddress[],
  options: SourceOptions,
  around: Around,
): Promise<void> {
  const { environment } = around;
  const wrong: string[] = [];
  const look = (check: () => void): void => {
    try {
      check();
    } catch (error) {
      if (!(error instanceof UsageError)) throw error;
      wrong.push(...error.lines);
    }
  };
  const of = (...schemes: readonly SourceAddress['scheme'][]) =>
    addresses.filter(({ scheme }) => schemes.includes(scheme));
  look(() => {
    const headers = checkRequests(options, reservedHeaders, around);
    checkOneOrigin(addresses, { headers, identified: options['cert-file'] !== undefined });
  });
  const aws = of(...awsSchemes);
  const google = of(...googleSchemes);
  const azure = of(...azureSchemes);
  if (
    of('http', 'https', 'git+http', 'git+https', 'vault').length + aws.length + google.length + azure.length >
    0
  )
    look(() => void readProxies(around, webUrls(addresses)));
  if (of('vault').length > 0) {
    const { checkVaultSettings } = await import('../vault/settings.ts');
    look(() => checkVaultSettings(vaultSources(options, around)));
  }
  if (aws.length > 0) {
    const { checkAwsVariables } = await import('../aws/variables.ts');
    look(() => checkAwsVariables(aws, environment));
  }
  if (google.length > 0) {
    const { checkGoogleVariables } = await import('../google/variables.ts');
    look(() => checkGoogleVariables(environment));
  }
  if (azure.length > 0) {
    const { checkAzure } = await import('../azure/settings.ts');
    look(() => checkAzure(azure, azureOptionsOf(options), environment));
  }
  if (of('env').length > 0) {
    const { variablesAt } = await import('../environment-source.ts');
    for (const address of of('env')) look(() => void variablesAt(address, environment));
  }
  if (of('ordinal').length > 0) {
    const { ordinalAt } = await import('../pod-sources.ts');
    for (const address of of('ordinal')) look(() => void ordinalAt(address, environment));
  }
  if (wrong.length > 0) throw new UsageError([...new Set(wrong)]);
}
