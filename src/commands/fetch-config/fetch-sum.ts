import { fetchAll } from '../../clients/sources/fetch.ts';
import { readHttpSettings, readSourceTls } from '../../clients/sources/http-settings.ts';
import { openSources } from '../../clients/sources/open.ts';
import { parseSource, type SourceAddress } from '../../config/source.ts';
import type { Context } from '../../core/context.ts';
import { exitStatus } from '../../core/exit-status.ts';
import { Failure, failed, UsageError } from '../../core/outcome.ts';
import type { FetchOptions } from './options.ts';
import { sumFor } from './sum-list.ts';

/** The largest list of sums, in bytes. */
const largest = 4 << 20;

/**
 * The options with the sum itself, where `--sha256` names a list that has it. Credentials go to the list only where it is
 * at the source's own origin.
 * @throws Failure where the list cannot be read or has no one sum for the file, UsageError where it is no address
 */
export async function withSum(
  options: FetchOptions,
  [source, another]: readonly SourceAddress[],
  context: Context,
): Promise<FetchOptions> {
  const { sha256 } = options;
  if (sha256 === undefined || !sha256.includes(':')) return options;
  if (source === undefined || another !== undefined)
    throw new UsageError('--sha256 is the sum of one body: give one source');
  const list = parseList(sha256, context);
  const own = list.scheme === source.scheme && originOf(list) === originOf(source);
  const settings: FetchOptions = {
    ...options,
    'max-size': largest,
    ...(own
      ? {}
      : {
          'header-file': [],
          'header-env': [],
          user: undefined,
          'cert-file': undefined,
          'key-file': undefined,
        }),
  };
  const http = readHttpSettings(
    settings,
    { sha256: undefined, contentType: undefined, htmlExpected: false, decompress: false },
    context,
  );
  const tls = readSourceTls([list], settings, context);
  using sources = await openSources([list], { options: settings, http, tls, earlier: undefined }, context);
  const result = await fetchAll([list], sources, options.interval, context);
  if (result.kind === 'failed') throw new Failure(result);
  const content = result.found.get(list)?.content;
  const value = content?.kind === 'value' ? content.value : undefined;
  const text = value instanceof Uint8Array ? Buffer.from(value).toString() : '';
  try {
    return { ...options, sha256: sumFor(text, nameOf(source)) };
  } catch (error) {
    throw new Failure(failed(exitStatus.refused, `${list.text} ${(error as Error).message}`, {}));
  }
}

function parseList(text: string, { redactor }: Context): SourceAddress {
  try {
    return parseSource(text, (value) => redactor.secret(value));
  } catch (error) {
    throw new UsageError(`--sha256: ${(error as Error).message}`);
  }
}

function originOf({ scheme, path }: SourceAddress): string {
  return scheme === 'file' ? '' : new URL(`${scheme}:${path}`).origin;
}

/** The last part of its path, as a list has it. */
function nameOf({ scheme, path }: SourceAddress): string {
  const last = (scheme === 'file' ? path : path.replace(/\?.*$/s, '')).split('/').at(-1) ?? '';
  try {
    return scheme === 'file' ? last : decodeURIComponent(last);
  } catch {
    return last;
  }
}
