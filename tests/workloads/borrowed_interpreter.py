"""A thread runs a subinterpreter that another made, which goes its own way meanwhile. argv: who runs it, main or thread"""
import sys
import threading
import time

TEXT = """
import os
import sys
import time

sys.setswitchinterval(0.005)


def spins():
    until = time.process_time() + 0.01
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

if sys.version_info < (3, 8):
    import ctypes

    api = ctypes.PyDLL(None)
    api.Py_NewInterpreter.restype = ctypes.c_void_p
    api.PyThreadState_Get.restype = ctypes.c_void_p
    api.PyThreadState_Swap.argtypes = [ctypes.c_void_p]
    # Nobody may ask for the GIL between the steps.
    sys.setswitchinterval(1000)

    def create():
        swap, new, own = api.PyThreadState_Swap, api.Py_NewInterpreter, api.PyThreadState_Get()
        made = new()
        swap(own)
        return made

    def run(made):
        swap, simple, text = api.PyThreadState_Swap, api.PyRun_SimpleString, TEXT.encode()
        swap(made)
        simple(text)

elif sys.version_info < (3, 13):
    from _xxsubinterpreters import create, run_string

    def run(made):
        run_string(made, TEXT)

else:
    from _interpreters import create, run_string

    def run(made):
        run_string(made, TEXT)


def makes_and_spins():
    until = time.process_time() + 0.01
    while time.process_time() < until:
        pass


def makes_and_sleeps():
    time.sleep(0.01)


def maker():
    made.append(create())
    is_made.release()
    while True:
        makes_and_spins()
        makes_and_sleeps()


def borrows():
    run(made[0])


made = []
is_made = threading.Lock()
is_made.acquire()
threading.Thread(target=maker, name="maker", daemon=True).start()
is_made.acquire()
if sys.argv[1] == "main":
    borrows()
else:
    threading.Thread(target=borrows, name="borrower", daemon=True).start()
    sys.stdin.readline()
