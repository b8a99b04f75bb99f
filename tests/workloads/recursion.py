"""`recursion.py DEPTH`: spins for ever below a recursion of that depth."""
import sys

import reveal


def descend(depth):
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
