"""A fleet that changes all the time: at the word, two servers of four workers each start, and later a third one.

A worker is replaced every two seconds. It compiles functions and drops them, starts threads that end, and takes a lock in turns
with them. One server is restarted every twenty seconds.
"""
import ctypes
import os
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1
WORKERS = 4
LIFE = 8.0
RESTART = 20.0
THIRD = 30.0


def fork():
    """Forks a child that ends with its parent, however that ends."""
    tgid = os.fork()
    if tgid == 0:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    return tgid


def work(until, number):
    lock = threading.Lock()

    def hold():
        for _ in range(3):
            with lock:
                time.sleep(0.001)

    while time.monotonic() < until:
        number += 1
        names = {}
        source = "def made_{0}(n):\n    return sum(range(n))\n".format(number)
        exec(compile(source, "<made {}>".format(number % 100), "exec"), names)
        names["made_{}".format(number)](20_000)
        threads = [threading.Thread(target=hold) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(0.01)


def serve():
    """Keeps the workers alive; each lives as long as all of them together take turns."""
    workers, number = {}, 0
    now = time.monotonic()
    ends = [now + LIFE * (slot + 1) / WORKERS for slot in range(WORKERS)]
    while True:
        for slot in range(WORKERS):
            if slot not in workers:
                number += 1
                if ends[slot] <= time.monotonic():
                    ends[slot] += LIFE
                workers[slot] = fork()
                if workers[slot] == 0:
                    work(ends[slot], number * 1_000_000)
                    os._exit(0)
        ended, _ = os.waitpid(-1, 0)
        workers = {slot: tgid for slot, tgid in workers.items() if tgid != ended}


def start():
    tgid = fork()
    if tgid == 0:
        serve()
    return tgid


print("ready", flush=True)
for _ in sys.stdin:
    servers, third = [start(), start()], time.monotonic() + THIRD
    while True:
        time.sleep(RESTART)
        os.kill(servers[1], signal.SIGKILL)
        os.waitpid(servers[1], 0)
        servers[1] = start()
        if len(servers) == 2 and third <= time.monotonic():
            servers.append(start())
