"""Two asyncio tasks with names, and one without, that take turns in working; each in a function of its own."""
import asyncio

import reveal


async def turn():
    reveal.burn(20_000)
    await asyncio.sleep(0)


async def east():
    while True:
        await turn()


async def west():
    while True:
        await turn()


async def nameless():
    while True:
        await turn()


async def main():
    tasks = [asyncio.create_task(east(), name="to the east"), asyncio.create_task(west(), name="to the west")]
    tasks.append(asyncio.create_task(nameless()))
    await asyncio.sleep(0)
    print("ready", flush=True)
    await asyncio.gather(*tasks)


asyncio.run(main())
