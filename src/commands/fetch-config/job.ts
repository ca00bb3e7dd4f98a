import type { HttpSourceSettings } from '../../clients/http/source.ts';
import type { Context } from '../../kernel/context.ts';
import { exitStatus } from '../../kernel/exit-status.ts';
import { fieldsOfValue } from '../../kernel/fields.ts';
import type { Content } from '../../kernel/formats/format.ts';
import { Failure, failed, UsageError } from '../../kernel/outcome.ts';
import type { Fetched, SourceAddress } from '../../kernel/source.ts';
import { isSecretSource } from './http-settings.ts';
import { mergeParts, type MergeRule } from './merge.ts';
import type { FetchOptions } from './options.ts';
import { outputTo, type Output, type OutputContent } from './output.ts';

/** What one run fetches and where it goes. */
export interface Job {
  /** Each source once. */
  readonly addresses: readonly SourceAddress[];
  readonly outputs: readonly Output[];
  /** Defined where the successor's environment is what is made. */
  readonly environment: true | undefined;
  /** Names the publication, the same on every run. */
  readonly set: string;
  readonly merge: MergeRule;
}

/**
 * Puts the words and flags of a command line together.
 * @throws UsageError where they do not fit
 */
export async function planJob(
  addresses: readonly SourceAddress[],
  options: FetchOptions,
  http: HttpSourceSettings,
  hasSuccessor: boolean,
  _context: Context,
): Promise<Job> {
  if (addresses.length === 0) {
    throw new UsageError(
      'no source was given; for example: initbox fetch-config vault:secret/api-server#config --to /config/app.conf',
    );
  }
  if (options.env && options.to !== undefined)
    throw new UsageError('--env and --to exclude each other: fields go into the environment, or into a file');
  if (options.env && !hasSuccessor && !options['dry-run']) {
    throw new UsageError(
      '--env needs the command whose environment is meant: initbox fetch-config SOURCE --env -- ./server',
    );
  }
  if (!options.env && options.to === undefined && !options['dry-run']) {
    throw new UsageError(
      'nothing says where to write: give --to PATH, or --env with a command after --, or --spec FILE',
    );
  }
  checkSum(addresses, options);
  const secret = addresses.some((address) => isSecretSource(address, http));
  const outputs =
    options.to === undefined
      ? []
      : [
          outputTo(options.to, {
            format: options.format,
            mode: options.mode,
            owner: options.owner,
            secret,
            origin: '--to',
          }),
        ];
  return {
    addresses,
    outputs,
    environment: options.env ? true : undefined,
    set: `fetch-config ${options.to ?? ''}`,
    merge: options.merge,
  };
}

function checkSum(addresses: readonly SourceAddress[], { sha256 }: FetchOptions): void {
  if (sha256 === undefined) return;
  const [only, second] = addresses;
  if (second !== undefined)
    throw new UsageError(`--sha256 is the sum of one body, and ${addresses.length} sources are given`);
  if (only?.scheme !== 'http' && only?.scheme !== 'https')
    throw new UsageError('--sha256 is for http and https sources');
}

/**
 * What goes into one output.
 * @throws Failure where sources do not fit together or have no fields
 */
export function contentOf(
  job: Job,
  output: Output | 'environment',
  found: ReadonlyMap<SourceAddress, Fetched>,
): OutputContent {
  const format = output === 'environment' ? 'dotenv' : output.format;
  const named = format !== 'raw' || job.addresses.length > 1;
  const parts = job.addresses.map((address) => {
    const fetched = found.get(address);
    if (fetched === undefined) throw new Error(`${address.text} was not read`);
    const content =
      named && address.field === undefined ? withFields(fetched.content, address, format) : fetched.content;
    return { source: address.text, name: address.field, content };
  });
  return {
    content: mergeParts(parts, job.merge, format),
    secret: job.addresses.some((address) => found.get(address)?.secret ?? true),
  };
}

/** A text that holds a JSON object, as its fields; other formats than raw are about fields. */
function withFields(content: Fetched['content'], address: SourceAddress, format: string): Content {
  if (content.kind === 'fields') return content;
  try {
    return { kind: 'fields', fields: fieldsOfValue(content.value) };
  } catch (error) {
    throw new Failure(
      failed(
        exitStatus.refused,
        `${address.text} has no fields to write as ${format}: ${(error as Error).message}`,
        {
          hint: 'a JSON object has fields; --format raw writes what is there as it is',
        },
      ),
    );
  }
}
