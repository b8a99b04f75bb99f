"""Spins for ever under each of the ways to trace Python, one after the other, in a function that is called like the way.

Says which stacks there can be but for what the tracers call, and on which lines the last function's loop is.
"""
import cProfile
import json
import sys
import time

SPIN = 0.02


def follow(frame, event, argument):
    return follow


def ignore(*arguments):
    pass


def burn(rounds):
    total = 0
    for n in range(rounds):
        total += n * n % 7
    return total


def spin():
    until = time.process_time() + SPIN
    while time.process_time() < until:
        leaf(500)
        leaf(500)


def plain():
    spin()


def by_settrace():
    sys.settrace(follow)
    spin()
    sys.settrace(None)


def by_setprofile():
    sys.setprofile(ignore)
    spin()
    sys.setprofile(None)


def by_cprofile():
    cProfile.Profile().runcall(spin)


def by_monitoring():
    """Code is made anew where it begins and ends."""
    events, tool = sys.monitoring.events, sys.monitoring.PROFILER_ID
    every = events.LINE | events.CALL | events.PY_START | events.PY_RETURN | events.INSTRUCTION | events.JUMP
    sys.monitoring.use_tool_id(tool, "traced")
    for bit in range(every.bit_length()):
        if every >> bit & 1:
            sys.monitoring.register_callback(tool, 1 << bit, ignore)
    sys.monitoring.set_events(tool, every)
    spin()
    sys.monitoring.set_events(tool, 0)
    sys.monitoring.free_tool_id(tool)


def leaf(_):
    """Stands in for `burn` for the first round: its callers are where they will be."""
    frame, stack = sys._getframe(1), ["burn"]
    while frame:
        name = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)
        stack.insert(0, "{}:{}".format(name, frame.f_lineno))
        frame = frame.f_back
    stacks.add(tuple(stack))


ways = [plain, by_settrace, by_setprofile, by_cprofile]
if hasattr(sys, "monitoring"):
    ways.append(by_monitoring)
stacks = set()
while True:
    for way in ways:
        way()
    if leaf is not burn:
        leaf = burn
        loop = [burn.__code__.co_firstlineno + 2, burn.__code__.co_firstlineno + 3]
        print("ready", flush=True)
        print(json.dumps({"stacks": sorted(stacks), "loop": loop}), flush=True)
