"""The demo's application for the audit: `/cpu` works for some 5 ms, `/io` asks a slow backend over a blocking socket.

The backend (`slow_backend.py`) is where BACKEND says: host:port."""
import os
import socket

import wsgi_app


def ask_backend():
    host, port = os.environ["BACKEND"].rsplit(":", 1)
    with socket.create_connection((host, int(port))) as backend:
        backend.sendall(b"price?\n")
        return backend.recv(64)


def io_route(environ, start_response):
    body = ask_backend()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


def application(environ, start_response):
    route = io_route if environ["PATH_INFO"] == "/io" else wsgi_app.application
    return route(environ, start_response)
