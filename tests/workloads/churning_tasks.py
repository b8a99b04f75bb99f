"""A Celery application whose pool processes compute long before their first task: `celery -A churning_tasks worker`.

Run as a program it asks for tasks until it is ended. The broker is Redis at the URL in `BROKER`.
"""
import os
import time

import celery
from celery.signals import worker_process_init

app = celery.Celery("churning_tasks", broker=os.environ["BROKER"])
app.conf.task_ignore_result = True
# So that each process tells who it is.
app.conf.worker_task_log_format = "[%(process)d] %(message)s"


@worker_process_init.connect
def load_model(**_):
    start = time.thread_time()
    while time.thread_time() - start < 0.3:
        sum(range(1000))


@app.task(name="send_mail")
def send_mail():
    time.sleep(0.01)


if __name__ == "__main__":
    while True:
        send_mail.delay()
        time.sleep(0.05)
