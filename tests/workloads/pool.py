"""A pool of three forked processes, which rests until its standard input ends."""
import multiprocessing
import sys


def name(_):
    return multiprocessing.current_process().name


with multiprocessing.get_context("fork").Pool(3) as pool:
    pool.map(name, range(3))
    print("ready", flush=True)
    sys.stdin.readline()
