"""`storm.py processes|threads COUNT`: at the word, starts so many, one after the other, each of which naps and ends.

Says how many there were, and what they told of themselves, or the kernel of them when they were collected: on-CPU time, ns, and
voluntary and preempted switches.
"""
import json
import os
import resource
import sys
import threading
import time

NAP = 0.01
AT_ONCE = 20


def processes(count):
    books, living = [0, 0, 0], 0

    def collect(options):
        nonlocal living
        tgid, _, usage = os.wait4(-1, options)
        if tgid == 0:
            return False
        living -= 1
        books[0] += round((usage.ru_utime + usage.ru_stime) * 1e9)
        books[1] += usage.ru_nvcsw
        books[2] += usage.ru_nivcsw
        return True

    for _ in range(count):
        if os.fork() == 0:
            time.sleep(NAP)
            os._exit(0)
        living += 1
        while living >= AT_ONCE or (living and collect(os.WNOHANG)):
            if living >= AT_ONCE:
                collect(0)
    while living:
        collect(0)
    return books


def threads(count):
    books, lock = [0, 0, 0], threading.Lock()

    def run():
        time.sleep(NAP)
        usage = resource.getrusage(resource.RUSAGE_THREAD)
        cpu_ns = time.clock_gettime_ns(time.CLOCK_THREAD_CPUTIME_ID)
        with lock:
            books[0] += cpu_ns
            books[1] += usage.ru_nvcsw
            books[2] += usage.ru_nivcsw

    running = []
    for _ in range(count):
        thread = threading.Thread(target=run)
        thread.start()
        running.append(thread)
        if len(running) == AT_ONCE:
            running.pop(0).join()
    for thread in running:
        thread.join()
    return books


print("ready", flush=True)
kind, count = sys.argv[1], int(sys.argv[2])
for _ in sys.stdin:
    books = {"processes": processes, "threads": threads}[kind](count)
    print("done", json.dumps({"count": count, "books": books}), flush=True)
