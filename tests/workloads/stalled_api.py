"""A FastAPI application whose one route holds up its event loop twice: it sleeps, and it computes."""
import time

from fastapi import FastAPI

application = FastAPI()


def ask_old_client():
    time.sleep(0.04)


def render_pdf():
    start = time.thread_time()
    while time.thread_time() - start < 0.02:
        sum(range(1000))


@application.get("/")
async def invoice():
    ask_old_client()
    render_pdf()
    return {"paid": True}
