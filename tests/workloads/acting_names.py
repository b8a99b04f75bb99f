"""`acting_names.py FOLDER`: spins in functions whose names and files act on a terminal, a page or a table, in a thread and a process
named so, too, beside a mapped file whose path is no UTF-8. For Python 3.8 and later."""
import ctypes
import mmap
import os
import sys
import threading
import time
import types

ACTS = "\x1b]0;own\x07\x1b[2J\x9b31m\u202e\u2066</text></script><b>\n\r\t\x00\x7f\u2028\U000e0041&\"'` ${x}|*[a](b); 99"
NAMES = [ACTS, "spin 99", "spin", "\ud800", ""]
FILES = ["", ACTS, "/a b 7", "/a;b.py", "\udcff", "/" + 3000 * "d/" + "x.py"]


def spin():
    until = time.thread_time() + 0.02
    while time.thread_time() < until:
        pass


def named(name, file):
    code = spin.__code__.replace(co_name=name, co_filename=file)
    if hasattr(code, "co_qualname"):
        code = code.replace(co_qualname=name)
    return types.FunctionType(code, globals())


def work(comm):
    ctypes.CDLL(None).prctl(15, comm, 0, 0, 0)
    while True:
        for function in functions:
            function()


path = os.path.join(os.fsencode(sys.argv[1]), b"caf\xe9\n\x1b[31m")
with open(path, "w+b") as file:
    file.truncate(mmap.PAGESIZE)
    page = mmap.mmap(file.fileno(), mmap.PAGESIZE)
functions = [named(name, file) for name in NAMES for file in FILES]
threading.Thread(target=work, args=(b"\x1b[7m\xff\nx",), name=ACTS, daemon=True).start()
print("ready", flush=True)
work(b"\xc3\xa4\x1b[31m")
