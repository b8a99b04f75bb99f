"""Ends slowly: its interpreter has many objects to clear, after the last function has run.

It says how much CPU time it had used by then, ms.
"""
import atexit
import time


class Node:
    def __init__(self, other):
        self.other = other
        self.me = self


def tell():
    print(int(time.process_time() * 1000), flush=True)


chain = None
for _ in range(400_000):
    chain = Node(chain)
atexit.register(tell)
