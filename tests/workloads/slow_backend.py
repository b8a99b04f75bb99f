"""A backend that takes its time: each line is answered after so many seconds, whoever else waits.

Says `ready` and its port, and ends when its standard input does."""
import asyncio
import sys


async def answer(reader, writer):
    await reader.readline()
    await asyncio.sleep(float(sys.argv[1]))
    writer.write(b"42\n")
    await writer.drain()
    writer.close()


async def main():
    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
