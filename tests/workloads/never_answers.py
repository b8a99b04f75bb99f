"""`never_answers.py FOLDER`: a Python whose list of threads goes on in a page of a file that is served here, by FUSE, and never
comes. Says that process's PID. For Python 3.12."""
import ctypes
import json
import mmap
import os
import signal
import struct

import sys

INIT, LOOKUP, GETATTR, OPEN, READ, RELEASE, FORGET, INTERRUPT = 26, 1, 3, 14, 15, 18, 2, 36
NO_ANSWER = {READ, FORGET, INTERRUPT}
NOT_IMPLEMENTED = -38
SIZE = 1 << 16
libc = ctypes.CDLL(None, use_errno=True)


def attributes(node):
    mode = 0o40755 if node == 1 else 0o100755
    return struct.pack("<6Q10I", node, 0 if node == 1 else SIZE, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


def answer(operation, node):
    """What a request is answered with; see include/uapi/linux/fuse.h."""
    if operation == INIT:
        return struct.pack("<4I2H9I", 7, 31, 0, 0, 0, 0, 4096, 0, 0, *[0] * 6)
    if operation == LOOKUP:
        return struct.pack("<4Q2I", 2, 0, 1000, 1000, 0, 0) + attributes(2)
    if operation == GETATTR:
        return struct.pack("<Q2I", 1000, 0, 0) + attributes(node)
    if operation == OPEN:
        return struct.pack("<Q2I", 1, 0, 0)
    return b"" if operation == RELEASE else None


def serve(fuse):
    while True:
        request = os.read(fuse, 1 << 20)
        _, operation, unique, node = struct.unpack_from("<2I2Q", request)
        if operation not in NO_ANSWER:
            said = answer(operation, node)
            error = NOT_IMPLEMENTED if said is None else 0
            os.write(fuse, struct.pack("<IiQ", 16 + len(said or b""), error, unique) + (said or b""))


def be_the_target(path):
    """Puts the served page behind the only thread state, and sleeps: nothing here looks at the list."""
    page = mmap.mmap(os.open(path, os.O_RDONLY), 4096, mmap.MAP_PRIVATE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    ctypes.pythonapi.PyThreadState_Get.restype = ctypes.c_void_p
    ctypes.c_uint64.from_address(ctypes.pythonapi.PyThreadState_Get() + 8).value = address
    print("ready", flush=True)
    print(json.dumps(os.getpid()), flush=True)
    while True:
        signal.pause()


folder = sys.argv[1]
assert libc.unshare(0x20000) == 0, "a mount namespace of its own"
assert libc.mount(None, b"/", None, 0x44000, None) == 0, "that nobody else sees"
fuse = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={fuse},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
assert libc.mount(b"never", folder.encode(), b"fuse", 0, options) == 0, ctypes.get_errno()
if os.fork():
    serve(fuse)
else:
    os.close(fuse)
    be_the_target(folder + "/file")
