"""Two threads that fight for the GIL of the subinterpreter that both are in, which is its own (3.12+)."""
import sys
import threading

TEXT = """
import os
import threading


def fights():
    while True:
        pass


threading.Thread(target=fights, name="second").start()
os.write(1, b"ready\\n")
fights()
"""


def run():
    if sys.version_info < (3, 13):
        import _xxsubinterpreters
        _xxsubinterpreters.run_string(_xxsubinterpreters.create(isolated=True), TEXT)
    else:
        import _interpreters
        _interpreters.run_string(_interpreters.create("isolated"), TEXT)


threading.Thread(target=run, name="first", daemon=True).start()
sys.stdin.readline()
