"""Waits for a time, and for others. Each function makes what it needs in a folder, and gives what comes before each
wait, and the wait. What ends it is a thread that naps meanwhile, where nothing else is said.
"""
import fcntl
import os
import select
import signal
import socket
import threading
import time

# In the middle of the lengths from 2^23 to 2^24 ns.
NAP = 0.012
# Only the first thread may say so. The handler need not do anything: `pause` returns after it.
signal.signal(signal.SIGUSR1, lambda *_: None)


def nothing():
    pass


def peer(answer):
    """Answers, after a nap, whenever it is told to by what is returned."""
    told, teller = os.pipe()

    def run():
        while os.read(told, 1):
            time.sleep(NAP)
            answer()

    threading.Thread(target=run, daemon=True).start()
    return lambda: os.write(teller, b"x")


def sleep(_):
    return nothing, lambda: time.sleep(NAP)


def poll_nothing(_):
    return nothing, lambda: select.poll().poll(NAP * 1000)


def pipe(_):
    read, write = os.pipe()
    return peer(lambda: os.write(write, b"x")), lambda: os.read(read, 1)


def poll_pipe(_):
    read, write = os.pipe()
    poll = select.poll()
    poll.register(read, select.POLLIN)
    return peer(lambda: os.write(write, b"x")), lambda: poll.poll() and os.read(read, 1)


def full_pipe(_):
    """Writes to a pipe that the other end is slow to empty."""
    read, write = os.pipe()
    size = fcntl.fcntl(write, 1032)  # F_GETPIPE_SZ, which has no name before 3.10.
    tell = peer(lambda: os.read(read, size))
    return lambda: os.write(write, bytes(size)) and tell(), lambda: os.write(write, b"x") and os.read(read, 1)


def tcp():
    server = socket.create_server(("127.0.0.1", 0))
    mine = socket.create_connection(server.getsockname())
    return mine, server.accept()[0]


def receive(_, ends=tcp):
    mine, other = ends()
    return peer(lambda: other.send(b"x")), lambda: mine.recv(1)


def receive_locally(_):
    return receive(_, socket.socketpair)


def receive_in_time(_):
    """With a timeout Python polls before it receives."""
    mine, other = tcp()
    mine.settimeout(60)
    return receive(_, lambda: (mine, other))


def polled(register):
    """`register`: makes of a socket what waits for it."""
    mine, other = tcp()
    wait = register(mine)
    return peer(lambda: other.send(b"x")), lambda: wait() and mine.recv(1)


def poll(_, make=select.poll, event=select.POLLIN):
    def register(mine):
        poll = make()
        poll.register(mine, event)
        return poll.poll

    return polled(register)


def epoll(_):
    return poll(_, select.epoll, select.EPOLLIN)


def select_one(_):
    return polled(lambda mine: lambda: select.select([mine], [], []))


def accept(_):
    server = socket.create_server(("127.0.0.1", 0))
    kept = []
    return peer(lambda: kept.append(socket.create_connection(server.getsockname()))), server.accept


def child(_):
    """Waits for a child process, which naps and ends."""

    def fork():
        if os.fork() == 0:
            time.sleep(NAP)
            os._exit(0)

    return fork, lambda: os.waitpid(-1, 0)


def paused(_):
    waiter = []
    tell = peer(lambda: signal.pthread_kill(waiter[0], signal.SIGUSR1))

    def prepare():
        waiter[:] = [threading.get_ident()]
        tell()

    return prepare, signal.pause


def sigwait(_):
    tell, _ = paused(_)

    def prepare():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        tell()

    return prepare, lambda: signal.sigwait([signal.SIGUSR1])
