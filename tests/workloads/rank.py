"""One of several that a launcher starts: works for so many milliseconds of CPU time, or until it is ended."""

import sys
import time

work_for = float(sys.argv[1]) / 1000 if len(sys.argv) > 1 else float("inf")


def work():
    while time.thread_time() < work_for:
        pass


work()
