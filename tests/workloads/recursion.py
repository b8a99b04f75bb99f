"""`recursion.py DEPTH`: spins for ever below a recursion of that depth.

Pages that nobody may read come between: what the interpreter allocates for the next frames ends at one of them.
"""
import mmap
import sys

import reveal

guards = []


def guard():
    guards.append(mmap.mmap(-1, mmap.PAGESIZE, prot=0))


def descend(depth):
    guard()
    while depth == 0:
        leaf(20_000)
    descend(depth - 1)


def leaf(_):
    """Stands in for `burn` once: its callers are where they will be."""
    global leaf
    reveal.say(reveal.burn)
    leaf = reveal.burn


sys.setrecursionlimit(10_000)
descend(int(sys.argv[1]))
