"""Mounts a folder elsewhere with its owners mapped (mount_setattr(2)): ids from 0 on it are seen as ids from FIRST on.

Arguments: the folder, the mount point, FIRST, how many."""
import ctypes, os, struct, subprocess, sys

source, point, first, count = sys.argv[1:5]
libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, OPEN_TREE_CLONE, MOUNT_ATTR_IDMAP, AT_EMPTY_PATH, MOVE_MOUNT_F_EMPTY_PATH = -100, 1, 0x100000, 0x1000, 4
OPEN_TREE, MOVE_MOUNT, MOUNT_SETATTR = 428, 429, 442  # the same numbers on x86-64 and arm64


def system_call(number, *arguments):
    result = libc.syscall(number, *arguments)
    if result < 0:
        sys.exit(f"system call {number}: {os.strerror(ctypes.get_errno())}")
    return result


# A mapping is that of a user namespace, which needs a process to be made. It says when it is there.
with subprocess.Popen(["unshare", "--user", "sh", "-c", "echo; read _"], stdin=-1, stdout=-1) as holder:
    holder.stdout.readline()
    for file in ("uid_map", "gid_map"):
        with open(f"/proc/{holder.pid}/{file}", "w") as map_:
            map_.write(f"0 {first} {count}")
    namespace = os.open(f"/proc/{holder.pid}/ns/user", os.O_RDONLY)
    tree = system_call(OPEN_TREE, AT_FDCWD, source.encode(), OPEN_TREE_CLONE)
    attributes = struct.pack("<4Q", MOUNT_ATTR_IDMAP, 0, 0, namespace)
    system_call(MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH, attributes, len(attributes))
    system_call(MOVE_MOUNT, tree, b"", AT_FDCWD, point.encode(), MOVE_MOUNT_F_EMPTY_PATH)
    holder.stdin.close()
