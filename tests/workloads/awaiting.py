"""Tasks that wait for ever: in coroutines that await one another, for another task, for several, and one that has not begun.
Says what each awaits, by what the interpreter tells of its own coroutines."""
import asyncio
import json
import types


async def inner(event):
    await event.wait()


async def middle(event):
    x = 1
    await inner(
        event,
    )
    return x


async def outer(event):
    await middle(event)


@types.coroutine
def by_hand(event):
    yield from outer(event)


async def calls_by_hand(event):
    await by_hand(event)


async def waits_for(task):
    await task


async def sleeps():
    await asyncio.sleep(1000)


def chain(coroutine):
    found = []
    while True:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is None:
            return found[::-1]
        found.append([frame.f_code.co_qualname, frame.f_code.co_filename, frame.f_lineno])
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)


def report():
    tasks = []
    for task in asyncio.all_tasks():
        awaited_by = sorted(other.get_name() for other in task._asyncio_awaited_by or ())
        tasks.append([task.get_name(), chain(task.get_coro()), awaited_by])
    print(json.dumps(sorted(tasks)), flush=True)


async def main():
    event = asyncio.Event()
    first = asyncio.create_task(outer(event), name="first")
    tasks = [first, asyncio.create_task(calls_by_hand(event), name="by hand")]
    tasks.append(asyncio.create_task(sleeps(), name="ünïcode"))
    tasks += [asyncio.create_task(waits_for(first), name=f"waits {n}") for n in range(3)]
    tasks.append(asyncio.create_task(waits_for(tasks[-1])))
    await asyncio.sleep(0)
    print("ready", flush=True)
    # No task runs while it is called.
    asyncio.get_running_loop().call_later(0.2, report)
    await asyncio.gather(*tasks)


asyncio.run(main())
