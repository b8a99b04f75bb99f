"""An ASGI application: it answers at once, and below /sleep after a sleep that holds up its whole event loop.

The answer: what it waited for, and how long it did at least and at most, ns.
"""
import time

SECONDS = 0.3


async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = b"idle 0 0"
    if scope["path"] == "/sleep":
        start = time.monotonic_ns()
        time.sleep(SECONDS)
        body = f"sleep {int(SECONDS * 1e9)} {time.monotonic_ns() - start}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
