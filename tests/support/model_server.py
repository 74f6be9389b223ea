"""A server that speaks the protocol of chat completions over real HTTP, as well or as badly as a test says."""

import asyncio
import json
import socket
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

Lines = AsyncIterator[str]
Behaviour = Callable[[], Awaitable[Response]]


class ModelServer:
    """Answers each request with the next of `behaviours`, the last one again and again; keeps what it was asked."""

    def __init__(self, *behaviours: Behaviour) -> None:
        self.at_once = 0
        self.most_at_once = 0
        self.behaviours = deque(behaviours)
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.url = ""

    async def answer(self, request: Request) -> Response:
        """POST /v1/chat/completions."""
        self.requests.append(await request.json())
        self.keys.append(request.headers.get("authorization", ""))
        behaviour = self.behaviours.popleft() if len(self.behaviours) > 1 else self.behaviours[0]
        return await behaviour()


@asynccontextmanager
async def model_server(*behaviours: Behaviour) -> AsyncGenerator[ModelServer, None]:
    """Serves on a free port."""
    served = ModelServer(*behaviours)
    app = FastAPI(openapi_url=None)
    app.add_api_route("/v1/chat/completions", served.answer, methods=["POST"], response_model=None)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        served.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1, lifespan="off")
        server = _Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield served
        finally:
            server.should_exit = True
            server.force_exit = True
            await serving


class _Server(uvicorn.Server):
    """Leaves the signals of the test's process alone."""

    def install_signal_handlers(self) -> None:
        """Does nothing."""


def chunk(
    *,
    content: str | None = None,
    finish_reason: str | None = None,
    usage: dict[str, int] | None = None,
    delta: dict[str, str] | None = None,
) -> str:
    """One server-sent event of an answer: `content`, or any other `delta`."""
    delta = delta or ({} if content is None else {"content": content})
    choices = [{"index": 0, "delta": delta, "finish_reason": finish_reason}] if usage is None else []
    event: dict[str, object] = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return _sse({**event, "choices": choices, **({"usage": usage} if usage else {})})


def _sse(value: object) -> str:
    return f"data: {json.dumps(value)}\n\n"


def streams(*events: str, pause: float = 0.0) -> Behaviour:
    """Streams the events, with a pause before each."""

    async def lines() -> Lines:
        for event in events:
            await asyncio.sleep(pause)
            yield event

    async def behave() -> Response:
        return StreamingResponse(lines(), media_type="text/event-stream")

    return behave


def says(*words: str, usage: dict[str, int] | None = None, pause: float = 0.0) -> Behaviour:
    """A whole answer."""
    events = [*(chunk(content=word) for word in words), chunk(finish_reason="stop")]
    if usage:
        events.append(chunk(usage=usage))
    return streams(*events, "data: [DONE]\n\n", pause=pause)


def refuses(status: int, message: str = "no", **headers: str) -> Behaviour:
    """An error, as OpenAI words it."""

    async def behave() -> Response:
        return JSONResponse({"error": {"message": message, "type": "t"}}, status_code=status, headers=headers)

    return behave


def counted(server: "ModelServer", behaviour: Behaviour) -> Behaviour:
    """The same, while `server` counts how many such answers are under way."""

    async def lines(response: StreamingResponse) -> AsyncIterator[Any]:
        server.at_once += 1
        server.most_at_once = max(server.most_at_once, server.at_once)
        try:
            async for line in response.body_iterator:
                yield line
        finally:
            server.at_once -= 1

    async def behave() -> Response:
        response = await behaviour()
        assert isinstance(response, StreamingResponse)
        return StreamingResponse(lines(response), media_type="text/event-stream")

    return behave


def stalls(*events: str) -> Behaviour:
    """Streams the events, then nothing more."""

    async def lines() -> Lines:
        for event in events:
            yield event
        await asyncio.sleep(60)

    async def behave() -> Response:
        return StreamingResponse(lines(), media_type="text/event-stream")

    return behave


def breaks_off(*events: str) -> Behaviour:
    """Streams the events, then closes the connection in the middle of the response."""

    async def lines() -> Lines:
        for event in events:
            yield event
            await asyncio.sleep(0.01)
        raise ConnectionAbortedError

    async def behave() -> Response:
        return StreamingResponse(lines(), media_type="text/event-stream")

    return behave


def sends(body: str, media_type: str) -> Behaviour:
    """200 and whatever that is."""

    async def behave() -> Response:
        return Response(body, media_type=media_type)

    return behave
