"""Exchanges names of one directory in pairs (renameat2(2), RENAME_EXCHANGE), as fast as it can, until its input ends.

Arguments: the directory, then the two prefixes of the pairs: `a0` is exchanged with `b0`, `a1` with `b1`, …; how many pairs
(0: the two names themselves); every how many milliseconds each entry is made anew (0: never), so that none is ever old.
Names that are not there yet are tried all the same. Prints how many exchanges it made."""
import ctypes, os, select, shutil, stat, sys, time

libc = ctypes.CDLL(None, use_errno=True)
os.chdir(sys.argv[1])
first, second, count = sys.argv[2].encode(), sys.argv[3].encode(), int(sys.argv[4])
pairs = [(first, second)] if count == 0 else [(first + b"%d" % i, second + b"%d" % i) for i in range(count)]
period = int(sys.argv[5]) / 1000


def make_anew(name):
    """Another inode with the same content, owner, mode and time; under its second name, below `more`, too."""
    old, new, other = os.lstat(name), b".initbox-test-new", b"more/" + name
    if stat.S_ISLNK(old.st_mode):
        os.symlink(os.readlink(name), new)
    else:
        shutil.copyfile(name, new)
    os.lchown(new, old.st_uid, old.st_gid)
    if not stat.S_ISLNK(old.st_mode):
        os.chmod(new, stat.S_IMODE(old.st_mode))
    os.utime(new, ns=(old.st_atime_ns, old.st_mtime_ns), follow_symlinks=False)
    if os.path.exists(other):
        os.link(new, b"more/.initbox-test-new")
        os.rename(b"more/.initbox-test-new", other)
    os.rename(new, name)


print("ready", flush=True)
exchanges = 0
due = time.monotonic()
while not select.select([sys.stdin], [], [], 0)[0]:
    if period > 0 and time.monotonic() >= due:
        for name in sum(pairs, ()):
            if os.path.lexists(name):
                make_anew(name)
        due = time.monotonic() + period
    for _ in range(max(1, 1000 // len(pairs))):
        for a, b in pairs:
            exchanges += libc.renameat2(-100, a, -100, b, 2) == 0
print(exchanges)
