"""`daemon.py FILE PORT`: leaves a daemon behind, in a session of its own, whose PID is in the file; and ends."""
import os
import signal
import sys

reads, writes = os.pipe()
if os.fork():
    os.read(reads, 1)
    os._exit(0)
os.setsid()
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork():
    os._exit(0)
with open(sys.argv[1], "w") as file:
    file.write(str(os.getpid()))
os.write(writes, b"x")
while True:
    signal.pause()
