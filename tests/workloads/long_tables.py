"""`long_tables.py`: 3,000 functions that have a line table of a megabyte each, all the same. For Python 3.12."""
import sys
import time
import types

sys.setrecursionlimit(2000)
TABLE = bytes([0x80]) * 1_000_000


def step(functions, index):
    if index < len(functions):
        return functions[index](functions, index + 1)
    until = time.monotonic() + 0.1
    while time.monotonic() < until:
        pass


def made(group, index):
    code = step.__code__.replace(
        co_name=f"step_{group}_{index}", co_firstlineno=group * 500 + index + 1, co_linetable=TABLE)
    return types.FunctionType(code, globals())


groups = [[made(group, index) for index in range(500)] for group in range(6)]
print("ready", flush=True)
while True:
    for group in groups:
        group[0](group, 1)
