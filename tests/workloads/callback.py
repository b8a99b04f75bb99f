"""Spins for ever in a comparison that `sorted` calls from C, inside of a key function that `sorted` calls from C."""
import reveal


class Price:
    def __lt__(self, other):
        return leaf(2_000) < 0


def price(row):
    return len(sorted([Price(), Price()]))


def rank(rows):
    return sorted(rows, key=price)


def main():
    while True:
        rank(range(3))


def leaf(_):
    """Stands in for `burn` once: its callers are where they will be."""
    global leaf
    reveal.say(reveal.burn)
    leaf = reveal.burn
    return 0


main()
