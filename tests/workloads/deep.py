"""Spins for ever at the bottom of a stack of so many Python frames, this module's own included."""
import sys


def leaf():
    total = 0
    for number in range(20_000):
        total += number * number
    return total


def descend(frames):
    if frames:
        descend(frames - 1)
    print("ready", flush=True)
    while True:
        leaf()


descend(int(sys.argv[1]) - 3)
