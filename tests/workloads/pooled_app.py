"""The application of `wsgi_app`, in a process that has pools and threads which nobody gives work: of the library behind
numpy, a timer, a thread that waits to be told, and one that writes logs."""
import logging.handlers
import queue
import threading

import numpy

from wsgi_app import application

never = threading.Event()


def poll_flags():
    while not never.wait(60):
        pass


numpy.ones((600, 600)) @ numpy.ones((600, 600))
threading.Thread(target=poll_flags, daemon=True).start()
timer = threading.Timer(1000, never.set)
timer.daemon = True
timer.start()
logging.handlers.QueueListener(queue.Queue()).start()
