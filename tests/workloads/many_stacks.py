"""Waits on stacks without end: each step has a path of its own through two functions that call each other."""
import threading
import time

DEPTH = 24


def left(path, depth):
    step(path, depth)


def right(path, depth):
    step(path, depth)


def step(path, depth):
    if depth == 0:
        time.sleep(1e-6)
    else:
        (left if path & 1 else right)(path >> 1, depth - 1)


def walk(first):
    path = first
    while True:
        left(path, DEPTH)
        path += THREADS


THREADS = 4
for number in range(THREADS):
    threading.Thread(target=walk, args=(number,), daemon=True).start()
print("ready", flush=True)
threading.Event().wait()
