"""A server that forks by hand: `fleet.py WORKERS`. Each of its workers works for a moment, from time to time."""
import ctypes
import os
import signal
import sys
import time

import reveal

PR_SET_PDEATHSIG = 1


def serve(depth):
    if depth:
        return serve(depth - 1)
    reveal.burn(20_000)


for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        while True:
            serve(20)
            time.sleep(0.2)
print("ready", flush=True)
signal.pause()
