"""Calls and watches that fail, and what callers are told."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator

import grpc
import pytest
from ai_chat_client import AsyncClient, Backoff, Client, Message, RetryPolicy, async_client, sync_client
from ai_chat_client.errors import (
    AiChatError,
    ClosedError,
    ConflictError,
    InternalError,
    InvalidRequestError,
    LimitedError,
    NotAllowedError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
    Violation,
)
from aichat.session.v1 import session_pb2 as model
from aichat.session.v1 import session_service_pb2 as api

from .scripted import Context, message, refuse, serving

AT_ONCE = RetryPolicy(timeout=10.0, backoff=Backoff(initial=0.0))
ONE = [Message(content="hello")]
Code = grpc.StatusCode


@pytest.mark.parametrize(
    ("code", "reason", "kind"),
    [
        (Code.INVALID_ARGUMENT, "INVALID_NAME", InvalidRequestError),
        (Code.NOT_FOUND, "SESSION_NOT_FOUND", NotFoundError),
        (Code.ALREADY_EXISTS, "SESSION_EXISTS", ConflictError),
        (Code.ABORTED, "REPLY_IN_PROGRESS", ConflictError),
        (Code.FAILED_PRECONDITION, "UNUSABLE_DATA", ConflictError),
        (Code.UNAUTHENTICATED, "TOKEN_MISSING", NotAllowedError),
        (Code.PERMISSION_DENIED, "SCOPE_MISSING", NotAllowedError),
        (Code.RESOURCE_EXHAUSTED, "RATE_LIMITED", LimitedError),
        (Code.UNAVAILABLE, "STORE_UNAVAILABLE", UnavailableError),
        (Code.INTERNAL, "INTERNAL", InternalError),
    ],
)
async def test_each_status_is_an_error_of_its_own_with_the_reason(
    code: grpc.StatusCode, reason: str, kind: type[AiChatError]
) -> None:
    async def get(_request: api.GetSessionRequest, context: Context) -> None:
        await refuse(context, code, reason, "because")

    async with serving(GetSession=get) as server, AsyncClient(server, policy=AT_ONCE) as client:
        with pytest.raises(kind, match="because") as caught:
            await client.get_session("s")
    assert (caught.value.reason, caught.value.code, caught.value.message) == (reason, code, "because")


async def test_what_is_larger_than_any_server_takes_is_no_matter_of_time() -> None:
    async def append(_request: api.AppendMessagesRequest, _context: Context) -> api.AppendMessagesResponse:
        raise AssertionError("never seen")

    async with serving(AppendMessages=append) as server, AsyncClient(server, policy=AT_ONCE) as client:
        with pytest.raises(InvalidRequestError, match="too large") as caught:
            await client.append_messages("s", [Message(content="x" * 5_000_000)])
    assert caught.value.reason == "TOO_LARGE"


async def test_an_error_carries_the_facts_that_the_server_gave() -> None:
    async def clear(_request: api.ClearSessionRequest, context: Context) -> None:
        await refuse(
            context, Code.ABORTED, "POSITION_CONFLICT", metadata={"position": "e.7"}, retry_after=0.5, field="x"
        )

    async with serving(ClearSession=clear) as server, AsyncClient(server) as client:
        with pytest.raises(ConflictError) as caught:
            await client.clear_session("s", expected_position="e.6")
    assert caught.value.position == "e.7"
    assert caught.value.retry_after == 0.5
    assert caught.value.violations == (Violation("x", "no"),)


async def test_an_append_is_repeated_with_the_same_request_id_until_it_succeeds() -> None:
    seen: list[str] = []

    async def append(request: api.AppendMessagesRequest, context: Context) -> api.AppendMessagesResponse:
        seen.append(request.request_id)
        if len(seen) < 3:
            await refuse(context, Code.UNAVAILABLE, "STORE_UNAVAILABLE", retry_after=0.001)
        return api.AppendMessagesResponse(position="e.1")

    async with serving(AppendMessages=append) as server, AsyncClient(server, policy=AT_ONCE) as client:
        assert (await client.append_messages("s", ONE)).position == "e.1"
    assert len(seen) == 3
    assert len(set(seen)) == 1


async def test_a_clear_is_made_once_whatever_happens() -> None:
    calls = 0

    async def clear(_request: api.ClearSessionRequest, context: Context) -> None:
        nonlocal calls
        calls += 1
        await refuse(context, Code.UNAVAILABLE, "DRAINING", retry_after=0.001)

    async with serving(ClearSession=clear) as server, AsyncClient(server, policy=AT_ONCE) as client:
        with pytest.raises(UnavailableError):
            await client.clear_session("s")
    assert calls == 1


@pytest.fixture
def later() -> Iterator[str]:
    """Where nobody listens yet; servers of gRPC share ports, so that nobody else can come to listen there."""
    with socket.socket() as kept:
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        kept.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{kept.getsockname()[1]}"


async def test_a_call_that_is_not_repeated_waits_for_a_server_that_is_about_to_come(later: str) -> None:
    calls = 0

    async def clear(_request: api.ClearSessionRequest, _context: Context) -> model.Session:
        nonlocal calls
        calls += 1
        return model.Session(name="cleared")

    def blocking() -> str:
        with Client(later) as client:
            return client.clear_session("s").name

    async with AsyncClient(later) as client:
        first, second = asyncio.create_task(client.clear_session("s")), asyncio.create_task(asyncio.to_thread(blocking))
        await asyncio.wait((first, second), timeout=0.3)
        async with serving(later, ClearSession=clear):
            assert (await first).name == await second == "cleared"
    assert calls == 2


async def test_a_call_that_is_not_repeated_fails_in_time_where_nobody_comes() -> None:
    async with AsyncClient("127.0.0.1:1", policy=RetryPolicy(timeout=0.3)) as client:
        with pytest.raises(UnavailableError):
            await client.clear_session("s")

    def blocking() -> None:
        with Client("127.0.0.1:1", policy=RetryPolicy(timeout=0.3)) as client, pytest.raises(UnavailableError):
            client.clear_session("s")

    await asyncio.to_thread(blocking)


async def test_a_call_that_is_never_answered_fails_at_its_deadline() -> None:
    async def get(_request: api.GetSessionRequest, _context: Context) -> None:
        await asyncio.Event().wait()

    async with serving(GetSession=get) as server, AsyncClient(server, policy=RetryPolicy(timeout=0.1)) as client:
        with pytest.raises(UnavailableError, match="did not answer in time") as caught:
            await client.get_session("s")
    assert caught.value.reason == "TIMEOUT"


async def test_a_server_that_is_not_there_is_named() -> None:
    async with AsyncClient("127.0.0.1:1", policy=AT_ONCE) as client:
        with pytest.raises(UnavailableError, match=r"no answer from 127\.0\.0\.1:1: .*refused") as caught:
            await client.get_session("s")
        with pytest.raises(UnavailableError):
            await anext(client.watch_session("s"))
        with pytest.raises(UnavailableError):
            await anext(client.watch_sessions())
    assert caught.value.reason == "UNREACHABLE"


async def test_a_server_of_another_kind_is_said_to_be_one() -> None:
    async with serving() as server, AsyncClient(server) as client:
        with pytest.raises(UnsupportedError, match="does not know this call"):
            await client.get_session("s")


async def test_a_watch_that_may_not_be_ends_at_once() -> None:
    attempts = 0

    async def watch(_request: api.WatchSessionRequest, context: Context) -> AsyncIterator[api.WatchSessionResponse]:
        nonlocal attempts
        attempts += 1
        await refuse(context, Code.PERMISSION_DENIED, "SESSION_FORBIDDEN")
        yield api.WatchSessionResponse()

    async with serving(WatchSession=watch) as server, AsyncClient(server, policy=AT_ONCE) as client:
        with pytest.raises(NotAllowedError):
            await anext(client.watch_session("s"))
    assert attempts == 1


async def test_a_watch_without_connection_gives_up_when_it_was_told_to() -> None:
    async def watch(_request: api.WatchSessionRequest, _context: Context) -> AsyncIterator[api.WatchSessionResponse]:
        yield api.WatchSessionResponse(position="e.0", caught_up=api.WatchCaughtUp())

    losses: list[AiChatError] = []
    async with serving(WatchSession=watch) as server:
        client = AsyncClient(server, policy=RetryPolicy(backoff=Backoff(initial=0.01, maximum=0.02)))
        events = client.watch_session("s", give_up_after=0.5, on_loss=losses.append)
        assert (await anext(events)).HasField("caught_up")
    async with client:
        with pytest.raises(UnavailableError):
            async for _ in events:
                pass
    assert losses


async def test_a_stream_that_fell_silent_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_client, "SILENCE_SECONDS", 0.2)
    starts: list[str] = []

    async def watch(request: api.WatchSessionRequest, _context: Context) -> AsyncIterator[api.WatchSessionResponse]:
        starts.append(request.after_position)
        yield api.WatchSessionResponse(position="e.1", messages=api.WatchMessages(messages=[message(1)]))
        if len(starts) == 1:
            await asyncio.Event().wait()
        yield api.WatchSessionResponse(position="e.1", deleted=api.WatchDeleted())

    async with serving(WatchSession=watch) as server, AsyncClient(server, policy=AT_ONCE) as client:
        kinds = [event.WhichOneof("event") async for event in client.watch_session("s", after_position="")]
    assert starts == ["", "e.1"]
    assert kinds == ["messages", "deleted"]


async def test_a_stream_that_fell_silent_is_replaced_in_the_blocking_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_client, "SILENCE_SECONDS", 0.2)
    streams = 0

    async def watch(_request: api.WatchSessionsRequest, _context: Context) -> AsyncIterator[api.WatchSessionsResponse]:
        nonlocal streams
        streams += 1
        yield api.WatchSessionsResponse(reset=api.WatchSessionsReset())
        yield api.WatchSessionsResponse(heartbeat=api.WatchSessionsHeartbeat())
        await asyncio.Event().wait()

    def two_resets(server: str) -> list[str | None]:
        with Client(server, policy=AT_ONCE) as client:
            events = client.watch_sessions()
            return [next(events).WhichOneof("event"), next(events).WhichOneof("event")]

    async with serving(WatchSessions=watch) as server:
        assert await asyncio.to_thread(two_resets, server) == ["reset", "reset"]
    assert streams == 2


async def test_the_list_is_reset_after_each_loss_and_heartbeats_stay_inside() -> None:
    streams = 0

    async def watch(_request: api.WatchSessionsRequest, context: Context) -> AsyncIterator[api.WatchSessionsResponse]:
        nonlocal streams
        streams += 1
        yield api.WatchSessionsResponse(reset=api.WatchSessionsReset())
        yield api.WatchSessionsResponse(heartbeat=api.WatchSessionsHeartbeat())
        created = api.WatchSessionsCreated(session=model.Session(name=f"s{streams}"))
        yield api.WatchSessionsResponse(created=created)
        await refuse(context, Code.UNAVAILABLE, "DRAINING")

    names: list[str] = []
    async with serving(WatchSessions=watch) as server, AsyncClient(server, policy=AT_ONCE) as client:
        async for event in client.watch_sessions():
            names.append(event.created.session.name or event.WhichOneof("event") or "")
            if names[-1] == "s2":
                break
    assert names == ["reset", "s1", "reset", "s2"]


async def test_closing_a_client_ends_what_it_does() -> None:
    begun = asyncio.Event()

    async def get(_request: api.GetSessionRequest, _context: Context) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with serving(GetSession=get) as server:
        client = AsyncClient(server)
        call = asyncio.ensure_future(client.get_session("s"))
        await begun.wait()
        await client.close()
        with pytest.raises(ClosedError):
            await call
        with pytest.raises(ClosedError):
            await client.get_session("s")


async def test_one_client_works_in_several_event_loops() -> None:
    async def get(request: api.GetSessionRequest, _context: Context) -> model.Session:
        return model.Session(name=request.name)

    async with serving(GetSession=get) as server, AsyncClient(server) as client:
        names: list[str] = []

        async def ask(name: str) -> None:
            names.append((await client.get_session(name)).name)

        threads = [threading.Thread(target=lambda n=name: asyncio.run(ask(n))) for name in ("a", "b")]
        for thread in threads:
            thread.start()
        await ask("c")
        for thread in threads:
            await asyncio.to_thread(thread.join)
    assert sorted(names) == ["a", "b", "c"]


async def test_pages_are_followed_to_their_end() -> None:
    async def list_sessions(request: api.ListSessionsRequest, _context: Context) -> api.ListSessionsResponse:
        page = int(request.page_token or 0)
        sessions = [model.Session(name=f"{request.query}{page}")] if page != 1 else []
        return api.ListSessionsResponse(sessions=sessions, next_page_token=str(page + 1) if page < 2 else "")

    def blocking(server: str) -> list[str]:
        with Client(server) as client:
            return [session.name for session in client.sessions(query="q")]

    async with serving(ListSessions=list_sessions) as server, AsyncClient(server) as client:
        assert [session.name async for session in client.sessions(query="q")] == ["q0", "q2"]
        assert await asyncio.to_thread(blocking, server) == ["q0", "q2"]
