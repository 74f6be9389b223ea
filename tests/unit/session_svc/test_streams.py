"""Streams that are open: how many, and why each is ended when its token, or this process, is no longer what it was."""

import asyncio
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from session_svc.domain.access import Grant, NamePatterns, Scope
from session_svc.domain.errors import (
    Draining,
    ScopeMissing,
    SessionForbidden,
    SessionServiceError,
    StoreUnavailable,
    TokenInvalid,
    WatcherTooSlow,
)
from session_svc.transport.access import TABLE
from session_svc.transport.caller import Caller
from session_svc.transport.capacity import Patience
from session_svc.transport.errors import TooManyStreams
from session_svc.transport.guard import Guard
from session_svc.transport.streams import RETRY_SPREAD, OpenStream, Streams

DEADLINE_SECONDS = 60
ADA = Grant("ada", Scope.WRITE)


class Tokens:
    """What each permits, which may change."""

    def __init__(self) -> None:
        self.verdicts: dict[str, Grant | SessionServiceError] = {}
        self.asked = 0

    async def verify(self, token: str) -> Grant:
        self.asked += 1
        verdict = self.verdicts[token]
        if isinstance(verdict, SessionServiceError):
            raise verdict
        return verdict


class World:
    """Handlers that hold streams open, each in a task, which returns why it was ended."""

    def __init__(self, most: int = 100) -> None:
        self.tokens = Tokens()
        self.ended = 0
        self.streams = Streams(Guard(self.tokens), most, Patience(), self._on_end)
        self.tasks: list[asyncio.Task[SessionServiceError]] = []

    def _on_end(self) -> None:
        self.ended += 1

    async def open(
        self, token: str = "", method: str = "WatchSession", session: str | None = "talk"
    ) -> asyncio.Task[SessionServiceError]:
        """One more, of a token that permits something, or of none. Raises what the stream is refused with."""
        verdict = self.tokens.verdicts.setdefault(token, ADA) if token else None
        by = Caller((), "here", token, verdict if isinstance(verdict, Grant) else None)
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(self._hold(method, session, by, opened))
        self.tasks.append(task)
        await opened
        return task

    async def _hold(
        self, method: str, session: str | None, by: Caller, opened: "asyncio.Future[None]"
    ) -> SessionServiceError:
        try:
            stream: OpenStream = self.streams.begin(method, TABLE[method], by)
        except TooManyStreams as error:
            opened.set_exception(error)
            return error
        stream.session = session
        opened.set_result(None)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            try:
                stream.interrupted()
            except SessionServiceError as reason:
                return reason
            raise
        raise AssertionError("it waits for ever")


@asynccontextmanager
async def world(most: int = 100) -> AsyncIterator[World]:
    made = World(most)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            yield made
    finally:
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)


async def settled() -> None:
    """Waits until what is to happen at once has happened."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (TokenInvalid(), TokenInvalid),
        (Grant("ada", Scope.NONE), ScopeMissing),
        (Grant("ada", Scope.WRITE, NamePatterns(("team-*",))), SessionForbidden),
        (Grant("ada", Scope.WRITE, NamePatterns(("talk",))), Draining),
        (Grant("ada", Scope.READ), Draining),
        (Grant("eve", Scope.WRITE), Draining),
    ],
    ids=["revoked", "without scope", "for others", "for this one", "with less", "of another"],
)
async def test_a_stream_ends_when_its_token_permits_something_else_and_says_what_it_lacks(
    verdict: Grant | SessionServiceError, reason: type[SessionServiceError]
) -> None:
    async with world() as at:
        stream, other = await at.open("a"), await at.open("b")
        at.tokens.verdicts["a"] = verdict
        await at.streams.review()
        assert type(await stream) is reason
        await settled()
        assert not other.done()


async def test_one_that_may_only_read_by_now_writes_no_reply_any_more() -> None:
    async with world() as at:
        writing = await at.open("a", "StreamReply")
        at.tokens.verdicts["a"] = Grant("ada", Scope.READ)
        await at.streams.review()
        assert isinstance(await writing, ScopeMissing)


async def test_a_stream_about_no_session_may_begin_again_when_its_sessions_change() -> None:
    async with world() as at:
        listing = await at.open("a", "WatchSessions", None)
        at.tokens.verdicts["a"] = Grant("ada", Scope.WRITE, NamePatterns(("team-*",)))
        await at.streams.review()
        reason = await listing
        assert isinstance(reason, Draining)
        assert 0 <= reason.retry_after <= RETRY_SPREAD


async def test_a_stream_goes_on_while_nothing_is_known_against_its_token() -> None:
    async with world() as at:
        same, unknown, anonymous = await at.open("a"), await at.open("b"), await at.open()
        at.tokens.verdicts = {"a": Grant("ada", Scope.WRITE), "b": StoreUnavailable("the provider is away")}
        await at.streams.review()
        await settled()
        assert not any(task.done() for task in (same, unknown, anonymous))


def depth(error: BaseException) -> int:
    """How many frames it holds on to."""
    return len(list(traceback.walk_tb(error.__traceback__)))


async def test_one_reason_for_many_streams_holds_on_to_none_of_those_before() -> None:
    async with world() as at:
        depths = []
        for count in (1, 20):
            tasks = [await at.open("a") for _ in range(count)]
            at.tokens.verdicts["a"] = TokenInvalid()
            await at.streams.review()
            reasons = await asyncio.gather(*tasks)
            assert len(set(map(id, reasons))) == 1
            depths.append(depth(reasons[0]))
            at.tokens.verdicts["a"] = ADA
        assert depths[0] == depths[1]


async def test_each_token_is_looked_at_once_however_many_streams_it_has() -> None:
    async with world() as at:
        for _ in range(10):
            await at.open("a")
            await at.open("b")
        await at.streams.review()
        assert at.tokens.asked == 2


async def test_so_many_streams_are_open_at_once_and_each_makes_room_when_it_has_ended() -> None:
    async with world(most=2) as at:
        first = await at.open()
        await at.open()
        with pytest.raises(TooManyStreams, match="2 open streams"):
            await at.open()
        [stream, _] = at.streams
        stream.end(WatcherTooSlow())
        assert isinstance(await first, WatcherTooSlow)
        assert (len(at.streams), at.ended) == (1, 1)
        await at.open()


async def test_an_end_at_once_overrules_one_that_is_to_come() -> None:
    async with world() as at:
        task = await at.open()
        [stream] = at.streams
        stream.end(Draining(1.0), 1000.0)
        stream.end(WatcherTooSlow(), 1000.0)
        stream.end(TokenInvalid())
        assert isinstance(await task, TokenInvalid)


async def test_an_end_at_once_is_not_put_off_by_one_that_is_to_come() -> None:
    async with world() as at:
        task = await at.open()
        [stream] = at.streams
        stream.end(TokenInvalid())
        stream.end(Draining(1.0), 1000.0)
        assert isinstance(await task, TokenInvalid)


async def test_a_drain_has_those_it_sends_away_return_one_after_another() -> None:
    async with world() as at:
        tasks = [await at.open() for _ in range(50)]
        at.streams.drain(0.1)
        reasons = await asyncio.gather(*tasks)
        waits = {reason.retry_after for reason in reasons if isinstance(reason, Draining)}
        assert len(waits) > 40
        assert max(waits) <= RETRY_SPREAD


async def test_a_drain_takes_its_time() -> None:
    async with world() as at:
        tasks = [await at.open() for _ in range(20)]
        at.streams.drain(1e6)
        await settled()
        assert not all(task.done() for task in tasks)
