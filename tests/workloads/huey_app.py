"""Huey without work; its queue is in its own memory, or in the Redis that the variable `BROKER` tells."""
import os

import huey

url = os.environ.get("BROKER")
tasks = huey.RedisHuey("tasks", url=url) if url else huey.MemoryHuey("tasks")
