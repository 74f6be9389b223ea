"""Writing one reply without an event loop, across as many streams as it takes."""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self

from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1 import session_service_pb2_grpc as api_grpc
from aichat.session.v1.session_pb2 import Message, Part

from ai_chat_client import reply_frames as frames
from ai_chat_client.connection import Connection
from ai_chat_client.errors import AiChatError, unreachable
from ai_chat_client.reply_streams import ReplyStreams
from ai_chat_client.retry import RetryPolicy
from ai_chat_client.silence import SilenceGuard

_LAST_WORD_SECONDS: Final = 5.0

Translated = Callable[[], contextlib.AbstractContextManager[None]]


class _Stream(Protocol):
    """What gRPC returns for StreamReply, as far as it is used here."""

    def __next__(self) -> api.StreamReplyResponse: ...
    def cancel(self) -> object: ...


@dataclass
class _Turn:
    """One stream's turn at writing the reply. `may_send`: it has taken the reply up; `sent_ending`; `over`."""

    call: _Stream | None = None
    may_send: bool = False
    sent_ending: bool = False
    over: bool = False


class SyncReplyWriter:
    """Writes one reply: `with client.reply(...) as reply: reply.write("...")`. One thread writes.

    As ReplyWriter in every respect but one: when others end the reply, nobody can interrupt a thread that waits for
    something else. The writer hears of it at its next `write`, `part`, `finish` or `fail`, or when it leaves the block.
    A loop that says nothing for long asks `done()`; one that waits elsewhere has `add_done_callback` end that waiting,
    for example by the `cancel` of another call; what that raises leaves the block as the error that ended the reply.
    """

    def __init__(
        self,
        start: api.ReplyStart,
        *,
        stub: Callable[[], api_grpc.SessionServiceStub],
        connection: Connection,
        policy: RetryPolicy,
        translated: Translated,
    ) -> None:
        self._start = start
        self._stub = stub
        self._metadata = connection.metadata()
        self._server = connection.server
        self._policy = policy
        self._translated = translated
        self._streams = ReplyStreams(policy)
        self._journal = frames.Journal()
        self._changed = threading.Condition()
        self._idle_seconds = frames.renew_after(start)
        # Waiters are woken by the first callback, before any of the writer's own.
        self._outcome: Future[api.ReplyFinished] = Future()
        self._outcome.add_done_callback(self._wake)
        # All that follows is guarded by `_changed`.
        self._ending: api.StreamReplyRequest | None = None
        self._position: str | None = None
        self._turn = _Turn(over=True)
        self._has_been_told = False
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"reply {start.reply_id}", daemon=True)

    @property
    def id(self) -> str:
        """The id of the message that the reply becomes."""
        return self._start.reply_id

    @property
    def position(self) -> str:
        """The head when the slot was taken."""
        return self._position or ""

    def done(self) -> bool:
        """Whether the reply has ended, by its writer or by others."""
        return self._outcome.done()

    def add_done_callback(self, callback: Callable[[Self], object]) -> None:
        """Has `callback` called with this reply once it has ended, by whomever; at once when it has already.

        Called in another thread, as those of concurrent.futures.Future are: an exception is logged and ignored.
        """
        self._outcome.add_done_callback(lambda _: callback(self))

    def write(self, text: str) -> None:
        """Adds answer text. Waits while much of what was said before has not gone out."""
        for piece in frames.pieces(text):
            self._say(piece)

    def part(self, type: str, data: Mapping[str, object] | str) -> None:  # noqa: A002 - The field's name.
        """Adds what is not answer text; `data`: a JSON object, or one as text. ValueError when it is not a part."""
        self._say(frames.part(type, data))

    def finish(self, *, attributes: str = "", messages: Iterable[Message] = ()) -> api.ReplyFinished:
        """Ends the reply as COMPLETE; returns where it was stored. `messages`: stored instead of the joined text."""
        return self._end(frames.finish(attributes, messages))

    def fail(self, reason: str, *, attributes: str = "") -> api.ReplyFinished:
        """Ends the reply as FAILED; `reason`: for people. What was said is kept."""
        return self._end(frames.fail(reason, attributes))

    def __enter__(self) -> Self:
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._position is not None or self.done())
            self._raise_failure()
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if exc is None:
                if self._ending is None:
                    self.finish()
                self._wait()
            elif self.done():
                if isinstance(exc, Exception) and not self._has_been_told:
                    self._raise_failure(cause=exc)
            else:
                with self._changed:
                    self._ending = self._ending or frames.broke_off(exc)
                    self._changed.notify_all()
                    self._changed.wait_for(self.done, timeout=_LAST_WORD_SECONDS)
        finally:
            self._abandoned.set()  # A reply that has not ended by now is left to its lease.
            self._end_turn(self._turn)

    def _wake(self, _: object) -> None:
        with self._changed:
            self._changed.notify_all()

    def _say(self, frame: str | Part) -> None:
        with self._changed:
            self._check_open()
            self._journal.add(frame)
            self._changed.notify_all()
            while not self._changed.wait_for(self._has_room, timeout=self._policy.timeout):
                self._break_off()
            self._check_open()

    def _has_room(self) -> bool:
        return not self._journal.is_full or self.done()

    def _break_off(self) -> None:
        """A stream that takes nothing any more is replaced by another one."""
        if self._turn.call is not None:
            self._turn.call.cancel()

    def _end(self, ending: api.StreamReplyRequest) -> api.ReplyFinished:
        with self._changed:
            self._check_open()
            self._ending = ending
            self._changed.notify_all()
        return self._wait()

    def _wait(self) -> api.ReplyFinished:
        wait((self._outcome,))
        self._raise_failure()
        return self._outcome.result()

    def _check_open(self) -> None:
        self._raise_failure()
        if self._ending is not None or self.done():
            raise RuntimeError("the reply has ended")

    def _raise_failure(self, *, cause: BaseException | None = None) -> None:
        error = self._outcome.exception() if self.done() else None
        if error is not None:
            self._has_been_told = True
            if cause is not None:
                raise error from cause
            raise error

    def _run(self) -> None:
        """Opens streams until the reply has ended; remembers how."""
        try:
            self._outcome.set_result(self._write_on_streams())
        except BaseException as failure:  # noqa: BLE001 - Raised in the thread that writes.
            self._outcome.set_exception(failure)

    def _write_on_streams(self) -> api.ReplyFinished:
        while True:
            self._streams.opening()
            try:
                return self._one_stream()
            except AiChatError as error:
                delay = self._streams.delay_after(error)
                if self._abandoned.wait(delay):
                    raise

    def _one_stream(self) -> api.ReplyFinished:
        """One stream, to the end of the reply. Raises AiChatError when the stream broke or was refused."""
        turn = _Turn()
        with self._changed:
            self._turn = turn
        with SilenceGuard(self._policy.timeout, lambda: self._end_turn(turn)) as guard:
            guard.waiting()
            call = self._stub().StreamReply(self._requests(turn, guard), metadata=self._metadata)
            turn.call = call
            try:
                answer = self._read(call, guard)
                guard.arrived()
                if answer.HasField("finished"):
                    self._take_up(turn, None)
                    return answer.finished
                self._take_up(turn, answer.started)
                return self._read(call, guard).finished
            finally:
                self._end_turn(turn)

    def _end_turn(self, turn: _Turn) -> None:
        with self._changed:
            turn.over = True
            self._changed.notify_all()
        if turn.call is not None:
            turn.call.cancel()

    def _take_up(self, turn: _Turn, started: api.ReplyStarted | None) -> None:
        with self._changed:
            if started is not None:
                self._streams.taken_up(progress=started.accepted > self._journal.accepted)
                frames.go_on(self._start, started)
                self._journal.go_on_after(started.accepted)
                turn.may_send = True
            if self._position is None:
                self._position = started.position if started is not None else ""
            self._changed.notify_all()

    def _requests(self, turn: _Turn, guard: SilenceGuard) -> Iterator[api.StreamReplyRequest]:
        """What one stream sends, in a thread of gRPC's; ends with the stream."""
        yield api.StreamReplyRequest(start=self._start)
        while (request := self._next(turn, guard)) is not None:
            yield request
            with self._changed:
                if not turn.over and request.WhichOneof("frame") in {"delta", "part"}:
                    self._journal.advance()
                    self._changed.notify_all()

    def _next(self, turn: _Turn, guard: SilenceGuard) -> api.StreamReplyRequest | None:
        """The frame to send now; None once the stream is over."""
        with self._changed:
            self._changed.wait_for(lambda: turn.over or (turn.may_send and not turn.sent_ending))
            has_news = self._changed.wait_for(
                lambda: turn.over or self._journal.next() is not None or self._ending is not None,
                timeout=self._idle_seconds,
            )
            if turn.over:
                return None
            if not has_news:
                return frames.renew()
            frame = self._journal.next()
            if frame is not None:
                return frame
            turn.sent_ending = True
            guard.waiting()
            return self._ending

    def _read(self, call: _Stream, guard: SilenceGuard) -> api.StreamReplyResponse:
        try:
            with self._translated():
                return next(call)
        except StopIteration:
            raise unreachable(self._server, "the stream ended before the reply did") from None
        except AiChatError:
            if guard.fired:
                raise unreachable(self._server, f"nothing for {self._policy.timeout:g} s") from None
            raise
