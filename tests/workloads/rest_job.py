"""A job for RQ: it writes the PID of the process that it runs in to a file, and rests.

As a program, it puts such a job into a queue: `rest_job.py URL QUEUE FILE`.
"""
import os
import sys
import time


def rest(path):
    with open(path, "w") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(600)


if __name__ == "__main__":
    import redis
    import rq

    url, queue, path = sys.argv[1:]
    rq.Queue(queue, connection=redis.Redis.from_url(url)).enqueue("rest_job.rest", path)
