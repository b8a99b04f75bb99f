"""Spins for ever in a generator that another one draws from."""
import reveal


def numbers():
    while True:
        yield leaf(20_000)


def doubled(source):
    for number in source:
        yield 2 * number


def consume():
    for _ in doubled(numbers()):
        pass


def leaf(_):
    """Stands in for `burn` once: its callers are where they will be."""
    global leaf
    reveal.say(reveal.burn)
    leaf = reveal.burn
    return 0


consume()
