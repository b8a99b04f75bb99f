"""Spins down a known call tree for ever. Says, after what `reveal` says, where the loop's statements stand."""
import ast
import json

import reveal

# The lines that work lie far apart, and an expression goes back and forth between its own.
SOURCE = f"""
def burn(rounds):
    total = 0
    for n in range(rounds):
        total += n * n % 7
        {300 * chr(10)}
        total -= (
            n *
            {200 * chr(10)}
            (n + 1) % (
                n + 5
            )
        )
    return total
"""
exec(compile(SOURCE, "far apart.py", "exec"))


class Shop:
    def total(self):
        return leaf(
            20_000
        )


def checkout(shop):
    for _ in range(10):
        shop.total()


def main():
    while True:
        checkout(Shop())


def leaf(_):
    """Stands in for `burn` once: its callers are where they will be."""
    global leaf
    reveal.say(burn)
    loop = next(node for node in ast.walk(ast.parse(SOURCE)) if isinstance(node, ast.For))
    # Before 3.8 the parser does not say where a statement ends: where the next one begins, then.
    starts = [node.lineno for node in loop.body]
    ends = [start - 1 for start in starts[1:]] + [len(SOURCE.splitlines())]
    ends = [getattr(node, "end_lineno", end) for node, end in zip(loop.body, ends)]
    print(json.dumps(list(zip(starts, ends))), flush=True)
    leaf = burn


main()
