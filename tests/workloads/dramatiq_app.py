"""Dramatiq without work; its broker is in its own memory, or the Redis that the variable `BROKER` tells."""
import os
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.brokers.stub import StubBroker

url = os.environ.get("BROKER")
dramatiq.set_broker(RedisBroker(url=url) if url else StubBroker())


@dramatiq.actor
def rest():
    pass


def aside():
    """What is to run in a process of its own."""
    time.sleep(600)
