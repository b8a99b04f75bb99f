"""C calls short Python functions all the time, at one depth of C and from two depths of Python."""
WORDS = [str(number) for number in range(50)]


def from_near(word):
    return word


def from_far(word):
    return word


def near():
    return max(WORDS, key=from_near)


def far():
    return farther()


def farther():
    return farthest()


def farthest():
    return max(WORDS, key=from_far)


print("ready", flush=True)
while True:
    near()
    far()
