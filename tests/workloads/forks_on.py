"""Forks a child every ms or so, for ever; each lives as long as some of the next."""
import os
import signal
import time

# The kernel collects them, also where there is none just now.
signal.signal(signal.SIGCHLD, signal.SIG_IGN)

print("ready", flush=True)
while True:
    if os.fork() == 0:
        time.sleep(0.02)
        os._exit(0)
    time.sleep(0.0005)
