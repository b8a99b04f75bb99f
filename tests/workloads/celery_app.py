"""Two Celery applications whose broker is in their own memory: `-A celery_app:polling` and `-A celery_app:hub`.

A worker asks a broker of the first kind for work by polling it; for one of the second, as Redis and RabbitMQ are, it
waits in an event loop, and its pool has a pipe for each process. That there is none behind it makes no difference to
a worker that gets no work.
"""
import celery
from kombu.transport import memory


class Asynchronous(memory.Transport):
    implements = memory.Transport.implements.extend(asynchronous=True)


polling = celery.Celery("polling", broker="memory://")
hub = celery.Celery("hub", broker="memory://")
hub.conf.broker_transport = Asynchronous
# So that each process tells who it is.
polling.conf.worker_log_format = "[%(process)d %(processName)s] %(message)s"
