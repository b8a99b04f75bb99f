"""Serves imaginary requests, one after the other, for ever, and logs each as a line of the file that is its first
argument. With a second one, `render` does so much more work, in per cent of a request's whole."""
import os
import sys

UNIT = 600
more = int(sys.argv[2]) if len(sys.argv) > 2 else 0
log = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def load():
    total = 0
    for n in range(4 * UNIT):
        total += n * n % 7
    return total


def render():
    total = 0
    for n in range(3 * UNIT + 10 * UNIT * more // 100):
        total += n * n % 7
    return total


def encode():
    total = 0
    for n in range(3 * UNIT):
        total += n * n % 7
    return total


def serve():
    while True:
        load()
        render()
        encode()
        os.write(log, b"GET /\n")


print("ready", flush=True)
serve()
