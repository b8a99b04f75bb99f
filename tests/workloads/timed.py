"""What a thread knows of its own waits: the truth that a profiler's view of them is compared with."""
import os
import resource
import threading
import time


def voluntary():
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


OF_THREAD = threading.local()


class Waits:
    """Times waits of the thread that makes this: how long it was blocked.

    A thread is blocked for all of the time that it is neither on a CPU nor wants to be; of both of these the kernel
    keeps books. As it cannot read two clocks at once, it knows a least and a most.
    """

    def __init__(self):
        if not hasattr(OF_THREAD, "schedstat"):
            OF_THREAD.schedstat = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        self.schedstat = OF_THREAD.schedstat
        self.clear()

    def clear(self):
        self.least = self.most = self.switches = 0

    def books(self):
        """The time that it was on a CPU or wanted to be."""
        return time.thread_time_ns() + int(os.pread(self.schedstat, 64, 0).split()[1])

    def wait(self, call):
        """Makes a call that is all waiting, but for what it needs the CPU for."""
        switches, most = -voluntary(), -time.monotonic_ns()
        books = -self.books()
        least = -time.monotonic_ns()
        call()
        least += time.monotonic_ns()
        books += self.books()
        most += time.monotonic_ns()
        self.switches += switches + voluntary()
        self.least += least - books
        self.most += most - books

    def say(self):
        """What it knows of all waits since it was asked last."""
        told = {"tid": threading.get_native_id(), "at_least_ns": self.least, "at_most_ns": self.most}
        told["switches"] = self.switches
        self.clear()
        return told
