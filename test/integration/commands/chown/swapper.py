"""Swaps files and directories of a tree for links to what is outside, as fast as it can, until its input ends.

Arguments: the tree, the folder outside. Prints how many swaps it made."""
import os, select, sys

tree, outside = sys.argv[1:3]
# renameat2(2) with RENAME_EXCHANGE: at every moment there is something under the name.
import ctypes

libc = ctypes.CDLL(None, use_errno=True)
AT_FDCWD, RENAME_EXCHANGE = -100, 2


def exchange(a, b):
    if libc.renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) == 0:
        return 1
    return 0


pairs = []
for i in range(300):
    folder = f"{tree}/d{i:02d}"
    os.mkdir(folder)
    for j in range(10):
        open(f"{folder}/f{j}", "w").close()
        os.symlink(f"{outside}/file{j}", f"{folder}/l{j}")
        pairs.append((f"{folder}/f{j}".encode(), f"{folder}/l{j}".encode()))
    # A directory and a link to one outside, at the top and two levels down.
    os.makedirs(f"{folder}/sub/deep")
    for name in ("sub/deep", "sub"):
        for j in range(10):
            open(f"{folder}/{name}/x{j}", "w").close()
    os.symlink(f"{outside}/folder", f"{folder}/link-to-folder")
    os.symlink(f"{outside}/folder", f"{folder}/sub/link-to-folder")
    pairs.append((f"{folder}/sub".encode(), f"{folder}/link-to-folder".encode()))
    pairs.append((f"{folder}/sub/deep".encode(), f"{folder}/sub/link-to-folder".encode()))
    os.symlink(outside, f"{tree}/out{i:02d}")
    pairs.append((folder.encode(), f"{tree}/out{i:02d}".encode()))

print("ready", flush=True)
swaps = 0
while not select.select([sys.stdin], [], [], 0)[0]:
    for _ in range(4):
        for a, b in pairs:
            swaps += exchange(a, b)
print(swaps)
