"""The peer: the server that most people write. One asyncio.Queue a viewer, one StreamingResponse that empties it.

It is fed by the same Redis channels as stream-gateway. Nobody's memory of what was said, no heartbeat, no bound.
"""

import asyncio
import json
import os
import socket
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from redis.asyncio import Redis

from bench.fanout.marks import CHANNEL_PREFIX

queues: defaultdict[str, set[asyncio.Queue[str]]] = defaultdict(set)


async def listen() -> None:
    """Puts each event into the queue of each viewer of its session."""
    async with Redis.from_url(os.environ["REDIS_URL"], decode_responses=True) as redis, redis.pubsub() as pubsub:
        await pubsub.psubscribe(f"{CHANNEL_PREFIX}*")
        async for message in pubsub.listen():
            if message["type"] == "pmessage":
                for queue in queues[message["channel"].removeprefix(CHANNEL_PREFIX)]:
                    queue.put_nowait(message["data"])


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Listens while it serves."""
    listening = asyncio.create_task(listen())
    yield
    listening.cancel()


app = FastAPI(lifespan=lifespan)


@app.get("/api/stream")
async def stream(session: str) -> StreamingResponse:
    """What happens in a session from now on."""

    async def events() -> AsyncIterator[str]:
        queue: asyncio.Queue[str] = asyncio.Queue()
        queues[session].add(queue)
        try:
            yield "retry: 2000\n\n"
            while True:
                yield f"data: {await queue.get()}\n\n"
        finally:
            queues[session].discard(queue)

    return StreamingResponse(events(), media_type="text/event-stream")


def main() -> None:
    """Serves on a free port until it is killed; prints its address."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(json.dumps({"event": "listening", "address": f"127.0.0.1:{listener.getsockname()[1]}"}), flush=True)
    server = uvicorn.Server(uvicorn.Config(app, loop="uvloop", http="httptools", access_log=False, log_level="warning"))
    server.run([listener])


if __name__ == "__main__":
    main()
