"""`guarded.py HOW`: guards its process against others' looks, and spins for ever.

`as-it-is`: not at all. `not-dumpable`: as programs with secrets do. `dropped`: by going on as another user, as servers do.
Says, after what `reveal` says, whether the kernel lets its user look at it (`prctl`).
"""
import ctypes
import os
import sys

import reveal

PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4
NOBODY = 65534


def guard(how):
    if how == "not-dumpable":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0)
    elif how == "dropped":
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)


def leaf(_):
    """Stands in for `burn` once: its callers are where they will be."""
    global leaf
    reveal.say(reveal.burn)
    print(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE), flush=True)
    leaf = reveal.burn


guard(sys.argv[1])
while True:
    leaf(20_000)
