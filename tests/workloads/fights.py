"""Threads that contend for what only one of them can have, when told to.

`fights.py KIND`: after each line on standard input all threads of the KIND do it once, and the first thread says
`done` and what they know of their waits, by reason or several. In between all of them wait for a word, which comes through a pipe.
"""
import fcntl
import json
import os
import sys
import threading
import time

import timed

LOCK = threading.Lock()


def take_turns(acquire=LOCK.acquire, release=LOCK.release):
    """Holds the lock for 5 ms, in which it sleeps, ten times."""
    locked, slept = timed.Waits(), timed.Waits()

    def turns():
        for _ in range(10):
            locked.wait(acquire)
            slept.wait(lambda: time.sleep(0.005))
            release()
        return {"lock": locked.say(), "sleep": slept.say()}

    return turns


def take_turns_with_a_file():
    file = open(__file__)
    return take_turns(lambda: fcntl.flock(file, fcntl.LOCK_EX), lambda: fcntl.flock(file, fcntl.LOCK_UN))


def spin_on():
    """Does nothing but Python for a second, that all begin at once: all that it can wait for then is the GIL."""
    spun = timed.Waits()

    def spin():
        time.sleep(start - time.monotonic())
        while time.monotonic() < start + 1:
            pass

    return lambda: spun.wait(spin) or {"sleep+gil": spun.say()}


def nap():
    slept = timed.Waits()

    def naps():
        for _ in range(10):
            slept.wait(lambda: time.sleep(0.1))
        return {"sleep": slept.say()}

    return naps


def a_bit_of_all():
    locked, slept = timed.Waits(), timed.Waits()

    def run():
        for _ in range(3):
            sum(range(10_000))
            slept.wait(lambda: time.sleep(0.05))
            locked.wait(LOCK.acquire)
            LOCK.release()
        return {"lock": locked.say(), "sleep": slept.say()}

    return run


KINDS = {
    "lock": 4 * [take_turns],
    "file": 4 * [take_turns_with_a_file],
    "gil": [spin_on, spin_on, nap],
    "crowd": 200 * [a_bit_of_all],
}


def run(fight, told):
    fight = fight()
    done.release()
    while os.read(told, 1):
        said.append(fight())
        done.release()


def wait_for_all():
    for _ in pipes:
        done.acquire()


said, done = [], threading.Semaphore(0)
pipes = [os.pipe() for _ in KINDS[sys.argv[1]]]
for fight, (told, _) in zip(KINDS[sys.argv[1]], pipes):
    threading.Thread(target=run, args=(fight, told), daemon=True).start()
wait_for_all()
print("ready", flush=True)
for _ in sys.stdin:
    start = time.monotonic() + 0.05
    for _, tell in pipes:
        os.write(tell, b"x")
    wait_for_all()
    print("done", json.dumps(said), flush=True)
    said.clear()
