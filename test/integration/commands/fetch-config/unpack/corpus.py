"""Writes hostile and broken archives, and some good ones, into the folder that is its argument."""
import bz2, gzip, io, lzma, os, struct, sys, tarfile, zipfile, zlib

out = sys.argv[1]
path = lambda name: os.path.join(out, name)


def entry(name, kind=tarfile.REGTYPE, data=b"", linkname="", mode=0o644, **more):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.mtime = kind, linkname, mode, 1_700_000_000
    info.size = len(data)
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def tar(name, *entries, format=tarfile.GNU_FORMAT, mode="w"):
    with tarfile.open(path(name), mode, format=format, encoding="utf-8", errors="surrogateescape") as archive:
        for info, data in entries:
            archive.addfile(info, io.BytesIO(data))


FILE, DIR, LINK, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
good = entry("good", data=b"good")

tar("traversal.tar", good, entry("../evil", data=b"x"))
tar("traversal-inside.tar", good, entry("a/b/../../../evil", data=b"x"))
tar("traversal-harmless.tar", good, entry("a/../evil", data=b"x"))
tar("absolute.tar", good, entry("/tmp/evil", data=b"x"))
tar("link-absolute.tar", good, entry("l", LINK, linkname="/etc"))
tar("link-out.tar", good, entry("a/l", LINK, linkname="../../etc"))
tar("link-chain.tar", good, entry("a", LINK, linkname="."), entry("b", LINK, linkname="a/a/.."))
tar("link-through.tar", good, entry("d", DIR), entry("l", LINK, linkname="d"), entry("l/x", data=b"x"))
tar("link-to-out-then-file.tar", good, entry("l", LINK, linkname=".."), entry("l/evil", data=b"x"))
tar("link-empty.tar", good, entry("l", LINK, linkname=""))
tar("hard-out.tar", good, entry("h", HARD, linkname="../../etc/passwd"))
tar("hard-absolute.tar", good, entry("h", HARD, linkname="/etc/passwd"))
tar("hard-missing.tar", good, entry("h", HARD, linkname="none"))
tar("hard-to-link.tar", good, entry("l", LINK, linkname="good"), entry("h", HARD, linkname="l"))
tar("device.tar", good, entry("null", tarfile.CHRTYPE, devmajor=1, devminor=3))
tar("block.tar", good, entry("disk", tarfile.BLKTYPE, devmajor=8, devminor=0))
tar("fifo.tar", good, entry("p", tarfile.FIFOTYPE))
tar("duplicate.tar", good, entry("good", data=b"other"))
tar("duplicate-dots.tar", good, entry("./good", data=b"other"))
tar("duplicate-link.tar", entry("l", LINK, linkname="x"), entry("l", data=b"other"))
tar("file-as-folder.tar", good, entry("good/x", data=b"x"))
tar("folder-as-file.tar", entry("d", DIR), entry("d", data=b"x"))
tar("case.tar", entry("Readme", data=b"1"), entry("README", data=b"2"))
tar("case-folder.tar", entry("Lib/a", data=b"1"), entry("lib/b", data=b"2"))
tar("normal-form.tar", entry("caf\u00e9", data=b"1"), entry("cafe\u0301", data=b"2"))
tar("kept-names.tar", good, entry("..data", data=b"x"))
tar("long-name.tar", good, entry("n" * 256, data=b"x"))
tar("link-long.tar", good, entry("l", LINK, linkname="x" * 5000))
tar("long-path.tar", good, entry("/".join(["n" * 200] * 30), data=b"x"))
tar("not-utf8-top.tar", entry("caf\udce9", data=b"x"))
tar("empty.tar")
tar("nul-pax.tar", good, entry("x" * 120 + "\0evil", data=b"x"), format=tarfile.PAX_FORMAT)
open(path("really-empty.tar"), "wb").close()
with open(path("text.tar"), "wb") as file:
    file.write(b"hello, this is no archive at all\n" * 100)
with open(path("page.tar.gz"), "wb") as file:
    file.write(b"<!DOCTYPE html><title>Log in</title>" + b" " * 1000)

