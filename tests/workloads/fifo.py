"""Spins on one CPU with a real-time priority, so that nothing preempts it; says its switch counts when asked."""
import os
import resource
import select
import sys

os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
print("ready", flush=True)
sys.stdin.readline()
os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
while not select.select([sys.stdin], [], [], 0)[0]:
    for _ in range(1000):
        pass
