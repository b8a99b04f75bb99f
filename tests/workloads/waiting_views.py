"""A WSGI application whose views wait, each for something else: `/sleep`, `/poll`, `/http`, `/queue`, `/lock`, `/thread`.

The answer: what the view waited for, and how long it did at least and at most, ns. `/http` asks the server whose URL
is in SLOW_URL, which takes SLOW_SECONDS.
"""
import os
import queue
import select
import socket
import threading
import time

import requests

SECONDS = 0.3


def sleep():
    time.sleep(SECONDS)
    return "sleep", SECONDS


def poll():
    """As libpq waits for its server: poll on one socket, called from C."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        poller = select.poll()
        poller.register(ours, select.POLLIN)
        poller.poll(SECONDS * 1000)
    return "socket", SECONDS


def http():
    requests.get(os.environ["SLOW_URL"], timeout=10)
    # It does not begin to wait before the server does.
    return "socket", float(os.environ["SLOW_SECONDS"]) - 0.02


def wait_for_an_item():
    try:
        queue.Queue().get(timeout=SECONDS)
    except queue.Empty:
        return "lock", SECONDS


def lock():
    held = threading.Lock()
    with held:
        held.acquire(timeout=SECONDS)
    return "lock", SECONDS


def thread():
    """Two threads wait: one for an item, which is its work, the other in the request for that one."""
    consumer = threading.Thread(target=wait_for_an_item)
    consumer.start()
    consumer.join()
    return "lock", SECONDS - 0.02


VIEWS = {"/sleep": sleep, "/poll": poll, "/http": http, "/queue": wait_for_an_item, "/lock": lock, "/thread": thread}


def application(environ, start_response):
    view = VIEWS.get(environ["PATH_INFO"])
    body = "idle 0 0"
    if view is not None:
        start = time.monotonic_ns()
        reason, seconds = view()
        took = time.monotonic_ns() - start
        body = f"{reason} {int(seconds * 1e9)} {took}"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body.encode()]
