"""Compiles functions, runs each a while, and drops it, so that code objects take each other's places all the time.

Each function's number, which is its name, tells which of the callers below called it: a sample that has another caller has
a name that some other function left behind.
"""
import sys

CALLERS = 16

SOURCE = """
def f_{number}(until):
    n = 0
    while n < until:
        n += 1
    return n
"""


def caller(number):
    namespace = {}
    source = "def caller_{0}(function, until):\n    return function(until)\n".format(number)
    exec(compile(source, "<caller>", "exec"), namespace)
    return namespace["caller_{}".format(number)]


def churn():
    callers = [caller(number) for number in range(CALLERS)]
    number = 0
    while True:
        number += 1
        namespace = {}
        # Sources of different lengths, so that objects of different sizes follow each other.
        source = "\n" * (number % 7) + SOURCE.format(number=number)
        exec(compile(source, "<f {}>".format(number % 3), "exec"), namespace)
        callers[number % CALLERS](namespace["f_{}".format(number)], 1000 + 500 * (number % 5))


print("ready")
sys.stdout.flush()
churn()
