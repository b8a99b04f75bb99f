"""What a program knows of its own stack: the truth that a profiler's view of it is compared with."""
import dis
import json
import sys


def describe(code, line):
    """A frame: its name (qualified from 3.11 on), its file, its first line, the one it is on, and all that it may be on."""
    may = {start for _, start in dis.findlinestarts(code)} | {code.co_firstlineno}
    if hasattr(code, "co_lines"):
        may |= {line for _, _, line in code.co_lines()}
    # Instructions of no line are told as line 0.
    lines = sorted(line or 0 for line in may)
    name = getattr(code, "co_qualname", code.co_name)
    first_line = code.co_firstlineno
    return {"name": name, "file": code.co_filename, "first_line": first_line, "line": line, "lines": lines}


def say(leaf):
    """Says `ready`, and the stack from the outermost frame on, in which `leaf` stands in the place of our caller."""
    frame = sys._getframe(2)
    callers = []
    while frame:
        callers.insert(0, describe(frame.f_code, frame.f_lineno))
        frame = frame.f_back
    print("ready", flush=True)
    print(json.dumps({"callers": callers, "leaf": describe(leaf.__code__, 0)}), flush=True)


def burn(rounds):
    """Works in pure Python."""
    total = 0
    for n in range(rounds):
        total += n * n % 7
    return total
