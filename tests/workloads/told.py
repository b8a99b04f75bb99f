"""Threads that sleep again and again, each at the end of another kind of call, and a main thread that spins.

Says, after what `reveal` says of the main thread, what name each of the others has, and what stack while it sleeps, by
its TID.
"""
import ctypes
import functools
import json
import sys
import threading
import time

import reveal

GETTID = 186
tids = {}


def rest():
    while True:
        time.sleep(0.02)


def by_recursion(depth):
    return by_recursion(depth - 1) if depth else rest()


def by_generator():
    def inner():
        yield rest()
    for _ in inner():
        pass


def by_coroutine():
    async def inner():
        rest()

    async def outer():
        await inner()
    outer().send(None)


def by_key():
    return sorted([1], key=lambda _: rest())


def by_partial():
    functools.reduce(lambda _, call: call(), [None, functools.partial(rest)])


def through(
    function
):
    @functools.wraps(
        function
    )
    def wrapper(*arguments):
        return function(
            *arguments
        )
    return wrapper


@through
@through
def by_decorators():
    rest()


class Shop:
    @property
    def by_property(self):
        return rest()

    @staticmethod
    def by_static():
        rest()

    @classmethod
    def by_class(cls):
        [rest() for _ in "x"]

    def __getattr__(self, name):
        return rest()


def by_exec():
    exec("def größe():\n    rest()\ngröße()", {"rest": rest})


def by_eval():
    eval("(lambda: rest())()", {"rest": rest})


CALLS = [
    lambda: by_recursion(40), by_generator, by_coroutine, by_key, by_partial, by_decorators, lambda: Shop().by_property,
    Shop.by_static, Shop.by_class, lambda: Shop().missing, by_exec, by_eval,
]


def begin(call):
    tids[threading.get_ident()] = ctypes.CDLL(None).syscall(GETTID)
    call()


def asleep(frame):
    return frame.f_code is rest.__code__ and frame.f_lineno == rest.__code__.co_firstlineno + 2


def say_others():
    """Each one's name, and its frames from the outermost."""
    while True:
        found = {ident: frame for ident, frame in sys._current_frames().items() if ident in tids}
        if len(found) == len(CALLS) and all(map(asleep, found.values())):
            break
        time.sleep(0.001)
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    told = {}
    for ident, frame in found.items():
        frames = []
        while frame:
            code = frame.f_code
            frames.insert(0, [getattr(code, "co_qualname", code.co_name), code.co_filename, frame.f_lineno])
            frame = frame.f_back
        told[tids[ident]] = {"name": names[ident], "frames": frames}
    print(json.dumps(told), flush=True)


def leaf(_):
    """Stands in for `burn` once: its callers are where they will be."""
    global leaf
    reveal.say(reveal.burn)
    leaf = reveal.burn
    say_others()


for call in CALLS:
    threading.Thread(target=begin, args=(call,), daemon=True).start()
if "titled" in sys.argv:
    import setproctitle
    setproctitle.setproctitle("shop: worker [busy]")
while True:
    leaf(20_000)
