import type { Mount } from '../../fs/directory/mounts.ts';
import type { Capability } from '../../process/capabilities.ts';

/** File systems that keep no owner per file; mount options say who owns everything. */
const ownerless = /^(vfat|msdos|exfat|ntfs|ntfs3|fuseblk|hfs|hfsplus|iso9660|udf|cifs|smb3|9p)$/;

const needs = 'run it as runAsUser: 0 with capabilities: {drop: [ALL], add: [CHOWN, FOWNER, DAC_OVERRIDE]}';

/** What stands behind an error code here, in a sentence for whoever reads the pod's description. */
export function explainChownError(
  code: string,
  mount: Mount | undefined,
  has: ((capability: Capability) => boolean) | undefined,
): string | undefined {
  const where = mount === undefined ? 'this file system' : `the ${mount.type} mount at ${mount.point}`;
  switch (code) {
    case 'EPERM':
      if (has?.('CHOWN') === false) return `CAP_CHOWN is missing: ${needs}`;
      if (mount !== undefined && ownerless.test(mount.type))
        return `${where} stores no owner per file; its mount options uid=, gid= and umask= set it (mountOptions of the PersistentVolume)`;
      if (mount?.type.startsWith('nfs'))
        return `${where} refuses root: the export squashes it (root_squash); set the owner on the server, or export with no_root_squash`;
      if (mount?.type.startsWith('fuse'))
        return `${where} is a FUSE file system that refuses other owners; see its mount options`;
      if (has?.('FOWNER') === false)
        return `CAP_FOWNER is missing, which changing modes of others' files needs: ${needs}`;
      return `root is not enough for an immutable or append-only file (lsattr shows i or a), nor against a security module (SELinux, AppArmor)`;
    case 'EACCES':
      if (has?.('DAC_OVERRIDE') === false)
        return `CAP_DAC_OVERRIDE is missing, which entering others' directories needs: ${needs}`;
      if (mount?.type.startsWith('nfs')) return `${where} refuses root: the export squashes it (root_squash)`;
      return 'a security module (SELinux, AppArmor) or the server of the file system forbids it';
    case 'EROFS':
      return mount?.options.split(',').includes('ro')
        ? `${where} is mounted read-only; take readOnly from the volumeMount of this init container`
        : `${where} is read-only: did the kernel stop writing to it after an error (dmesg), or is its medium read-only?`;
    case 'EINVAL':
    case 'EOVERFLOW':
      return mount?.options.split(',').includes('idmapped')
        ? `${where} is idmapped, and its mapping has no such id`
        : 'the id is not mapped in this user namespace (hostUsers: false maps 0 to 65535)';
    case 'EOPNOTSUPP':
    case 'ENOSYS':
      return `${where} cannot change owners or modes`;
    case 'EDQUOT':
      return "the new owner's disk quota is used up";
    case 'ENOSPC':
      return 'the file system is full: changing an owner may need a block';
    case 'EMFILE':
      return 'the limit of open files (ulimit -n) is too low; 128 are enough for every tree';
    case 'EIO':
      return 'the medium or the server of the file system failed (dmesg)';
    case 'ESTALE':
      return 'somebody moved directories during the walk; run it again';
    default:
      return undefined;
  }
}
