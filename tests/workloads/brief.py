"""`brief.py MILLISECONDS`: spins for so much CPU time, and ends."""
import sys
import time

import reveal


def work(milliseconds):
    end = time.process_time_ns() + milliseconds * 1_000_000
    while time.process_time_ns() < end:
        reveal.burn(1_000)


work(int(sys.argv[1]))
