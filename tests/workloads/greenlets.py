"""A thread with greenlets among what else it runs, and one without. Loads gevent only when it is told to."""
import sys
import threading
import time


def spins():
    until = time.thread_time() + 0.02
    while time.thread_time() < until:
        pass


def in_greenlet():
    spins()


def in_main():
    spins()


def in_thread():
    while True:
        spins()
        time.sleep(0.01)


threading.Thread(target=in_thread, daemon=True).start()
print("ready", flush=True)
sys.stdin.readline()
import gevent  # noqa: E402

gevent.get_hub()
print("loaded", flush=True)
while True:
    in_main()
    gevent.joinall([gevent.spawn(in_greenlet), gevent.spawn(in_greenlet)])
    gevent.sleep(0.01)