big = entry("big", data=os.urandom(1 << 20))
tar("whole.tar.gz", good, big, mode="w:gz")
whole = open(path("whole.tar.gz"), "rb").read()
open(path("truncated.tar.gz"), "wb").write(whole[: len(whole) // 2])
damaged = bytearray(whole)
damaged[-8] ^= 0xFF
open(path("wrong-crc.tar.gz"), "wb").write(damaged)
damaged = bytearray(whole)
damaged[len(whole) // 2] ^= 0xFF
open(path("damaged.tar.gz"), "wb").write(damaged)
plain = gzip.decompress(whole)
open(path("truncated.tar"), "wb").write(plain[: len(plain) // 2])
# Cut off where an entry ends: whole, but for the mark of the end. The same in gzip, whose own end is right.
open(path("truncated-between.tar"), "wb").write(plain[:1024])
open(path("truncated-between.tar.gz"), "wb").write(gzip.compress(plain[:1024]))
damaged = bytearray(plain)
damaged[1024 + 10] ^= 0xFF
open(path("wrong-checksum.tar"), "wb").write(damaged)
open(path("compressed.tar.xz"), "wb").write(lzma.compress(plain[:4096]))
open(path("compressed.tar.bz2"), "wb").write(bz2.compress(plain[:4096]))


def repeated(name, head, block, times, tail=b""):
    """A gzip file of head, block times over, and tail: each block's deflate is written again as it is."""
    crc, size = 0, 0
    with open(path(name), "wb") as file:
        file.write(b"\x1f\x8b\x08\0\0\0\0\0\0\x03")
        squeeze = lambda data: (lambda z: z.compress(data) + z.flush(zlib.Z_FULL_FLUSH))(zlib.compressobj(9, zlib.DEFLATED, -15))
        file.write(squeeze(head))
        once = squeeze(block)
        for _ in range(times):
            file.write(once)
        end = zlib.compressobj(9, zlib.DEFLATED, -15)
        file.write(end.compress(tail) + end.flush())
        # Nobody gets as far as the sums.
        file.write(struct.pack("<II", crc, size))


zeros = b"\0" * (10 << 20)
repeated("bomb.tar.gz", tarfile.TarInfo("zeros").tobuf(), b"", 0)
info = tarfile.TarInfo("zeros")
info.size = 10_000 << 20
repeated("bomb.tar.gz", info.tobuf(tarfile.GNU_FORMAT), zeros, 1000)
small = tarfile.TarInfo("small")
repeated("bomb-behind.tar.gz", small.tobuf(tarfile.GNU_FORMAT), zeros, 1000)
parts = []
for i in range(64):
    piece = tarfile.TarInfo(f"part{i}")
    piece.size = 160 << 20
    parts.append(piece.tobuf(tarfile.GNU_FORMAT))
with open(path("bomb-many.tar.gz"), "wb") as file:
    file.write(b"\x1f\x8b\x08\0\0\0\0\0\0\x03")
    flush = lambda data: (lambda z: z.compress(data) + z.flush(zlib.Z_FULL_FLUSH))(zlib.compressobj(9, zlib.DEFLATED, -15))
    once = flush(zeros)
    for head in parts:
        file.write(flush(head) + once * 16)
    file.write(zlib.compressobj(9, zlib.DEFLATED, -15).flush() + b"\0" * 8)
folder = tarfile.TarInfo("d")
folder.type, folder.mode = DIR, 0o755
repeated("million.tar.gz", b"", folder.tobuf(tarfile.GNU_FORMAT) * 1000, 1000)


def zipped(name, *entries):
    with zipfile.ZipFile(path(name), "w", zipfile.ZIP_DEFLATED) as archive:
        for info, data in entries:
            archive.writestr(info, data)


def zip_entry(name, mode=0o100644):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr, info.compress_type = 3, mode << 16, zipfile.ZIP_DEFLATED
    return info


zipped("traversal.zip", (zip_entry("good"), b"x"), (zip_entry("../evil"), b"x"))
zipped("absolute.zip", (zip_entry("/tmp/evil"), b"x"))
zipped("link-out.zip", (zip_entry("l", 0o120777), b"../../etc"))
zipped("link-long-by-one.zip", (zip_entry("l", 0o120777), b"x" * 4096))
zipped("link-long.zip", (zip_entry("l", 0o120777), b"x" * 5000))
zipped("device.zip", (zip_entry("null", 0o020666), b""))
zipped("duplicate.zip", (zip_entry("a"), b"1"), (zip_entry("a"), b"2"))
zipped("case.zip", (zip_entry("a"), b"1"), (zip_entry("A"), b"2"))
zipped("empty.zip")
zipped("whole.zip", (zip_entry("good"), b"good" * 1000), (zip_entry("bin/run", 0o100755), b"#!/bin/sh\n"), (zip_entry("l", 0o120777), b"good"), (zip_entry("d/", 0o040755), b""))
whole = open(path("whole.zip"), "rb").read()
open(path("truncated.zip"), "wb").write(whole[: len(whole) // 2])
at = whole.index(b"PK\x01\x02") + 16
open(path("wrong-crc.zip"), "wb").write(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
at = whole.index(b"PK\x01\x02") + 8
open(path("encrypted.zip"), "wb").write(whole[:at] + bytes([whole[at] | 1]) + whole[at + 1 :])
at = whole.index(b"PK\x01\x02") + 24
open(path("wrong-size.zip"), "wb").write(whole[:at] + struct.pack("<I", 10) + whole[at + 4 :])
nul = bytearray(whole)
for i in range(len(nul) - 4):
    if nul[i : i + 4] == b"good" and nul[i - 16 : i] and (nul[i - 30 : i - 26] == b"PK\x03\x04" or nul[i - 46 : i - 42] == b"PK\x01\x02"):
        nul[i + 1] = 0
open(path("nul.zip"), "wb").write(nul)
with zipfile.ZipFile(path("bomb.zip"), "w", zipfile.ZIP_DEFLATED) as archive:
    with archive.open(zip_entry("zeros"), "w", force_zip64=True) as file:
        for _ in range(30):
            file.write(zeros)

# Good ones, of every kind.
nice = (
    entry("top/bin/run", data=b"#!/bin/sh\n", mode=0o4755),
    entry("top/conf/app.conf", data=b"a=b\n", mode=0o640),
    entry("top/conf/link", LINK, linkname="../bin/run"),
    entry("top/hard", HARD, linkname="top/bin/run"),
    entry("top/empty", DIR, mode=0o750),
    entry("top/caf\udce9/x", data=b"latin"),
    entry("top/" + "long/" * 60 + "name", data=b"deep"),
    entry("top/big", data=bytes(range(256)) * 4096 * 3),
)
tar("gnu.tar", *nice)
tar("pax.tar", *[pair for pair in nice if "\udce9" not in pair[0].name], entry("top/caf\u00e9", data=b"utf8"), format=tarfile.PAX_FORMAT)
tar("gnu.tar.gz", *nice, mode="w:gz")
