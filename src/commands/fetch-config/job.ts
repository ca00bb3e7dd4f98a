import type { HttpSourceSettings } from '../../clients/http/source.ts';
import { isSecretSource } from '../../clients/sources/http-settings.ts';
import { fetchedFor, sharedReads, type Reads } from '../../clients/sources/reads.ts';
import { fieldsOfValue, registerValue } from '../../config/fields.ts';
import type { Content } from '../../config/formats/format.ts';
import { outputTo, type Output, type OutputContent } from '../../config/outputs.ts';
import { isBodySource, type Fetched, type FieldValue, type SourceAddress } from '../../config/source.ts';
import type { Context } from '../../core/context.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { Failure, failed, UsageError } from '../../core/outcome.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';
import { mergeParts, type MergeRule } from './merge.ts';
import type { FetchOptions } from './options.ts';
import { pickKeys, type KeyRule } from './pick.ts';

/** What one run fetches and where it goes. */
export interface FetchJob {
  /** Each read once. */
  readonly addresses: readonly SourceAddress[];
  readonly reads: Reads;
  readonly outputs: readonly Output[];
  /** What goes into each of them, in order. */
  readonly inputs: ReadonlyMap<Output | 'environment', Inputs>;
  /** Defined where the successor's environment is what is made. */
  readonly environment: true | undefined;
  /** Names the publication, the same on every run. */
  readonly set: string;
}

/** What one output is made of. */
export interface Inputs {
  readonly parts: readonly InputPart[];
  readonly merge: MergeRule;
}

export interface InputPart {
  readonly address: SourceAddress;
  /** What to take of it; undefined for everything as it is. */
  readonly keys?: readonly KeyRule[] | undefined;
  /** Take the keys that no rule names as well. */
  readonly others?: boolean;
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
  context: Pick<Context, 'redactor' | 'log'>,
): Promise<FetchJob> {
  if (options.spec !== undefined) {
    const { planSpec } = await import('./spec-job.ts');
    return planSpec(addresses, options, http, context);
  }
  checkWords(addresses, options, hasSuccessor);
  return jobOf(addresses, options, http);
}

/** @throws UsageError where the words and flags of a command line do not fit together */
export function checkWords(
  addresses: readonly SourceAddress[],
  options: FetchOptions,
  hasSuccessor: boolean,
): void {
  if (addresses.length === 0) {
    throw new UsageError(
      'no source was given; for example: initbox fetch-config vault:secret/api-server#config --to /config/app.conf',
    );
  }
  if (options.env && options.to !== undefined)
    throw new UsageError('--env and --to cannot be combined: fields go into the environment, or into a file');
  if (options.env && !hasSuccessor && !options['dry-run']) {
    throw new UsageError(
      '--env needs the command whose environment is meant: initbox fetch-config SOURCE --env -- ./server',
    );
  }
  if (options.env && (options.format !== 'raw' || options.mode !== undefined || options.owner !== undefined))
    throw new UsageError('--env writes no file: --format, --mode and --owner have no meaning with it');
  if (!options.env && options.to === undefined && !options['dry-run']) {
    throw new UsageError(
      'nothing says where to write: give --to PATH, or --env with a command after --, or --spec FILE',
    );
  }
  checkSum(addresses, options);
  checkDecompress(addresses, options);
  checkEtagFile(addresses, options);
}

/** @throws UsageError where words or flags stand beside a specification that says the same for each file */
export function checkBesideSpec(given: readonly SourceAddress[], options: FetchOptions): void {
  if (given.length > 0) throw new UsageError('--spec names the sources; none may be given beside it');
  for (const flag of [
    'to',
    'env',
    'sha256',
    'mode',
    'owner',
    'secret',
    'public',
    'optional',
    'decompress',
  ] as const) {
    if (options[flag] !== undefined && options[flag] !== false)
      throw new UsageError(`--${flag} cannot be combined with --spec, which sets it for each file`);
  }
  for (const [flag, usual] of [
    ['format', 'raw'],
    ['merge', 'error'],
  ] as const) {
    if (options[flag] !== usual)
      throw new UsageError(`--${flag} cannot be combined with --spec, which sets it for each file`);
  }
}

