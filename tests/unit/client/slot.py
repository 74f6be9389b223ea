"""A reply slot that keeps what it is sent, says truly how much that is, and breaks its streams where a test says."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import grpc
from aichat.session.v1 import session_service_pb2 as api

from .scripted import Context, refuse


class Cut(Enum):
    """How a stream breaks."""

    UNREACHABLE = "unavailable, without details"
    DRAINING = "the server stops"
    STORE_AWAY = "the store does not answer"
    SILENT = "the stream ends OK, without a word"
    RESET = "the call is cancelled from the server's side"


@dataclass(frozen=True)
class Break:
    """A stream that breaks at its n-th frame (`start` is frame 0), before that frame is stored or after it."""

    at: int
    stored: bool
    how: Cut


@dataclass
class ReplySlot:
    """`stream` is the RPC. Every stream uses up one of `breaks`; without one it lives."""

    breaks: deque[Break] = field(default_factory=deque)
    frames: list[str] = field(default_factory=list)
    starts: list[api.ReplyStart] = field(default_factory=list)
    renewals: int = 0
    renewed_thrice: asyncio.Event = field(default_factory=asyncio.Event)
    ending: api.StreamReplyRequest | None = None
    endings: int = 0
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    loop: asyncio.AbstractEventLoop | None = None

    @property
    def text(self) -> str:
        """What was stored, in order; parts as their data."""
        return "".join(self.frames)

    async def stream(self, requests: AsyncIterator[Any], context: Context) -> AsyncIterator[api.StreamReplyResponse]:
        """Serves StreamReply."""
        self.loop = asyncio.get_running_loop()
        broken = self.breaks.popleft() if self.breaks else None
        number = 0
        answering = asyncio.Lock()  # gRPC takes no status while an answer is under way.
        stopping = asyncio.create_task(self._refuse_when_stopped(context, answering))
        try:
            async for request in requests:
                due = broken is not None and broken.at == number
                if broken is not None and due and not broken.stored:
                    await _break(broken.how, context)
                    return
                answer = self._store(request)
                if broken is not None and due:
                    await _break(broken.how, context)
                    return
                if answer is not None:
                    async with answering:
                        yield answer
                    if answer.HasField("finished"):
                        return
                number += 1
        finally:
            stopping.cancel()

    def stop(self) -> None:
        """Somebody else stops the reply; from any thread."""
        assert self.loop is not None, "nothing was served yet"
        self.loop.call_soon_threadsafe(self.stopped.set)

    def _store(self, request: api.StreamReplyRequest) -> api.StreamReplyResponse | None:
        match request.WhichOneof("frame"):
            case "start":
                self.starts.append(request.start)
                if self.ending is not None:
                    return _finished()
                started = api.ReplyStarted(reply_id=request.start.reply_id, position="e.1", accepted=len(self.frames))
                return api.StreamReplyResponse(started=started)
            case "delta":
                self.frames.append(request.delta.text)
            case "part":
                self.frames.append(request.part.data)
            case "renew":
                self.renewals += 1
                if self.renewals == 3:
                    self.renewed_thrice.set()
            case "finish" | "fail":
                self.ending = request
                self.endings += 1
                return _finished()
        return None

    async def _refuse_when_stopped(self, context: Context, answering: asyncio.Lock) -> None:
        await self.stopped.wait()
        async with answering:
            await refuse(context, grpc.StatusCode.ABORTED, "REPLY_STOPPED")


def _finished() -> api.StreamReplyResponse:
    return api.StreamReplyResponse(finished=api.ReplyFinished(position="e.2"))


async def _break(how: Cut, context: Context) -> None:
    match how:
        case Cut.UNREACHABLE:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")
        case Cut.DRAINING:
            await refuse(context, grpc.StatusCode.UNAVAILABLE, "DRAINING", retry_after=0.001)
        case Cut.STORE_AWAY:
            await refuse(context, grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", retry_after=0.001)
        case Cut.RESET:
            await context.abort(grpc.StatusCode.CANCELLED, "reset")
        case Cut.SILENT:
            pass
