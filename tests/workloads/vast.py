"""`vast.py WHAT NUMBER`: spins for ever in a process that has very many of something.

`lines`: the function that spins has so many lines, and so has its line table. Says its bytes, and where it spins.
`mappings`: so many of memory, no two of which the kernel can join. Says nothing.
`threads`: so many that wait for ever, each with a name of its own. Says the names by TID.
"""
import ctypes
import json
import mmap
import sys
import threading

import reveal

GETTID = 186


def lines(number):
    places = number // 10, number // 2, number - 10
    source = ["def vast(way):", "    x = 0"] + ["    x = way"] * number
    for place in places:
        source[place] = "    burn(50_000)"
    names = {"burn": reveal.burn}
    exec(compile("\n".join(source), "vast.py", "exec"), names)
    code = names["vast"].__code__
    table = code.co_linetable if hasattr(code, "co_linetable") else code.co_lnotab
    print("ready", flush=True)
    print(json.dumps({"bytes": len(table), "lines": [place + 1 for place in places]}), flush=True)
    while True:
        names["vast"](1)


def mappings(number):
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    failed = ctypes.c_void_p(-1).value
    for index in range(number):
        access = mmap.PROT_READ if index % 2 else mmap.PROT_READ | mmap.PROT_WRITE
        address = libc.mmap(None, mmap.PAGESIZE, access, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
        if address == failed:
            raise OSError(ctypes.get_errno(), "mmap")
    spin(lambda: print("{}", flush=True))


def threads(number):
    libc = ctypes.CDLL(None)
    names, begun, never = {}, threading.Semaphore(0), threading.Event()

    def wait(name):
        names[libc.syscall(GETTID)] = name
        begun.release()
        never.wait()

    threading.stack_size(128 * 1024)
    for index in range(number):
        name = "waits as number {}".format(index)
        threading.Thread(target=wait, args=(name,), name=name, daemon=True).start()
        begun.acquire()
    spin(lambda: print(json.dumps(names), flush=True))


def spin(say):
    print("ready", flush=True)
    say()
    while True:
        reveal.burn(5_000)


globals()[sys.argv[1]](int(sys.argv[2]))
