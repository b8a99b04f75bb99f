"""A WSGI application that looks for work by itself, a thousand times a second, whether there is any or not."""
import threading
import time


def look_for_work():
    while True:
        time.sleep(0.001)


def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


threading.Thread(target=look_for_work, daemon=True).start()
