import { BrokenArchive } from '../../../clients/archive/entry.ts';
import { submoduleAddress } from '../../../clients/git/gitmodules.ts';
import type { SshSettings } from '../../../clients/git/ssh-settings.ts';
import type { FoundSubmodule } from '../../../clients/git/walk.ts';
import type { HttpSourceSettings } from '../../../clients/http/source.ts';
import { isSecretSource } from '../../../clients/sources/http-settings.ts';
import { parseSource, type SourceAddress } from '../../../config/source.ts';
import type { Context } from '../../../core/context.ts';
import { excerpt } from '../../../core/excerpt.ts';
import { UsageError } from '../../../core/outcome.ts';
import type { FetchOptions } from '../options.ts';

/** A repository, and what is sent to its host. */
export interface GitPlace {
  readonly address: SourceAddress;
  readonly http: HttpSourceSettings;
}

/** How many repositories may lie in each other, and how many submodules there may be in all. */
const deepest = 10;
export const submodulesAtMost = 500;

interface Allowed {
  readonly options: FetchOptions;
  /** Given where SSH can be used. */
  readonly ssh: SshSettings | undefined;
}

/**
 * Where a submodule is, at the commit that its repository has written down.
 * @param depth in how many repositories it lies
 * @throws BrokenArchive where it is not fetched
 */
export async function submoduleSource(
  { name, commit, url }: FoundSubmodule,
  parent: GitPlace,
  depth: number,
  { options, ssh }: Allowed,
  { redactor }: Pick<Context, 'redactor'>,
): Promise<GitPlace> {
  const what = `the submodule ${JSON.stringify(Buffer.from(name, 'latin1').toString())}`;
  const refuse = (why: string): never => {
    throw new BrokenArchive(`has ${what}, ${why}`, false);
  };
  if (depth > deepest) refuse(`which lies in more than ${deepest} repositories`);
  let address: SourceAddress | undefined;
  try {
    const text = `${submoduleAddress(url, parent.address)}#${commit}`;
    address = parseSource(text, (value) => void (isHidden(value) && redactor.secret(value)));
  } catch (error) {
    const shown = JSON.stringify(excerpt(url.replace(/\/\/[^/]*@/, '//'), 100, redactor.redact));
    return refuse(`with the address ${shown}: ${excerpt((error as Error).message, 200, redactor.redact)}`);
  }
  const [own, above] = [placeOf(address), placeOf(parent.address)];
  // The keys of its host tell who answers by SSH, whatever the port of the web server beside it.
  const isNear =
    own.origin === above.origin || (own.isSsh !== above.isSsh && own.host === above.host && own.isUsualPort);
  if (!isNear && !options['cross-origin'])
    refuse(`which is at another origin (${own.shown}); --cross-origin allows that, without the credentials`);
  if (address.scheme === 'git+http' && parent.address.scheme !== 'git+http')
    refuse('which is to come by plain http, while its repository does not');
  if (address.scheme === 'git+ssh') {
    if (ssh === undefined)
      return refuse('which is reached by SSH; give --ssh-key-file and --known-hosts-file');
    try {
      (await import('../../../clients/git/ssh-settings.ts')).sshPlaceOf(address, ssh);
    } catch (error) {
      if (error instanceof UsageError) refuse(`which is reached by SSH; ${error.message}`);
      throw error;
    }
  }
  const isSame = own.origin === above.origin;
  const { 'cert-file': certificate } = options;
  if (!isSame && certificate !== undefined && address.scheme !== 'git+ssh')
    refuse('which is at another place than its repository, to which --cert-file must not be shown');
  const http = isSame ? parent.http : { ...parent.http, headers: {}, identified: false };
  const isSecret = isSecretSource(address, http) && !isSecretSource(parent.address, parent.http);
  if (isSecret && !options['allow-disk'])
    refuse(
      'which is a secret, as it is fetched with credentials, while its repository is not; --secret says so of all of it, and --public that nothing is',
    );
  return { address, http };
}

/** A password that stands in a public file is hidden where it does not eat ports and words of the log. */
const shortestHidden = 8;

function isHidden(value: string): boolean {
  return value.length >= shortestHidden && !/^\d+$/.test(value);
}

interface Place {
  readonly host: string;
  /** Scheme, host and port. */
  readonly origin: string;
  readonly shown: string;
  readonly isSsh: boolean;
  readonly isUsualPort: boolean;
}

function placeOf({ scheme, path }: SourceAddress): Place {
  const [, authority = ''] = /^\/\/([^/]*)/.exec(path) ?? [];
  const isSsh = scheme === 'git+ssh';
  // As of http, a port is kept that is none of http's.
  const { hostname, host, port } = new URL(`${scheme === 'git+https' ? 'https' : 'http'}://${authority}`);
  const isUsualPort = isSsh ? port === '22' || !/:\d+$/.test(authority) : port === '';
  const origin = `${scheme}://${isSsh && isUsualPort ? hostname : host}`;
  return { host: hostname, origin, shown: origin.replace(/^git\+/, ''), isSsh, isUsualPort };
}
