"""Runs without a pause beside a rival on the same CPU: three quarters of its time in `heavy`, one quarter in `light`.

All that it waits for is that CPU, and it never leaves it by itself.
"""
import os
import time

os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def rival(parent):
    while os.getppid() == parent:
        sum(range(10_000))


def spend(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def heavy():
    spend(0.030)


def light():
    spend(0.010)


parent = os.getpid()
if os.fork() == 0:
    rival(parent)
    os._exit(0)
print("ready", flush=True)
while True:
    heavy()
    light()
