import { attributesOfLibc } from '../process/libc.ts';
import { refused } from './error-message.ts';

/** Under these names the kernel keeps access control lists (acl(5)): one of the entry, and one for what is made in it. */
const names = ['system.posix_acl_access', 'system.posix_acl_default'] as const;

/** XATTR_LIST_MAX: no list of names is longer, in bytes. */
const longest = 1 << 16;

let list: Buffer | undefined;

/**
 * Takes the access control list away that something new got from its folder: whoever owns that folder could else read a
 * secret of mode 0440, or write to a program of mode 0775, since the mode of the group is only the most that such a list
 * may give. To be called before anything is in it; what is made in a folder without one gets none.
 * @param descriptor what was made just now, open
 * @param shown for people
 * @throws Failure where the list stays
 */
export function dropInheritedAcl(descriptor: number, shown: string): void {
  const calls = attributesOfLibc();
  if (calls === undefined) return;
  const found = (): readonly string[] => {
    if (calls.flistxattr(descriptor, (list ??= Buffer.alloc(longest)), 0) <= 0) return [];
    const length = calls.flistxattr(descriptor, list, longest);
    const all = list.toString('latin1', 0, Math.max(0, length)).split('\0');
    return names.filter((name) => all.includes(name));
  };
  const inherited = found();
  if (inherited.length === 0) return;
  for (const name of inherited) calls.fremovexattr(descriptor, Buffer.from(`${name}\0`));
  if (found().length > 0)
    throw refused(
      `cannot write ${shown}: it gets an access control list from its folder, which cannot be removed`,
      'remove the folder’s list for new files (setfacl -k), or use another folder',
    );
}
