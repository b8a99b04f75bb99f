"""Two threads that spin for ever, each in a function of its own, by which `threading` knows it."""
import threading

import reveal

READY = threading.Barrier(3)


def east():
    READY.wait()
    while True:
        reveal.burn(20_000)


def west():
    READY.wait()
    while True:
        reveal.burn(20_000)


class Named(threading.Thread):
    """With attributes of its own, and a dict that somebody looked at, as in many programs."""

    def __init__(self, run):
        threading.Thread.__init__(self)
        self.own = run
        vars(self)["another"] = 1
        self.name = run.__name__ + " of the Kernel’s 15 bytes"

    def run(self):
        self.own()


threading.Thread(target=east, name="east").start()
Named(west).start()
READY.wait()
print("ready", flush=True)
