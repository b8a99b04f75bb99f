"""A thread that spins and sleeps in a subinterpreter, into which it calls."""
import sys
import threading

TEXT = """
import os
import time


def spins():
    until = time.process_time() + 0.02
    while time.process_time() < until:
        pass


def sleeps():
    time.sleep(0.01)


def in_another():
    while True:
        spins()
        sleeps()


os.write(1, b"ready\\n")
in_another()
"""


def run():
    if sys.version_info < (3, 8):
        import _testcapi
        _testcapi.run_in_subinterp(TEXT)
    elif sys.version_info < (3, 13):
        import _xxsubinterpreters
        _xxsubinterpreters.run_string(_xxsubinterpreters.create(), TEXT)
    else:
        import _interpreters
        _interpreters.run_string(_interpreters.create(), TEXT)


def calls_into_another():
    run()


threading.Thread(target=calls_into_another, name="calls", daemon=True).start()
sys.stdin.readline()
