"""A Pool and a ProcessPoolExecutor of two processes each, and a process alone, started by the method that is named.

It says the PIDs of each as JSON, and rests until its standard input ends.
"""
import concurrent.futures
import json
import multiprocessing
import os
import sys
import time


def pid(_):
    time.sleep(0.05)
    return os.getpid()


def rest(connection):
    connection.send(os.getpid())
    connection.recv()


def pids(pool):
    """Of all its processes: each of them takes its time for an answer, so that the others have a turn."""
    seen = set()
    while len(seen) < 2:
        seen.update(pool.map(pid, range(8)))
    return sorted(seen)


if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    pool = context.Pool(2)
    executor = concurrent.futures.ProcessPoolExecutor(2, mp_context=context)
    told = {"pool": pids(pool), "executor": pids(executor)}
    ours, theirs = context.Pipe()
    process = context.Process(target=rest, args=(theirs,), daemon=True)
    process.start()
    told["process"] = [ours.recv()]
    print("ready", flush=True)
    print(json.dumps(told), flush=True)
    sys.stdin.readline()
    os._exit(0)
