"""Writing one reply, across as many streams as it takes."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import grpc
from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1.session_pb2 import Message, Part

from ai_chat_client import reply_frames as frames
from ai_chat_client.channels import Channels
from ai_chat_client.connection import Connection
from ai_chat_client.errors import AiChatError, unreachable
from ai_chat_client.reply_streams import ReplyStreams
from ai_chat_client.retry import RetryPolicy

_LAST_WORD_SECONDS: Final = 5.0

if TYPE_CHECKING:
    from grpc.aio import StreamStreamCall

    Stream = StreamStreamCall[api.StreamReplyRequest, api.StreamReplyResponse]

ResultT = TypeVar("ResultT")
Translated = Callable[[], contextlib.AbstractContextManager[None]]


class ReplyWriter:
    """Writes one reply: `async with client.reply(...) as reply: await reply.write("...")`.

    Entering takes the session's reply slot, so a model is paid for only by the one who answers. Leaving finishes the
    reply; leaving by an exception, a cancellation among them, ends it as FAILED. Call `fail` to say why.

    A stream that breaks is taken up again, and what the service had not stored is sent again: nothing is lost, nothing
    doubled. The lease is renewed while there is nothing to say.

    When the reply ends otherwise, whatever is awaited in the block is cancelled, as by `asyncio.timeout`, and leaving
    it raises why: ReplyStopped when someone stopped it, ReplyLost when it is no longer this writer's,
    InvalidRequestError (TOO_LARGE), or UnavailableError when the service was away for too long.
    """

    def __init__(
        self,
        start: api.ReplyStart,
        *,
        channels: Channels,
        connection: Connection,
        policy: RetryPolicy,
        translated: Translated,
    ) -> None:
        self._start = start
        self._channels = channels
        self._metadata = connection.metadata()
        self._server = connection.server
        self._policy = policy
        self._translated = translated
        self._idle_seconds = frames.renew_after(start)
        self._journal = frames.Journal()
        self._ending: api.StreamReplyRequest | None = None
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._begun: asyncio.Future[api.ReplyStarted | None] = asyncio.get_running_loop().create_future()
        self._running: asyncio.Task[api.ReplyFinished] | None = None
        self._inside: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._writing = False
        self._interrupted = False
        self._streams = ReplyStreams(policy)

    @property
    def id(self) -> str:
        """The id of the message that the reply becomes."""
        return self._start.reply_id

    @property
    def position(self) -> str:
        """The head when the slot was taken."""
        started = self._begun.result()
        return started.position if started else ""

    async def write(self, text: str) -> None:
        """Adds answer text. Waits while much of what was said before has not gone out."""
        self._check_open()
        for piece in frames.pieces(text):
            await self._say(piece)

    async def part(self, type: str, data: Mapping[str, object] | str) -> None:  # noqa: A002 - The field's name.
        """Adds what is not answer text; `data`: a JSON object, or one as text. ValueError when it is not a part."""
        self._check_open()
        await self._say(frames.part(type, data))

    async def finish(self, *, attributes: str = "", messages: Iterable[Message] = ()) -> api.ReplyFinished:
        """Ends the reply as COMPLETE; returns where it was stored. `messages`: stored instead of the joined text."""
        return await self._end(frames.finish(attributes, messages))

    async def fail(self, reason: str, *, attributes: str = "") -> api.ReplyFinished:
        """Ends the reply as FAILED; `reason`: for people. What was said is kept."""
        return await self._end(frames.fail(reason, attributes))

    async def __aenter__(self) -> Self:
        self._inside = asyncio.current_task()
        self._cancelling = self._inside.cancelling() if self._inside else 0
        self._running = asyncio.create_task(self._run(), name=f"reply {self.id}")
        try:
            await asyncio.wait((self._begun, self._running), return_when=asyncio.FIRST_COMPLETED)
            if self._running.done():
                self._running.result()
        except BaseException:
            await self._abandon()
            raise
        self._writing = True
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._interrupted:
                cancelled_by_others = self._inside is not None and self._inside.uncancel() > self._cancelling
                if exc is None or (isinstance(exc, asyncio.CancelledError) and not cancelled_by_others):
                    self._result()
            elif exc is None:
                await (self.finish() if self._ending is None else asyncio.wait((self._task(),)))
                self._result()
            else:
                await self._fail_for(exc)
        finally:
            await self._abandon()

    async def _say(self, frame: str | Part) -> None:
        self._journal.add(frame)
        self._news.set()
        while self._journal.is_full:
            self._room.clear()
            await self._room.wait()
            self._check_open()
        await asyncio.sleep(0)  # Lets the frame go out, also for a writer that never waits for anything else.

    async def _end(self, ending: api.StreamReplyRequest) -> api.ReplyFinished:
        self._check_open()
        self._ending = ending
        self._news.set()
        self._room.set()
        await asyncio.wait((self._task(),))
        return self._result()

    async def _fail_for(self, exc: BaseException) -> None:
        """Says that the writer broke off, as far as that is possible now; never why: that may hold secrets."""
        cancelled = isinstance(exc, asyncio.CancelledError)
        if self._ending is None and not self._is_over():
            self._ending = frames.fail("the writer was cancelled", "") if cancelled else frames.broke_off(exc)
            self._news.set()
        await asyncio.wait((self._task(),), timeout=_LAST_WORD_SECONDS)

    def _check_open(self) -> None:
        if self._is_over():
            self._result()
        if self._ending is not None or self._is_over():
            raise RuntimeError("the reply has ended")

    def _is_over(self) -> bool:
        return self._task().done()

    def _result(self) -> api.ReplyFinished:
        return self._task().result()

    def _task(self) -> asyncio.Task[api.ReplyFinished]:
        if self._running is None:
            raise RuntimeError("a reply is written within `async with`")
        return self._running

    async def _abandon(self) -> None:
        """Ends what still runs; a reply that has not ended then is left to its lease."""
        self._writing = False
        running = self._task()
        running.cancel()
        await asyncio.wait((running,))
        if not running.cancelled():
            running.exception()  # It was told, or is of no use any more.

    async def _run(self) -> api.ReplyFinished:
        """Opens streams until the reply has ended; raises when no other stream would help."""
        try:
            while True:
                self._streams.opening()
                try:
                    return await self._stream()
                except AiChatError as error:
                    delay = self._streams.delay_after(error)
                await asyncio.sleep(delay)
        finally:
            # Here and not when the task is seen to be done: by then the writer could have gone on.
            self._interrupt()

    def _interrupt(self) -> None:
        """The reply has ended; if its writer was still writing: breaks off whatever the writer waits for."""
        self._room.set()
        if self._writing and self._ending is None and self._inside is not None:
            self._interrupted = True
            self._inside.cancel()

    async def _stream(self) -> api.ReplyFinished:
        """One stream, to the end of the reply. Raises AiChatError when the stream broke or was refused."""
        call = self._channels.stub().StreamReply(metadata=self._metadata)
        try:
            answer = await self._within(self._open(call))
            if answer.HasField("finished"):
                self._begin(None)
                return answer.finished
            self._take_up(answer.started)
            return (await self._converse(call)).finished
        finally:
            call.cancel()

    async def _open(self, call: "Stream") -> api.StreamReplyResponse:
        with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):
            await call.write(api.StreamReplyRequest(start=self._start))
        return await self._read(call)  # Says why, when the stream could not be written to.

    def _take_up(self, started: api.ReplyStarted) -> None:
        self._streams.taken_up(progress=started.accepted > self._journal.accepted)
        frames.go_on(self._start, started)
        self._journal.go_on_after(started.accepted)
        self._begin(started)

    def _begin(self, started: api.ReplyStarted | None) -> None:
        if not self._begun.done():
            self._begun.set_result(started)

    async def _converse(self, call: "Stream") -> api.StreamReplyResponse:
        reading = asyncio.create_task(self._read(call))
        sending = asyncio.create_task(self._send(call))
        try:
            await asyncio.wait((reading, sending), return_when=asyncio.FIRST_COMPLETED)
            # Whatever ended the sending, what the service has to say about it is read.
            return await self._within(reading)
        finally:
            reading.cancel()
            sending.cancel()
            await asyncio.gather(reading, sending, return_exceptions=True)

    async def _send(self, call: "Stream") -> None:
        """Returns once the ending has gone out; raises RpcError or InvalidStateError when the stream is broken."""
        while True:
            self._news.clear()
            while (frame := self._journal.next()) is not None:
                await call.write(frame)
                self._journal.advance()
                self._room.set()
            if self._ending is not None:
                await call.write(self._ending)
                return
            try:
                async with asyncio.timeout(self._idle_seconds):
                    await self._news.wait()
            except TimeoutError:
                await call.write(frames.renew())

    async def _within(self, answer: Coroutine[Any, Any, ResultT] | asyncio.Task[ResultT]) -> ResultT:
        """What is answered; an error when it is not within the time of a call."""
        try:
            async with asyncio.timeout(self._policy.timeout):
                return await answer
        except TimeoutError:
            raise unreachable(self._server, f"nothing for {self._policy.timeout:g} s") from None

    async def _read(self, call: "Stream") -> api.StreamReplyResponse:
        with self._translated():
            answer = await call.read()
        if isinstance(answer, api.StreamReplyResponse):
            return answer
        raise unreachable(self._server, "the stream ended before the reply did")
