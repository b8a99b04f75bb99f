"""Forks children one after the other, each of which makes a function that nobody has seen before, runs it for a few
hundredths of a second, and is gone: as RQ's work horses are."""
import os
import sys
import time

SOURCE = """
def job_{number}():
    until = time.process_time() + 0.03
    n = 0
    while time.process_time() < until:
        n += 1
"""

print("ready")
sys.stdout.flush()
number = 0
while True:
    number += 1
    child = os.fork()
    if not child:
        namespace = {"time": time}
        exec(compile(SOURCE.format(number=number), "<job {}>".format(number), "exec"), namespace)
        namespace["job_{}".format(number)]()
        os._exit(0)
    os.waitpid(child, 0)