function jobOf(given: readonly SourceAddress[], options: FetchOptions, http: HttpSourceSettings): FetchJob {
  const addresses = options.optional ? given.map((address) => ({ ...address, optional: true })) : given;
  const secret = addresses.some((address) => isSecretSource(address, http));
  const { format, mode, owner, to } = options;
  const outputs = to === undefined ? [] : [outputTo(to, { format, mode, owner, secret, origin: '--to' })];
  const reads = sharedReads(addresses);
  const inputs: Inputs = { parts: addresses.map((address) => ({ address })), merge: options.merge };
  return {
    addresses: reads.addresses,
    reads,
    outputs,
    inputs: new Map(
      [...outputs, ...(options.env ? ['environment' as const] : [])].map((output) => [output, inputs]),
    ),
    environment: options.env ? true : undefined,
    set: `fetch-config ${to ?? ''}`,
  };
}

function checkSum(addresses: readonly SourceAddress[], { sha256 }: FetchOptions): void {
  if (sha256 === undefined) return;
  const [only, second] = addresses;
  if (second !== undefined)
    throw new UsageError(`--sha256 is the sum of one body, and ${addresses.length} sources are given`);
  if (only === undefined || !isBodySource(only))
    throw new UsageError('--sha256 is for http, https, s3, gs and azure-blob sources');
}

function checkDecompress(addresses: readonly SourceAddress[], { decompress }: FetchOptions): void {
  const other = addresses.find((address) => !isBodySource(address) && address.scheme !== 'file');
  if (decompress && (other !== undefined || addresses.length > 1))
    throw new UsageError(
      `--decompress takes one compressed file by https, http, s3, gs, azure-blob or file, ${other === undefined ? `and ${addresses.length} sources are given` : `not ${other.text}`}`,
    );
}

function checkEtagFile(addresses: readonly SourceAddress[], options: FetchOptions): void {
  if (options['etag-file'] === undefined) return;
  const [only, second] = addresses;
  const http = only?.scheme === 'http' || only?.scheme === 'https';
  if (second !== undefined || !http || only.field !== undefined || options.env || options.format !== 'raw')
    throw etagNeedsPlainBody();
}

/** For `--etag-file` beside anything but one body that is content and goes into one file as it is. */
export function etagNeedsPlainBody(): UsageError {
  return new UsageError(
    '--etag-file is for one http or https source without credentials that goes into one file as it is: what it keeps would tell about a secret',
  );
}

/**
 * What goes into one output.
 * @throws Failure where sources do not fit together or have no fields
 */
export function contentOf(
  job: FetchJob,
  output: Output | 'environment',
  found: ReadonlyMap<SourceAddress, Fetched>,
  redactor: Redactor,
): OutputContent {
  const format = output === 'environment' ? 'dotenv' : output.format;
  const inputs = job.inputs.get(output);
  if (inputs === undefined) throw new Error('an output without inputs');
  const named = format !== 'raw' || inputs.parts.length > 1;
  let secret = false;
  const parts = inputs.parts.map(({ address, keys, others }) => {
    const fetched = fetchedFor(address, job.reads, found);
    secret ||= fetched.secret;
    const whole = keys !== undefined || (named && address.field === undefined);
    const content = whole ? withFields(fetched.content, address, format) : fetched.content;
    if (keys === undefined || content.kind !== 'fields') {
      const picked = content.kind === 'value' && address.field !== undefined;
      return {
        source: address.text,
        name: address.field,
        content: picked ? { ...content, name: address.field } : content,
      };
    }
    const register = (value: FieldValue): void => registerValue(redactor, value);
    const fields = pickKeys(content.fields, keys, others ?? false, address.text, register);
    return { source: address.text, name: undefined, content: { kind: 'fields' as const, fields } };
  });
  const source = parts.map((part) => part.source).join(', ');
  return { content: mergeParts(parts, inputs.merge, format), secret, source };
}

/** A text that holds a JSON object, as its fields; other formats than raw are about fields. */
function withFields(content: Fetched['content'], address: SourceAddress, format: string): Content {
  if (content.kind === 'fields') return content;
  if (content.name !== undefined) return { kind: 'fields', fields: new Map([[content.name, content.value]]) };
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
