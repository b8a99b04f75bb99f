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
    code, file = call.__code__, "/srv/{}.py".format(name)
    if hasattr(code, "replace"):
        qualified = {"co_qualname": name} if hasattr(code, "co_qualname") else {}
        code = code.replace(co_name=name, co_filename=file, **qualified)
    else:  # before 3.8
        code = types.CodeType(
            code.co_argcount, code.co_kwonlyargcount, code.co_nlocals, code.co_stacksize, code.co_flags, code.co_code,
            code.co_consts, code.co_names, code.co_varnames, file, name, code.co_firstlineno, code.co_lnotab,
            code.co_freevars, code.co_cellvars)
    return types.FunctionType(code, globals())


def leaf(_):
    """Stands in for `burn` once: its callers are where they will be."""
    global leaf
    reveal.say(reveal.burn)
    leaf = reveal.burn


links = [named(name) for name in NAMES]
while True:
    call(0)
