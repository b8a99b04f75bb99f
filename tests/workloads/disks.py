"""Waits for a disk. Each function makes what it needs in a folder, and gives what comes before each wait, and the wait.
"""
import fcntl
import mmap
import os
import random

CHUNK = 1 << 20
CHUNKS = range(0, 16 * CHUNK, CHUNK)


def on_disk(folder):
    """A file that is on the disk, and in no memory once `drop` is called."""
    file = os.open(os.path.join(folder, "file"), os.O_CREAT | os.O_RDWR)
    for _ in CHUNKS:
        os.write(file, os.urandom(CHUNK))
    os.fsync(file)
    return file, lambda: os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)


def sync(folder):
    file, _ = on_disk(folder)
    return lambda: os.pwrite(file, os.urandom(CHUNK), 0), lambda: os.fsync(file)


def read(folder):
    file, drop = on_disk(folder)
    return drop, lambda: [os.pread(file, CHUNK, offset) for offset in CHUNKS]


def direct(folder):
    """Reads past the page cache."""
    file, _ = on_disk(folder)
    fcntl.fcntl(file, fcntl.F_SETFL, os.O_DIRECT)
    room = mmap.mmap(-1, CHUNK)
    return lambda: None, lambda: [os.preadv(file, [room], offset) for offset in CHUNKS]


def page_faults(folder):
    """Touches pages of a file that are in no memory, none next to another."""
    file, drop = on_disk(folder)
    maps = []

    def forget():
        maps.clear()
        drop()
        maps.append(mmap.mmap(file, 0))
        maps[0].madvise(mmap.MADV_RANDOM)

    pages = random.sample(range(0, 16 * CHUNK, 4 * mmap.PAGESIZE), 200)
    return forget, lambda: [maps[0][page] for page in pages]
