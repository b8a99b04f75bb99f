"""Serves imaginary requests, one after the other, for ever, and logs each as a line of the file that is its first
argument. With a second one, `render` does so much more work, in per cent of a request's whole.

Work is CPU time by the kernel's clock, so a request costs the same whatever a host's neighbours leave of its CPUs."""
import os
import sys
from time import thread_time_ns

UNIT_NS = 50_000
more = int(sys.argv[2]) if len(sys.argv) > 2 else 0
log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def load():
    end = thread_time_ns() + 4 * UNIT_NS
    while thread_time_ns() < end:
        pass


def render():
    end = thread_time_ns() + 3 * UNIT_NS + 10 * UNIT_NS * more // 100
    while thread_time_ns() < end:
        pass


def encode():
    end = thread_time_ns() + 3 * UNIT_NS
    while thread_time_ns() < end:
        pass


def serve():
    while True:
        load()
        render()
        encode()
        os.write(log, b"GET /\n")


print("ready", flush=True)
serve()
