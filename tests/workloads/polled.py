"""Two threads that wait for ever in `poll`: one for a pipe, one for a socket. Each has its kind for a name."""
import os
import select
import socket
import sys
import threading


def wait(descriptor):
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    started.release()
    poll.poll()


started = threading.Semaphore(0)
ends = os.pipe(), socket.socketpair()
for name, descriptor in ("pipe", ends[0][0]), ("socket", ends[1][0]):
    threading.Thread(target=wait, args=(descriptor,), name=name, daemon=True).start()
    started.acquire()
print("ready", flush=True)
sys.stdin.readline()
