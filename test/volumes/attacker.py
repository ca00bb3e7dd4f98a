"""The owner of a volume, who does what he can to whoever works in it as root, until his input ends.

Arguments: the volume, his user ID, a seed, and a JSON object: `names`, what he puts things under; `targets`, paths outside
that he leads to; `evil`, bytes that he writes, by the size of what they are to be taken for; `time`, their time; `pairs`,
names below the volume that are exchanged all the time; `quiet`, true where he only exchanges. Prints a JSON object with
how often he did what."""
import ctypes, json, os, random, select, stat, sys, time

volume, uid, seed, given = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4])
libc = ctypes.CDLL(None, use_errno=True)
os.setgroups([])
os.setgid(uid)
os.setuid(uid)
os.umask(0)
os.chdir(volume)
rng = random.Random(seed)
counts = {}
AT_FDCWD, RENAME_EXCHANGE = -100, 2


def count(what):
    counts[what] = counts.get(what, 0) + 1


def exchange(a, b):
    if libc.renameat2(AT_FDCWD, os.fsencode(a), AT_FDCWD, os.fsencode(b), RENAME_EXCHANGE) == 0:
        count("exchange")
        return True
    return False


def tree(limit=400):
    """Folders and entries below the volume, as far as he may look; through no link."""
    folders, entries, todo = ["."], [], ["."]
    while todo and len(entries) < limit:
        folder = todo.pop(rng.randrange(len(todo)))
        try:
            with os.scandir(folder) as found:
                for entry in found:
                    path = entry.name if folder == "." else folder + "/" + entry.name
                    entries.append(path)
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(path)
                        todo.append(path)
        except OSError:
            pass
    return folders, entries


def away(path):
    """Makes room under a name."""
    try:
        os.unlink(path)
    except IsADirectoryError:
        try:
            os.rename(path, path + ".%d" % rng.randrange(1 << 30))
        except OSError:
            pass
    except OSError:
        pass


def new_file(path):
    """A new file: what stands there by now may be a FIFO, which nobody reads."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), "wb")


def evil_file(path, mode):
    size = rng.choice(list(given["evil"]))
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(fd, (given["evil"][size] * int(size))[: int(size)].encode())
        os.fchmod(fd, mode)
        os.utime(fd, (given["time"], given["time"]))
    finally:
        os.close(fd)


def plant(path):
    what = rng.randrange(12)
    if what < 4:
        os.symlink(rng.choice(given["targets"]), path)
        count("link")
    elif what < 6:
        evil_file(path, rng.choice([0o644, 0o600, 0o666, 0o755]))
        count("file of that size and time")
    elif what == 6:
        evil_file(path, rng.choice([0o4755, 0o6755, 0o2755, 0o4711]))
        count("set-id file")
    elif what == 7:
        os.mkfifo(path, 0o666)
        count("FIFO")
    elif what == 8:
        with new_file(path) as file:
            file.truncate(rng.choice([1 << 20, 1 << 26, 1 << 30]))
        count("sparse file")
    elif what == 9:
        os.mkdir(path, rng.choice([0o755, 0o777, 0o700, 0o2777, 0o555]))
        count("folder")
    elif what == 10:
        os.link(rng.choice(entries), path, follow_symlinks=False)
        count("hard link")
    else:
        os.symlink(rng.choice([".", "..", "../..", "..data", "/proc/self/root", "/dev/null"]), path)
        count("link")


def peep(folder, name):
    """Reads what he can of something that a run is making, and says so where it is a secret."""
    paths = [folder + "/" + name]
    while paths:
        path = paths.pop()
        try:
            if stat.S_ISDIR(os.lstat(path).st_mode):
                paths += [path + "/" + below for below in os.listdir(path)]
                continue
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            if os.read(fd, 6) == b"SECRET":
                count("SECRET READ")
        except OSError:
            pass
        finally:
            os.close(fd)


def note(path):
    """A folder of his that looks like a generation of a run."""
    os.mkdir(path)
    with new_file(path + "/..initbox.json") as file:
        file.write(json.dumps({"sets": {"other": ["../f", "f", "planted"]}}).encode())
    os.symlink(rng.choice(given["targets"]), path + "/planted")
    evil_file(path + "/f", 0o644)
    away("..data")
    os.symlink(path, "..data")
    count("generation of his")


fixed = [tuple(pair) for pair in given["pairs"]]
links = []
print("ready", flush=True)
folders, entries = tree()
turn, change, wild, some = 0, 0, False, fixed
while not select.select([sys.stdin], [], [], 0)[0]:
    turn += 1
    if time.monotonic() > change:
        # Now all that he can, now a few exchanges alone, among which a run comes to its end.
        change = time.monotonic() + rng.choice([0.1, 0.3, 0.6])
        wild = not given["quiet"] and rng.randrange(3) == 0
        some = fixed if wild or given["quiet"] else rng.sample(fixed, min(len(fixed), rng.randrange(4)))
    for a, b in some:
        for _ in range(4):
            exchange(a, b)
    # What a run makes has a name that nobody foresees, but everybody sees.
    for folder in (".", rng.choice(folders)):
        try:
            made = [name for name in os.listdir(folder) if name.startswith("..initbox") or name.endswith(".tmp")]
        except OSError:
            continue
        for name in made:
            peep(folder, name)
            if rng.randrange(4) == 0:
                mine = folder + "/mine%d" % rng.randrange(6)
                try:
                    if not os.path.lexists(mine):
                        plant(mine)
                    if exchange(folder + "/" + name, mine):
                        count("exchange of what a run made")
                except (OSError, IndexError):
                    pass
    if not wild:
        if not some:
            time.sleep(0.001)
        continue
    if turn % 8 == 0:
        folders, entries = tree()
        for path in rng.sample(entries, min(4, len(entries))):
            if os.path.basename(path).startswith(("secret", "shadow")):
                peep(".", path)
    try:
        what = rng.randrange(10)
        if what < 5 and len(entries) > 1:
            a, b = rng.choice(entries), rng.choice(entries)
            for _ in range(rng.choice([1, 2, 30])):
                exchange(a, b)
        elif what < 8:
            path = rng.choice(folders) + "/" + rng.choice(given["names"])
            if rng.randrange(2):
                away(path)
            plant(path)
        elif what == 8 and entries:
            path = rng.choice(entries)
            if not stat.S_ISLNK(os.lstat(path).st_mode):
                os.chmod(path, rng.choice([0o777, 0o755, 0o4755, 0o2775, 0o600, 0o1777, 0o000]), follow_symlinks=True)
                count("mode")
        elif rng.randrange(4) == 0:
            note("..initbox_20260101T000000Z_x_y%d" % rng.randrange(1000))
        elif entries:
            away(rng.choice(entries))
    except (OSError, IndexError):
        pass
print(json.dumps(counts))
