import type { SourceAddress } from '../../config/source.ts';
import { basicAuthorization, percentDecoded } from '../../core/userinfo.ts';
import { hasAuthorization } from './headers.ts';
import type { Netrc } from './netrc.ts';
import { sourceUrl } from './source-urls.ts';

/**
 * The Authorization header that is sent to a source alone: of the user and password in its URL, or of a netrc file. Those
 * of all sources come first before the file.
 */
export function ownAuthorization(
  address: SourceAddress,
  {
    netrc,
    headers,
  }: { readonly netrc: Netrc | undefined; readonly headers: Readonly<Record<string, string>> },
): string | undefined {
  const { userinfo } = address;
  const login = userinfo === undefined ? undefined : percentDecoded(userinfo).toString();
  const found = hasAuthorization(headers) ? undefined : netrc?.authorization(sourceUrl(address), login);
  return found ?? (userinfo === undefined ? undefined : basicAuthorization(userinfo));
}
