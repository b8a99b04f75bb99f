"""A process whose first thread is not the last.

`exits`: at a line that thread exits, another works on; at the next line the process ends with status 3.
`execs`: at a line another thread works for 500 ms of CPU time and calls exec; what comes then says `again` and works.
`soon`: as `execs`, at once, and what comes then works for a second of CPU time and ends with status 3.
"""

import ctypes
import os
import sys
import threading
import time


def work_for(milliseconds):
    until = time.thread_time() + milliseconds / 1000
    while time.thread_time() < until:
        pass


def survive():
    while True:
        work_for(10)


def obey(leave):
    sys.stdin.readline()
    leave.set()
    sys.stdin.readline()
    os._exit(3)


def exits():
    leave = threading.Event()
    for name, function, arguments in [("survivor", survive, ()), ("obeys", obey, (leave,))]:
        threading.Thread(target=function, args=arguments, name=name).start()
    print("ready", flush=True)
    leave.wait()
    ctypes.CDLL(None).pthread_exit(None)


def before_exec(then):
    work_for(500)
    os.execv(sys.executable, [sys.executable, __file__, then])


def after_exec(milliseconds):
    work_for(milliseconds)


def execs():
    def wait_and_exec():
        sys.stdin.readline()
        before_exec("again")

    threading.Thread(target=wait_and_exec, name="launcher").start()
    print("ready", flush=True)
    threading.Event().wait()


def again():
    print("again", flush=True)
    after_exec(600_000)


def soon():
    threading.Thread(target=before_exec, args=("end",)).start()
    threading.Event().wait()


def end():
    after_exec(1000)
    sys.exit(3)


globals()[sys.argv[1]]()
