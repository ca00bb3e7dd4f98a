"""Mounts a file system through /dev/fuse that keeps no owners, and serves it until its input ends.

Arguments: the mount point; `refuse` (a change of owner fails with EPERM, as on vfat) or `ignore` (it is taken and
forgotten, as by some network file systems). Layout of the messages: linux/fuse.h."""
import ctypes, errno, os, select, struct, sys

point, manner = sys.argv[1:3]
libc = ctypes.CDLL(None, use_errno=True)
fuse = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
if libc.mount(b"none", point.encode(), b"fuse", 0, options) != 0:
    sys.exit(f"mount: {os.strerror(ctypes.get_errno())}")

# inode: (mode, names of its entries)
nodes = {1: (0o40755, {b"file": 2, b"folder": 3}), 2: (0o100644, {}), 3: (0o40755, {b"inner": 4}), 4: (0o100644, {})}


def attributes(node):
    return struct.pack("<6Q10I", node, 0, 0, 0, 0, 0, 0, 0, 0, nodes[node][0], 1, 0, 0, 0, 4096, 0)


def answer(unique, body=b"", error=0):
    os.write(fuse, struct.pack("<IiQ", 16 + len(body), -error, unique) + body)


def listing(node, offset, size):
    out = b""
    entries = list(nodes[node][1].items())
    for index, (name, inode) in enumerate(entries[offset:], offset + 1):
        entry = struct.pack("<2Q2I", inode, index, len(name), nodes[inode][0] >> 12) + name
        entry += b"\0" * (-len(entry) % 8)
        if len(out) + len(entry) > size:
            break
        out += entry
    return out


print("ready", flush=True)
while True:
    ready = select.select([fuse, sys.stdin], [], [])[0]
    if sys.stdin in ready:
        libc.umount2(point.encode(), 2)
        break
    request = os.read(fuse, 1 << 17)
    _, opcode, unique, node = struct.unpack_from("<IIQQ", request)
    body = request[40:]
    if opcode == 26:
        answer(unique, struct.pack("<4I2H2I2H8I", 7, 31, 0, 0, 0, 0, 4096, 0, 0, 0, *([0] * 8)))
    elif opcode == 1:
        child = nodes[node][1].get(body.rstrip(b"\0"))
        if child is None:
            answer(unique, error=errno.ENOENT)
        else:
            answer(unique, struct.pack("<4Q2I", child, 0, 0, 0, 0, 0) + attributes(child))
    elif opcode == 3 or (opcode == 4 and manner == "ignore"):
        answer(unique, struct.pack("<Q2I", 0, 0, 0) + attributes(node))
    elif opcode == 4:
        answer(unique, error=errno.EPERM)
    elif opcode == 27:
        answer(unique, struct.pack("<Q2I", 0, 0, 0))
    elif opcode == 28:
        _, offset, size = struct.unpack_from("<QQI", body)
        answer(unique, listing(node, offset, size))
    elif opcode == 29:
        answer(unique)
    elif opcode == 17:
        answer(unique, struct.pack("<5Q4I24x", 0, 0, 0, 4, 0, 4096, 255, 4096, 0))
    elif opcode not in (2, 36, 42):
        answer(unique, error=errno.ENOSYS)
