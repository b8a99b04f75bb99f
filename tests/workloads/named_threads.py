"""Two threads that spin for ever, each in a function of its own, by which the kernel knows it."""
import threading

import reveal

READY = threading.Barrier(3)


def begin():
    """The kernel shows a thread by a name of its own, which only Python 3.14 sets."""
    name = threading.current_thread().name
    with open("/proc/thread-self/comm", "w") as comm:
        comm.write(name)
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
