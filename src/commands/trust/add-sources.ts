import { parseSource, type SourceAddress } from '../../config/source.ts';
import { everyOne, UsageError } from '../../core/outcome.ts';
import type { Redactor } from '../../core/redaction/redactor.ts';

/** Whose answers are those of whoever they say. */
const schemes = /^(vault|aws-sm|gcp-sm|azure-kv|https?):/i;

/**
 * Those of --add that are read from servers, by their texts; all else is a path.
 * @throws UsageError where one is not an address, or nothing tells who answers
 */
export function sourcesAmong(
  added: readonly string[],
  redactor: Pick<Redactor, 'secret'>,
): ReadonlyMap<string, SourceAddress> {
  const texts = added.filter((text) => schemes.test(text));
  return new Map(
    everyOne(texts, (text) => {
      let address: SourceAddress;
      try {
        address = parseSource(text, (value) => void redactor.secret(value));
      } catch (error) {
        throw new UsageError(`--add: ${(error as Error).message}`, { cause: error });
      }
      if (address.scheme === 'http')
        throw new UsageError(
          `--add: ${address.text}: by plain http anybody in between could have his own certificates trusted; take https, or fetch it by fetch-config with --sha256`,
        );
      return [text, address] as const;
    }),
  );
}
