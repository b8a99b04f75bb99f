"""Two threads that spin for ever, each in a function of its own, by which the kernel knows it."""
import ctypes
import threading

import reveal

PR_SET_NAME = 15
READY = threading.Barrier(3)


def begin():
    """The kernel shows a thread by a name of its own, which only Python 3.14 sets."""
    ctypes.CDLL(None).prctl(PR_SET_NAME, threading.current_thread().name.encode())
    READY.wait()


def east():
    begin()
    while True:
        reveal.burn(20_000)


def west():
    begin()
    while True:
        reveal.burn(20_000)


for run in (east, west):
    threading.Thread(target=run, name=run.__name__).start()
READY.wait()
print("ready", flush=True)
