"""A server that forks by hand: `prefork.py WORKERS [TITLE]`. It says the PIDs of its workers as JSON, and rests.

With a title, the workers write it over their command lines, if the module `setproctitle` is there.
"""
import json
import os
import signal
import socket
import sys

listener = socket.create_server(("127.0.0.1", 0))
workers = []
for number in range(int(sys.argv[1])):
    reader, writer = os.pipe()
    worker = os.fork()
    if worker == 0:
        if len(sys.argv) > 2:
            import setproctitle

            setproctitle.setproctitle(f"{sys.argv[2]} worker {number}")
        os.write(writer, b".")
        signal.pause()
    os.read(reader, 1)
    workers.append(worker)
print("ready", flush=True)
print(json.dumps(workers), flush=True)
signal.pause()
