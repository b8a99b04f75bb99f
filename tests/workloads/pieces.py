"""Four workers that do the same piece of work for ever: `pieces.py FILE`.

FILE has two numbers of 64 bits for each worker: the pieces it has done, and the CPU time it had used when the last of
them was done, ns. The worker reads that clock itself: what `/proc` says of a thread that runs is as old as its last tick.
"""
import ctypes
import mmap
import os
import signal
import struct
import sys
import time

import reveal

PR_SET_PDEATHSIG = 1
WORKERS = 4
BOOKS = struct.Struct("QQ")


def work(depth, books, worker):
    if depth:
        return work(depth - 1, books, worker)
    pieces = 0
    while True:
        reveal.burn(5_000)
        pieces += 1
        BOOKS.pack_into(books, BOOKS.size * worker, pieces, time.process_time_ns())


with open(sys.argv[1], "w+b") as file:
    file.truncate(BOOKS.size * WORKERS)
    books = mmap.mmap(file.fileno(), 0)
for worker in range(WORKERS):
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        work(20, books, worker)
print("ready", flush=True)
signal.pause()
