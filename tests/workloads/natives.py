"""Works in C code for ever: compresses, reads JSON, and sorts by a function in Python."""
import json
import zlib

TEXT = json.dumps([{"number": n, "text": "x" * 50, "list": [1.5, None]} for n in range(5000)])
# One call takes tens of milliseconds: what the interpreter does between two, on caches that others have emptied, is
# nothing beside it.
DATA = TEXT.encode() * 8


def compresses():
    zlib.compress(DATA, 9)


def reads():
    json.loads(TEXT)


def by_key(number):
    total = 0
    for n in range(30):
        total += n * number
    return total


def sorts():
    sorted(range(1000), key=by_key)


print("ready", flush=True)
while True:
    compresses()
    for _ in range(4):
        reads()
    for _ in range(15):
        sorts()
