import type { Fetched, SourceAddress } from './source.ts';

/** A list as templates and formats hold it; joined to one text where the address says by what. */
export function textList(list: readonly string[], { options }: SourceAddress): readonly string[] | string {
  const separator = options.get('join');
  return separator === undefined ? list : list.join(separator.replaceAll(String.raw`\n`, '\n'));
}

/** What anybody in the pod could have found out. */
export function openAnswer(
  content: Fetched['content'],
  address: SourceAddress,
  saidSecret: boolean | undefined,
): { readonly state: 'fetched'; readonly fetched: Fetched } {
  const secret = address.public ? false : (saidSecret ?? false);
  return { state: 'fetched', fetched: { content, secret, provenance: { source: address.text } } };
}
