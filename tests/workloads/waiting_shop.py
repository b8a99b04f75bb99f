"""A web shop whose requests only wait: they sleep, ask a peer over a socket, and take a lock that another thread holds.

It clocks each of the three itself; `/truth` tells how long they took in all, in ns."""
import json
import os
import socket
import threading
import time

SLEEP, ANSWER, HELD = 0.050, 0.030, 0.040
lock = threading.Lock()
turn = threading.Lock()
spent = {"nap": 0, "query": 0, "take": 0}


def peer(connection):
    """Another process, so that its waits are not the shop's."""
    while connection.recv(1):
        time.sleep(ANSWER)
        connection.send(b"y")
    os._exit(0)


def hold():
    while True:
        wanted.wait()
        wanted.clear()
        with lock:
            held.set()
            time.sleep(HELD)


def nap():
    time.sleep(SLEEP)


def query():
    here.send(b"x")
    here.recv(1)


def take():
    lock.acquire()
    lock.release()


def clocked(work):
    start = time.perf_counter_ns()
    work()
    spent[work.__name__] += time.perf_counter_ns() - start


def application(environ, start_response):
    if environ["PATH_INFO"] == "/truth":
        body = json.dumps(spent).encode()
    else:
        # One request at a time, so that each of its waits has a known length.
        with turn:
            clocked(nap)
            clocked(query)
            held.clear()
            wanted.set()
            held.wait()
            clocked(take)
        body = b"ok"
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]


here, there = socket.socketpair()
if os.fork() == 0:
    here.close()
    peer(there)
there.close()
wanted, held = threading.Event(), threading.Event()
threading.Thread(target=hold, name="hold", daemon=True).start()
