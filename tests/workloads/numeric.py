"""Works in C code of three libraries for ever: multiplies (numpy's sgemm), compresses (zlib), and reads JSON."""
import json
import zlib

import numpy

TEXT = json.dumps([{"number": n, "text": "x" * 50, "list": [1.5, None]} for n in range(5000)])
DATA = TEXT.encode()
LEFT = numpy.ones((300, 300), dtype=numpy.float32)


def multiplies():
    numpy.matmul(LEFT, LEFT)


def compresses():
    zlib.compress(DATA, 6)


def reads():
    json.JSONDecoder().scan_once(TEXT, 0)


print("ready", flush=True)
while True:
    for _ in range(10):
        multiplies()
    compresses()
    reads()
