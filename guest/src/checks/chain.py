"""A tree of four busy processes, one that reads from an empty pipe, and one with a thread that waits for a lock."""
import _thread
import os
import sys
import time


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def leaf(n):
    return fib(n)


def middle(n):
    return leaf(n)


def outer(n):
    return middle(n)


def child():
    while True:
        outer(14)
        time.sleep(0.002)


def reads():
    os.read(os.pipe()[0], 1)


def waits(lock):
    lock.acquire()


def locks():
    lock = _thread.allocate_lock()
    lock.acquire()
    _thread.start_new_thread(waits, (lock,))
    lock.acquire()


def asleep(tgid):
    tids = os.listdir("/proc/%d/task" % tgid)
    states = [open("/proc/%d/task/%s/stat" % (tgid, tid)).read().rsplit(") ", 1)[1][0] for tid in tids]
    return states == ["S"] * len(states), len(states)


def main():
    children = []
    for work in [child] * 4 + [reads, locks]:
        tgid = os.fork()
        if tgid == 0:
            work()
        children.append(tgid)
    while [asleep(tgid) for tgid in children[4:]] != [(True, 1), (True, 2)]:
        time.sleep(0.001)
    print("ready", *children, flush=True)
    sys.stdin.read()


main()
