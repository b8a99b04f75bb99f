"""`crowd.py WORKERS THREADS`: forks so many workers of so many threads each, all of which wake about once a second, on one of
two lines, and find nothing to do. Says `ready` when all of them wait."""
import os
import sys
import threading
import time

workers, threads = map(int, sys.argv[1:])
parent = os.getpid()


def nap():
    while os.getppid() == parent:
        time.sleep(0.9)


def listen(never=threading.Event()):
    while os.getppid() == parent:
        never.wait(0.9)


def work(said):
    for number in range(threads - 1):
        threading.Thread(target=listen if number % 2 else nap, daemon=True).start()
        # Not all at once.
        time.sleep(0.9 / threads)
    os.write(said, b"x")
    nap()
    os._exit(0)


told, said = os.pipe()
for _ in range(workers):
    if os.fork() == 0:
        work(said)
    time.sleep(0.9 / workers)
for _ in range(workers):
    os.read(told, 1)
print("ready", flush=True)
while True:
    time.sleep(3600)
