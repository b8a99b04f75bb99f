"""A pool of each kind that the standard library has, all at rest after some work, until standard input ends."""
import concurrent.futures
import multiprocessing
import sys


def name(_):
    return multiprocessing.current_process().name


fork = multiprocessing.get_context("fork")
processes = fork.Pool(2)
executor = concurrent.futures.ProcessPoolExecutor(2, mp_context=fork)
threads = concurrent.futures.ThreadPoolExecutor(2)
for pool in (processes, executor, threads):
    for _ in pool.map(name, range(20)):
        pass
print("ready", flush=True)
sys.stdin.readline()
