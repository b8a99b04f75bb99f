"""An application whose import takes 200 ms of CPU time, and that answers with its thread's CPU time by then, in ns."""

import os
import time

while time.thread_time_ns() < 200_000_000:
    pass

BOOTED = f"{os.getpid()} {time.thread_time_ns()}\n".encode()


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(BOOTED)))])
    return [BOOTED]
