"""Spins, and keeps its own books: reads its CPU clock and its switch counts all the time.

Says one JSON line when told to stop: a list of [unix ns, own CPU ns, voluntary, preempted switches].
"""
import json
import os
import resource
import select
import sys
import time

# Not on the first CPU, where punchclock is put: it must not switch this out by running.
os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
print("ready", flush=True)
books = []
while not select.select([sys.stdin], [], [], 0)[0]:
    usage = resource.getrusage(resource.RUSAGE_THREAD)
    books.append([time.time_ns(), time.thread_time_ns(), usage.ru_nvcsw, usage.ru_nivcsw])
    for _ in range(500):
        pass
print(json.dumps(books), flush=True)
sys.stdin.readline()
