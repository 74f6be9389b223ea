"""Both clients against the real service."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import timedelta
from threading import Thread

import pytest
from ai_chat_client import ROLE_ASSISTANT, ROLE_USER, AsyncClient, Client, Message, RetryPolicy
from ai_chat_client.errors import ConflictError, InvalidRequestError, NotFoundError, UnavailableError
from aichat.session.v1 import session_service_pb2 as api

from .conftest import Stack

PATIENT = RetryPolicy(timeout=30.0, attempts=100)


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with Client(stack.server, author="Zoë") as client:
        yield client


@pytest.fixture
async def watcher(stack: Stack) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(stack.server) as client:
        yield client


@pytest.fixture
def name() -> str:
    return f"s-{uuid.uuid4().hex[:12]}"


def user(*contents: str) -> list[Message]:
    return [Message(role=ROLE_USER, content=content) for content in contents]


def restart(stack: Stack) -> None:
    """Kills the service and starts it again; in this thread, with which the process would end."""
    stack.svc.kill()
    stack.svc.start()


def contents(event: api.WatchSessionResponse) -> list[str]:
    return [message.content for message in event.messages.messages]


def test_a_session_lives_from_its_creation_to_its_end(client: Client, name: str) -> None:
    session = client.create_session(name, title="T", ttl=timedelta(hours=1), labels={"team": "core"})
    assert (session.owner, session.title, session.ttl.seconds) == ("Zoë", "T", 3600)
    with pytest.raises(ConflictError) as caught:
        client.create_session(name)
    assert caught.value.reason == "SESSION_EXISTS"
    assert client.create_session(name, allow_existing=True).title == "T"

    answer = client.append_messages(name, user("one", "two"), expected_position="")
    assert [message.sequence for message in answer.messages] == [1, 2]
    snapshot = client.get_snapshot(name, tail=1)
    assert [message.content for message in snapshot.messages] == ["two"]
    assert snapshot.position == answer.position

    updated = client.update_session(name, title="U")
    assert (updated.title, dict(updated.labels)) == ("U", {"team": "core"})
    truncated = client.truncate_session(name, remove_last=1)
    assert [message.content for message in truncated.removed] == ["two"]
    assert client.clear_session(name).message_count == 0
    client.delete_session(name)
    with pytest.raises(NotFoundError):
        client.get_session(name)
    client.delete_session(name, allow_missing=True)


def test_a_request_id_that_comes_again_changes_nothing(client: Client, name: str) -> None:
    first = client.append_messages(name, user("once"), request_id="r")
    again = client.append_messages(name, user("once"), request_id="r")
    assert again.messages == first.messages
    assert client.get_session(name).message_count == 1
    with pytest.raises(InvalidRequestError) as caught:
        client.append_messages(name, user("other"), request_id="r")
    assert caught.value.reason == "REQUEST_ID_REUSED"


def test_a_head_that_moved_is_a_conflict_that_says_where_it_is(client: Client, name: str) -> None:
    position = client.append_messages(name, user("one")).position
    head = client.append_messages(name, user("two")).position
    with pytest.raises(ConflictError) as caught:
        client.append_messages(name, user("three"), expected_position=position)
    assert caught.value.position == head


def test_iterators_go_through_all_pages(client: Client, name: str) -> None:
    client.append_messages(name, user(*(f"{n}" for n in range(25))))
    assert [message.content for message in client.messages(name, page_size=10)] == [str(n) for n in range(25)]
    newest = client.messages(name, newest_first=True, page_size=10)
    assert [message.content for message in newest] == [str(n) for n in reversed(range(25))]
    for n in range(7):
        client.create_session(f"{name}-{n}")
    assert len(list(client.sessions(query=f"{name}-", page_size=3))) == 7


async def test_a_watch_goes_on_where_it_was_when_the_service_is_killed(
    stack: Stack, client: Client, watcher: AsyncClient, name: str
) -> None:
    client.append_messages(name, user("before"))
    seen: list[str] = []
    losses: list[str] = []
    events = watcher.watch_session(name, after_position="", on_loss=lambda error: losses.append(error.reason))
    async with asyncio.timeout(60), aclosing(events):
        async for event in events:
            seen += contents(event)
            if event.HasField("caught_up") and not losses:
                restart(stack)
                client.append_messages(name, [*user("while away"), Message(role=ROLE_ASSISTANT, content="too")])
            elif event.HasField("caught_up"):
                client.append_messages(name, user("after"))
            elif "after" in seen:
                break
    assert seen == ["before", "while away", "too", "after"]
    assert losses


async def test_a_session_that_was_replaced_while_the_watch_was_cut_off_is_told_anew(
    stack: Stack, client: Client, watcher: AsyncClient, name: str
) -> None:
    client.append_messages(name, user("old", "older"))
    kinds: list[str | None] = []
    seen: list[str] = []
    lost = False
    async with asyncio.timeout(60), aclosing(watcher.watch_session(name, after_position="")) as events:
        async for event in events:
            kinds.append(event.WhichOneof("event"))
            seen = [] if event.HasField("reset") else seen + contents(event)
            if event.HasField("caught_up") and lost:
                break
            if event.HasField("caught_up"):
                lost = True
                restart(stack)
                client.get_session(name)  # A read is repeated until the service is back; a deletion would not be.
                client.delete_session(name)
                client.append_messages(name, user("new"))
    # The service is back before the old session is gone: the watch may see it end, or find another in its place.
    assert seen == ["new"] or kinds[-1] == "deleted"


async def test_what_happens_to_a_session_is_told_as_it_happens(client: Client, watcher: AsyncClient, name: str) -> None:
    async with asyncio.timeout(60), aclosing(watcher.watch_session(name)) as events:

        async def told(kind: str) -> api.WatchSessionResponse:
            while (event := await anext(events)).WhichOneof("event") != kind:
                assert event.HasField("updated"), "a title that followed the messages, nothing else"
            return event

        await told("caught_up")  # A session that does not exist is watched all the same.
        client.append_messages(name, user("first", "second"))
        seen = contents(await told("messages"))
        while len(seen) < 2:
            seen += contents(await told("messages"))
        assert seen == ["first", "second"]
        client.truncate_session(name, keep=1)
        assert (await told("truncated")).truncated.keep == 1
        client.update_session(name, title="T")
        while (await told("updated")).updated.session.title != "T":
            pass  # The automatic title, from the first message.
        client.clear_session(name)
        await told("cleared")
        client.delete_session(name)
        await told("deleted")
        with pytest.raises(StopAsyncIteration):
            await anext(events)


async def test_the_list_is_followed_and_reset_when_the_service_was_killed(
    stack: Stack, client: Client, watcher: AsyncClient, name: str
) -> None:
    kinds: list[str | None] = []
    async with asyncio.timeout(60), aclosing(watcher.watch_sessions(query=name)) as events:
        async for event in events:
            kinds.append(event.WhichOneof("event"))
            if kinds == ["reset"]:
                client.create_session(name)
            elif kinds == ["reset", "created"]:
                restart(stack)
            elif kinds == ["reset", "created", "reset"]:
                await watcher.delete_session(name)  # Its connection is back: a deletion is not repeated.
            elif kinds[-1] == "deleted":
                assert event.deleted.name == name
                break
    assert kinds == ["reset", "created", "reset", "deleted"]


def test_the_blocking_watch_sees_the_same(stack: Stack, client: Client, name: str) -> None:
    def write() -> None:
        for n in range(5):
            client.append_messages(name, user(str(n)))
        client.delete_session(name)

    client.create_session(name)
    seen: list[str] = []
    writer = Thread(target=write)
    with Client(stack.server) as other:
        for event in other.watch_session(name):
            if event.HasField("caught_up"):
                writer.start()
            seen += contents(event)
    writer.join()
    assert seen == ["0", "1", "2", "3", "4"]


def test_an_append_outlasts_a_store_that_is_away_and_is_stored_once(stack: Stack, name: str) -> None:
    with Client(stack.server, policy=PATIENT) as client:
        client.append_messages(name, user("before"))
        stack.redis.kill()
        append = Thread(target=client.append_messages, args=(name, user("meanwhile")))
        append.start()
        with pytest.raises(UnavailableError), Client(stack.server, policy=RetryPolicy(attempts=1)) as other:
            other.get_session(name)
        stack.redis.start()
        append.join()
        assert [message.content for message in client.messages(name)] == ["before", "meanwhile"]
