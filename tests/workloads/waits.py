"""Waits for one thing, twenty times, when told to.

`waits.py KIND FOLDER`: after each line on standard input one thread does the KIND's wait, a function of `peers` or
`disks`, and the first thread says `done` and what the other knows of it. In between the first waits for a word, which
comes through a pipe, and the other for a lock.
"""
import json
import sys
import threading
import time

import disks
import peers
import timed

ROUNDS = 20


def run():
    waits = timed.Waits()
    started.release()
    while told.acquire():
        began = time.time_ns()
        for _ in range(ROUNDS):
            prepare()
            waits.wait(wait)
        said.update(waits.say(), began_ns=began, ended_ns=time.time_ns())
        done.release()


_, kind, folder = sys.argv
prepare, wait = {**vars(peers), **vars(disks)}[kind](folder)
started, told, done = (threading.Lock() for _ in range(3))
for lock in (started, told, done):
    lock.acquire()
said = {}
threading.Thread(target=run, daemon=True).start()
started.acquire()
print("ready", flush=True)
for _ in sys.stdin:
    told.release()
    done.acquire()
    print("done", json.dumps(said), flush=True)
