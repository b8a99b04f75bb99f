"""For each line that it hears: writes a file, reads it from the disk through a mapping, takes memory and keeps it. Then tells what
it has, and what the kernel says of it (`getrusage`), since the line.
"""
import json
import mmap
import os
import resource
import sys
import tempfile

MIB = 1 << 20
kept = []


def usage():
    said = resource.getrusage(resource.RUSAGE_SELF)
    # In blocks of 512 bytes.
    return said.ru_majflt, said.ru_inblock * 512, said.ru_oublock * 512


def use(file):
    os.pwrite(file.fileno(), os.urandom(8 * MIB), 0)
    os.fsync(file.fileno())
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with mmap.mmap(file.fileno(), 0) as mapped:
        mapped.madvise(mmap.MADV_RANDOM)
        for page in range(0, 8 * MIB, 16 * mmap.PAGESIZE):
            mapped[page]
    kept.append(bytearray(os.urandom(32 * MIB)))


with tempfile.TemporaryFile(dir=sys.argv[1]) as file:
    print("ready", flush=True)
    for _ in sys.stdin:
        before = usage()
        use(file)
        faults, read, written = (after - before for before, after in zip(before, usage()))
        print(json.dumps({"major_faults": faults, "read_bytes": read, "written_bytes": written}), flush=True)
