"""Processes that are forked in unusual ways and work on.

`by-thread`: a thread that is not the first forks; the child spins, and has a thread of its own that waits.
`daemon MILLISECONDS`: at a line forks twice, as daemons do, and spins for so much CPU time as nobody's child.
"""
import os
import sys
import threading
import time

import reveal


def work(milliseconds):
    end = time.process_time() + milliseconds / 1000
    while time.process_time() < end:
        reveal.burn(5_000)


def child():
    threading.Thread(target=threading.Event().wait, name="of the child", daemon=True).start()
    print("ready", flush=True)
    print(os.getpid(), flush=True)
    work(600_000)


def fork():
    if os.fork() == 0:
        child()
    threading.Event().wait()


if sys.argv[1] == "by-thread":
    for index in range(5):
        threading.Thread(target=threading.Event().wait, name="other", daemon=True).start()
    threading.Thread(target=fork, name="forks").start()
    threading.Event().wait()
print("ready", flush=True)
sys.stdin.readline()
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
work(int(sys.argv[2]))
