import { BrokenArchive } from '../archive/entry.ts';

/** What .gitmodules says of a submodule (gitmodules(5)). */
export interface Submodule {
  readonly url: string | undefined;
  /** `update = none`: Git itself leaves its folder empty. */
  readonly isLeftOut: boolean;
}

/** Sections and lines that are read. */
const most = 10_000;

/**
 * Reads a .gitmodules file (git-config(1), "CONFIGURATION FILE"). Names are nothing but names here: nothing is stored under them.
 * @returns the submodules by their paths
 * @throws BrokenArchive
 */
export function readGitmodules(text: string): ReadonlyMap<string, Submodule> {
  const sections = new Map<string, Map<string, string>>();
  let current: Map<string, string> | undefined;
  const lines = text
    .replace(/^\uFEFF/, '')
    .replaceAll('\r\n', '\n')
    .replaceAll('\\\n', '')
    .split('\n');
  if (lines.length > most) throw new BrokenArchive(`has a .gitmodules of more than ${most} lines`, false);
  for (const line of lines) {
    const [, section, name, rest = ''] =
      /^\s*\[\s*([A-Za-z0-9.-]+)(?:\s+"((?:[^"\\]|\\.)*)")?\s*\](.*)$/.exec(line) ?? [];
    if (section !== undefined) {
      current = undefined;
      if (section.toLowerCase() === 'submodule' && name !== undefined) {
        const plain = name.replaceAll(/\\(.)/g, '$1');
        current = sections.get(plain) ?? new Map<string, string>();
        sections.set(plain, current);
      }
      if (rest.trim() === '') continue;
    }
    const setting = section === undefined ? line : rest;
    const [, key, value] = /^\s*([A-Za-z][A-Za-z0-9-]*)\s*(?:=(.*))?$/.exec(setting) ?? [];
    if (key !== undefined) current?.set(key.toLowerCase(), valueOf(value ?? ''));
    else if (!/^\s*(?:[#;].*)?$/.test(setting))
      throw new BrokenArchive('has a .gitmodules with a line that cannot be read', false);
  }
  const found = new Map<string, Submodule>();
  for (const settings of sections.values()) {
    const path = settings.get('path')?.replace(/\/+$/, '');
    if (path === undefined) continue;
    found.set(path, { url: settings.get('url'), isLeftOut: settings.get('update') === 'none' });
  }
  return found;
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', b: '\b' };

/** Without quotes, comments and blanks around it. */
function valueOf(raw: string): string {
  let value = '';
  let kept = 0;
  let quoted = false;
  for (let at = 0; at < raw.length; at++) {
    const letter = raw[at] as string;
    if (letter === '"') {
      quoted = !quoted;
      kept = value.length;
    } else if (letter === '\\') {
      const next = raw[++at] ?? '';
      value += escapes[next] ?? next;
      kept = value.length;
    } else if (!quoted && (letter === '#' || letter === ';')) break;
    else if (quoted || !/\s/.test(letter)) {
      value += letter;
      kept = value.length;
    } else if (value !== '') value += letter;
  }
  return value.slice(0, kept);
}

/**
 * The address of a submodule as one of a source; a relative one is beside its repository's.
 * @param parent of the repository: what stands behind `//` with a user, and its scheme
 * @throws Error whose text follows `has the address`
 */
export function submoduleAddress(
  url: string,
  parent: { readonly scheme: string; readonly userinfo?: string; readonly path: string },
): string {
  if (/^\.\.?(?:\/|$)/.test(url)) return besideParent(url, parent);
  const [, scheme, rest] = /^(?:git\+)?(https?|ssh):(\/\/.*)$/is.exec(url) ?? [];
  if (scheme !== undefined) return `git+${scheme.toLowerCase()}:${rest}`;
  // As scp has it; a `-` in front would be an option of ssh.
  const [, place, path] = /^((?:[^-/:@][^/:@]*@)?[^-/:@][^/:@]*):(?!\/\/)(.+)$/s.exec(url) ?? [];
  if (place !== undefined && path !== undefined && (place.includes('@') || place.includes('.')))
    return `git+ssh://${place}/${path.replace(/^\/+/, '')}`;
  throw new Error('which is not one of https, http or ssh');
}

function besideParent(
  url: string,
  { scheme, userinfo, path }: { readonly scheme: string; readonly userinfo?: string; readonly path: string },
): string {
  const [, host = '', above = ''] = /^\/\/([^/]*)(.*?)\/*$/s.exec(path) ?? [];
  const segments = above.split('/').filter((segment) => segment !== '');
  const wanted = url.split('/').filter((segment) => segment !== '' && segment !== '.');
  for (const segment of wanted) {
    if (segment !== '..') segments.push(segment);
    else if (segments.pop() === undefined) throw new Error('which leads above its host');
  }
  return `${scheme}://${userinfo === undefined ? '' : `${userinfo}@`}${host}/${segments.join('/')}`;
}
