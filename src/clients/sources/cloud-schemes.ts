import type { SourceScheme } from '../../config/source.ts';

/** Sources that are read with one login to AWS. */
export const awsSchemes: readonly SourceScheme[] = ['aws-sm', 'aws-ssm', 's3'];

/** Those of one login to Google. */
export const googleSchemes: readonly SourceScheme[] = ['gcp-sm', 'gs'];

/** Those of one login to Azure. */
export const azureSchemes: readonly SourceScheme[] = ['azure-kv', 'azure-blob'];

/** Those whose servers `--ca-file` vouches for; those of AWS have AWS_CA_BUNDLE. */
export const verifiedSchemes: readonly SourceScheme[] = [...googleSchemes, ...azureSchemes];
