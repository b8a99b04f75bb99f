"""`forks_at_once.py CHILDREN MILLISECONDS`: forks before anybody can know it; each child spins for so much CPU time."""
import os
import sys
import time


def work(milliseconds):
    end = time.process_time_ns() + milliseconds * 1_000_000
    while time.process_time_ns() < end:
        sum(range(1_000))


children, milliseconds = map(int, sys.argv[1:])
if any(os.fork() == 0 for _ in range(children)):
    work(milliseconds)
else:
    for _ in range(children):
        os.wait()
