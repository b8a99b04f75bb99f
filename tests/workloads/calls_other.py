"""Spins, once it is told, in functions of another interpreter: LIBRARY HOME. Without `alone` two other threads spin, too."""

import ctypes
import sys
import threading

RTLD_DEEPBIND = 8
SOURCE = b"""
def in_another():
    total = 0
    while True:
        total += 1
in_another()
"""


def calls_other():
    sys.stdin.readline()
    library = ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_LOCAL | RTLD_DEEPBIND)
    library.Py_SetPythonHome(ctypes.c_wchar_p(sys.argv[2]))
    library.Py_InitializeEx(0)
    print("calls", flush=True)
    library.PyRun_SimpleString(SOURCE)


def spins():
    total = 0
    while True:
        total += 1


print("ready", flush=True)
if "alone" in sys.argv:
    calls_other()
for target in calls_other, spins:
    threading.Thread(target=target, daemon=True).start()
spins()
