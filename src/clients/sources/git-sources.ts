import { parseRevision, type ReadSource, type SourceAddress } from '../../config/source.ts';
import type { Context } from '../../core/context.ts';
import { createResolver } from '../dns/resolver.ts';
import { GitHttpSession } from '../git/http-session.ts';
import { gitReader } from '../git/source.ts';
import type { HttpClient } from '../http/transport.ts';
import { isSecretSource } from './http-settings.ts';
import type { SourceSettings } from './open.ts';

/** Prepares what reads repositories. @throws UsageError where the host of one is not known, as it is asked for */
export async function openGit(
  { http, taking, ssh }: SourceSettings,
  web: HttpClient | undefined,
  context: Context,
): Promise<(address: SourceAddress) => ReadSource> {
  const { redactor, clock } = context;
  const overSsh =
    ssh === undefined
      ? undefined
      : {
          ...(await import('../git/ssh-session.ts')),
          ...(await import('../git/ssh-settings.ts')),
          context: { resolve: createResolver(context), clock, redact: redactor.redact },
        };
  return (address) => {
    if (taking === undefined) throw new Error(`nothing takes ${address.text}`);
    const { most, mostOrigin } = taking;
    const settings = {
      revision: parseRevision(address.field),
      taking,
      redactor,
      secret: isSecretSource(address, http),
    };
    if (address.scheme !== 'git+ssh')
      return gitReader(
        address,
        settings,
        async (probe) => new GitHttpSession(address, { http, client: web!, most, mostOrigin }, probe),
      );
    const { openGitOverSsh, sshPlaceOf, context: around } = overSsh!;
    const place = sshPlaceOf(address, ssh!);
    return gitReader(address, settings, (probe) =>
      openGitOverSsh(address, { place, maxSize: http.maxSize, most, mostOrigin }, around, probe),
    );
  };
}
