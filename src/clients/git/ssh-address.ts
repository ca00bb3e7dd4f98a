import type { SourceAddress } from '../../config/source.ts';
import { portIn, splitHostPort } from '../../core/host-port.ts';
import { UsageError } from '../../core/outcome.ts';
import { percentDecoded } from '../../core/userinfo.ts';

const usualPort = 22;

/** @throws UsageError where the port is none, or the path has what no shell takes */
export function sshEndpoint({ path, text }: Pick<SourceAddress, 'path' | 'text'>): {
  readonly host: string;
  readonly port: number;
} {
  const [, authority = ''] = /^\/\/([^/]*)/.exec(path) ?? [];
  const { host, port } = splitHostPort(authority) ?? { host: '', port: undefined };
  const number = port === undefined ? usualPort : portIn(port);
  if (host === '' || number === undefined)
    throw new UsageError(
      `${text}: the host is not HOST or HOST:PORT; write git+ssh://git@HOST/acme/site, not git@HOST:acme/site`,
    );
  // oxlint-disable-next-line no-control-regex -- these are what it is about
  if (/[\u0000-\u001f\u007f]/.test(percentDecoded(path).toString('latin1')))
    throw new UsageError(`${text}: has a control character in its path`);
  return { host, port: number };
}

/** @throws UsageError where there is none */
export function sshUser({ userinfo, text }: Pick<SourceAddress, 'userinfo' | 'text'>): string {
  if (userinfo?.includes(':') === true)
    throw new UsageError(`${text}: a password cannot be used over SSH; a key is given by --ssh-key-file`);
  const user = userinfo === undefined ? '' : percentDecoded(userinfo).toString('utf8');
  if (user === '')
    throw new UsageError(`${text}: names no user; write git+ssh://git@…, or the user that the server has`);
  return user;
}
