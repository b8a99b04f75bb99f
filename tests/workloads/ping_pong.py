"""Two processes pass a token through two pipes at the bottom of a stack of so many Python frames; each pass is a
switch. Says how many round trips it made when it is told to, by a line on standard input, or goes on for ever."""
import os
import sys


def passes(read, write, first):
    if first:
        os.write(write, b"x")
    while True:
        os.write(write, os.read(read, 1))
        counts[0] += 1


def descend(frames, read, write, first):
    if frames:
        descend(frames - 1, read, write, first)
    passes(read, write, first)


counts = [0]
there, back = os.pipe(), os.pipe()
frames = int(sys.argv[1]) - 3
if os.fork() == 0:
    descend(frames, there[0], back[1], False)
print("ready", flush=True)
descend(frames, back[0], there[1], True)
