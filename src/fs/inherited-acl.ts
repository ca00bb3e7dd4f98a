import { listAttributesBeside } from '../process/attribute-threads.ts';
import { attributesOfLibc } from '../process/libc.ts';
import { refused } from './error-message.ts';

/** Under these names the kernel keeps access control lists (acl(5)): one of the entry, and one for what is made in it. */
const names = ['system.posix_acl_access', 'system.posix_acl_default'] as const;

/** XATTR_LIST_MAX: no list of names is longer, in bytes. */
const longest = 1 << 16;

let list: Buffer | undefined;

/** The access control lists among the attributes that a call lists: their length alone first, as that costs least. */
function listsBy(call: (into: Buffer, size: number) => number): readonly string[] {
  if (call((list ??= Buffer.alloc(longest)), 0) <= 0) return [];
  const length = call(list, longest);
  return listsAmong(list.toString('latin1', 0, Math.max(0, length)));
}

/** @param attributes names, each with a NUL at its end */
function listsAmong(attributes: string): readonly string[] {
  const all = attributes.split('\0');
  return names.filter((name) => all.includes(name));
}

/**
 * Whether somebody may do more with an open file than its mode tells: what a list gives him, nothing else shows. A file
 * that is right in all else is written anew then.
 */
export function hasAcl(descriptor: number): boolean {
  const flistxattr = attributesOfLibc('flistxattr');
  return flistxattr !== undefined && listsBy((into, size) => flistxattr(descriptor, into, size)).length > 0;
}

/** The same of an entry, without opening it. A link is not followed, and has no list. */
export function hasAclAt(path: string | Buffer): boolean {
  const llistxattr = attributesOfLibc('llistxattr');
  if (llistxattr === undefined) return false;
  const bytes = Buffer.from(`${latin1Of(path)}\0`, 'latin1');
  return listsBy((into, size) => llistxattr(bytes, into, size)).length > 0;
}

/** The same of either, by a thread of its own, side by side with others. */
export async function hasAclBeside(entry: number | string | Buffer): Promise<boolean> {
  const attributes = await listAttributesBeside(typeof entry === 'number' ? entry : latin1Of(entry));
  if (attributes !== undefined) return listsAmong(attributes).length > 0;
  return typeof entry === 'number' ? hasAcl(entry) : hasAclAt(entry);
}

function latin1Of(path: string | Buffer): string {
  return typeof path === 'string' ? path : path.toString('latin1');
}

/**
 * Takes the access control list away that something new got from its folder: whoever owns that folder could else read a
 * secret of mode 0440, or write to a program of mode 0775, since the mode of the group is only the most that such a list
 * may give. To be called before anything is in it; what is made in a folder without one gets none.
 * @param descriptor what was made just now, open
 * @param shown for people
 * @throws Failure where the list stays
 */
export function dropInheritedAcl(descriptor: number, shown: string): void {
  const flistxattr = attributesOfLibc('flistxattr');
  if (flistxattr === undefined) return;
  const found = () => listsBy((into, size) => flistxattr(descriptor, into, size));
  const inherited = found();
  if (inherited.length === 0) return;
  const fremovexattr = attributesOfLibc('fremovexattr');
  for (const name of inherited) fremovexattr?.(descriptor, Buffer.from(`${name}\0`));
  if (found().length > 0)
    throw refused(
      `cannot write ${shown}: it gets an access control list from its folder, which cannot be removed`,
      'remove the folder’s list for new files (setfacl -k), or use another folder',
    );
}
