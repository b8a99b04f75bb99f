"""Spins for ever in functions whose names, and whose files, are in other scripts or made to do harm."""
import types

import reveal

NAMES = ["größe", "価格", "😀", "a;b\n<script>\x1b[31m", "\"&amp;</title>]]>'", "\\x1b \u202e{}\t%s"]


def call(depth):
    if depth < len(links):
        links[depth](depth + 1)
    else:
        leaf(20_000)


def named(name):
    qualified = {"co_qualname": name} if hasattr(call.__code__, "co_qualname") else {}
    code = call.__code__.replace(co_name=name, co_filename=f"/srv/{name}.py", **qualified)
    return types.FunctionType(code, globals())


def leaf(_):
    """Stands in for `burn` once: its callers are where they will be."""
    global leaf
    reveal.say(reveal.burn)
    leaf = reveal.burn


links = [named(name) for name in NAMES]
while True:
    call(0)
