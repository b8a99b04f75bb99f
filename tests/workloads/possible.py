"""Short functions in pairs, called in every way that Python has, for ever. Says which stacks there can be.

Frames of one way's first function are freed before the second's begin at the same addresses: what is torn has one of each.
"""
import itertools
import json
import sys


def leaf_a():
    return sum(range(50))


def leaf_b():
    return sum(range(50))


def calls(leaf):
    return leaf()


def plain_a():
    return calls(leaf_a)


def plain_b():
    return calls(leaf_b)


def generate_a():
    while True:
        yield leaf_a()


def generate_b():
    while True:
        yield leaf_b()


def draw_a():
    for _ in generate_a():
        return


def draw_b():
    for _ in generate_b():
        return


def send_a(generator=generate_a()):
    generator.send(None)


def send_b(generator=generate_b()):
    generator.send(None)


def delegate_a():
    yield from generate_a()


def delegate_b():
    yield from generate_b()


def resume_a(generator=delegate_a()):
    next(generator)


def resume_b(generator=delegate_b()):
    next(generator)


async def work_a():
    leaf_a()


async def work_b():
    leaf_b()


async def await_a():
    await work_a()


async def await_b():
    await work_b()


def run_a():
    for _ in await_a().__await__():
        pass


def run_b():
    for _ in await_b().__await__():
        pass


def comprehend_a():
    return [leaf_a() for _ in range(3)]


def comprehend_b():
    return [leaf_b() for _ in range(3)]


def raise_a():
    leaf_a()
    raise KeyError


def raise_b():
    leaf_b()
    raise KeyError


def catch_a():
    try:
        raise_a()
    except KeyError:
        leaf_a()


def catch_b():
    try:
        raise_b()
    except KeyError:
        leaf_b()


class A:
    def __init__(self):
        self.made = leaf_a()

    @property
    def asked(self):
        return leaf_a()

    def __getitem__(self, index):
        return leaf_a()

    def __del__(self):
        leaf_a()


class B:
    def __init__(self):
        self.made = leaf_b()

    @property
    def asked(self):
        return leaf_b()

    def __getitem__(self, index):
        return leaf_b()

    def __del__(self):
        leaf_b()


def use_a():
    a = A()
    return a.asked, a[0]


def use_b():
    b = B()
    return b.asked, b[0]


PAIRS = [
    plain_a, plain_b, draw_a, draw_b, send_a, send_b, resume_a, resume_b, run_a, run_b, comprehend_a, comprehend_b, catch_a,
    catch_b, use_a, use_b,
]


def play():
    for function in PAIRS:
        function()


def note(frame, event, _):
    """A stack, from the outermost frame: each function with the line of its call, and the last without."""
    if event == "call":
        stack = [getattr(frame.f_code, "co_qualname", frame.f_code.co_name)]
        while frame.f_back:
            frame = frame.f_back
            name = getattr(frame.f_code, "co_qualname", frame.f_code.co_name)
            stack.insert(0, "{}:{}".format(name, frame.f_lineno))
        stacks.add(tuple(stack))


# The first round begins generators, which later ones go on with. Each is from the one loop, as those of the recording.
stacks = {("<module>",)}
for turn in itertools.count():
    if turn < 2:
        sys.setprofile(note)
    play()
    sys.setprofile(None)
    if turn == 1:
        print("ready", flush=True)
        print(json.dumps(sorted(stacks)), flush=True)
