"""Works when told to, and waits for the next word otherwise.

`work.py KIND`: after each line on standard input it does the KIND once and says `done` and what there is to say.
"""
import json
import os
import resource
import sys
import threading
import time


def spin(milliseconds):
    end = time.thread_time_ns() + milliseconds * 1_000_000
    while time.thread_time_ns() < end:
        pass


def mixed():
    """Spins and sleeps in turns, in four threads."""

    def run():
        for _ in range(100):
            spin(1)
            time.sleep(0.002)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def migrate():
    """Moves between two CPUs a hundred times."""
    cpus = sorted(os.sched_getaffinity(0))[:2]
    for turn in range(100):
        os.sched_setaffinity(0, {cpus[turn % len(cpus)]})
        spin(2)
    os.sched_setaffinity(0, set(cpus))


def threads():
    """Threads that spin and end; says the own CPU time of each."""
    books = {}

    def run(milliseconds):
        spin(milliseconds)
        books[threading.get_native_id()] = time.thread_time_ns()

    for milliseconds in (1, 5, 20, 50):
        thread = threading.Thread(target=run, args=(milliseconds,), name="brief")
        thread.start()
        thread.join()
    return books


def forks():
    """Children that spin, sleep and end; says what the kernel told of each when it was collected."""
    books = {}
    for naps in (0, 3, 10):
        child = os.fork()
        if child == 0:
            for _ in range(naps):
                time.sleep(0.005)
            spin(20)
            os._exit(0)
        _, _, usage = os.wait4(child, 0)
        cpu_ns = round((usage.ru_utime + usage.ru_stime) * 1e9)
        books[child] = [cpu_ns, usage.ru_nvcsw, usage.ru_nivcsw]
    return books


def naps():
    """Sleeps fifty times; says how long that took."""
    start = time.monotonic_ns()
    for _ in range(50):
        time.sleep(0.01)
    return time.monotonic_ns() - start


def userland():
    """Half a second in user mode."""
    total = 0
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        total += sum(range(1000))


def kernel():
    """Half a second in the kernel."""
    end = time.monotonic() + 0.5
    with open("/dev/zero", "rb", buffering=0) as zeros:
        room = bytearray(1 << 24)
        while time.monotonic() < end:
            zeros.readinto(room)


kind = globals()[sys.argv[1]]
print("ready", flush=True)
for _ in sys.stdin:
    print("done", json.dumps(kind()), flush=True)
