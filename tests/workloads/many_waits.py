"""Waits very often and very briefly, in as many functions as its first argument says and in as many threads as its second
does, for ever."""
import sys
import threading
import time

functions, threads = int(sys.argv[1]), int(sys.argv[2])
code = "".join(f"def wait_{n}():\n    sleep(1e-6)\n\n\n" for n in range(functions))
code += "places = [" + ", ".join(f"wait_{n}" for n in range(functions)) + "]\n"
names = {"sleep": time.sleep}
exec(compile(code, "places.py", "exec"), names)


def wait():
    while True:
        for place in names["places"]:
            place()


print("ready", flush=True)
for _ in range(threads - 1):
    threading.Thread(target=wait, daemon=True).start()
wait()
