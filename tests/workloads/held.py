"""Three threads that stand for what a freezer meets: one works, one sleeps, one waits for a pipe that nobody writes to."""

import os
import select
import threading
import time


def work():
    while True:
        pass


def wait():
    reader, _writer = os.pipe()
    select.select([reader], [], [])


threading.Thread(target=work, name="works").start()
threading.Thread(target=wait, name="waits").start()
print("ready", flush=True)
time.sleep(100_000)
