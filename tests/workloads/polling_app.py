"""A WSGI application for uWSGI; in each of its processes a thread asks for flags 50 times a second."""
import threading
import time

import uwsgidecorators

from who_app import application


def poll_flags():
    while True:
        time.sleep(0.02)


@uwsgidecorators.postfork
def start():
    threading.Thread(target=poll_flags, daemon=True).start()
