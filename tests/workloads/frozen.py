"""A thread that waits in a pool's function, whose file has the name it has in a frozen application: no folder."""
import queue
import sys
import threading

scope = {"waits": threading.Semaphore(0)}
code = "def _worker(tasks):\n    waits.release()\n    tasks.get(block=True)\n"
exec(compile(code, "concurrent/futures/thread.py", "exec"), scope)
threading.Thread(target=scope["_worker"], args=(queue.SimpleQueue(),), name="pool", daemon=True).start()
scope["waits"].acquire()
print("ready", flush=True)
sys.stdin.readline()
