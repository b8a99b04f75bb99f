"""`odd_names.py FOLDER`: a master and two workers, whose name is no UTF-8 and has a newline in it, and that listen at paths in FOLDER
of which two are so, too, and one is plain. The master spins."""
import ctypes
import os
import signal
import socket
import sys

ODD = b"caf\xe9\nx"
ctypes.CDLL(None).prctl(15, ODD, 0, 0, 0)
sockets = []
for name in (b"a-" + ODD, b"plain", b"z-" + ODD):
    sockets.append(socket.socket(socket.AF_UNIX))
    sockets[-1].bind(os.path.join(os.fsencode(sys.argv[1]), name))
    sockets[-1].listen()


def spin():
    while True:
        sum(range(1000))


for _ in range(2):
    if os.fork() == 0:
        signal.pause()

print("ready", flush=True)
spin()
