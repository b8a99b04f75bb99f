"""Calls machine code that is mapped from a file which is no ELF, as closures of C libraries are, for ever."""
import ctypes
import mmap
import tempfile

# loop: dec rdi; jnz loop; ret
CODE = b"\x48\xff\xcf\x75\xfb\xc3"


def calls(function):
    function(30_000_000)


with tempfile.NamedTemporaryFile(prefix="closure") as file:
    file.write(CODE.ljust(mmap.PAGESIZE, b"\0"))
    file.flush()
    libc = ctypes.CDLL(None)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    address = libc.mmap(None, mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_EXEC, mmap.MAP_PRIVATE, file.fileno(), 0)
    function = ctypes.CFUNCTYPE(None, ctypes.c_ulong)(address)
    print("ready", flush=True)
    while True:
        calls(function)
