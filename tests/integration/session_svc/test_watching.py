"""Watching through the calls: sessions and the list of them."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest
from aichat.session.v1 import session_pb2 as pb
from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1.session_service_pb2_grpc import SessionServiceStub
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from support.until import STALL_SECONDS

SECONDS = 60
MIB = 1024 * 1024


def say(stub: SessionServiceStub, session: str, *contents: str) -> str:
    messages = [pb.Message(role=pb.ROLE_USER, content=content) for content in contents]
    return stub.AppendMessages(api.AppendMessagesRequest(session=session, messages=messages)).position


@contextmanager
def watching(
    stub: SessionServiceStub, request: api.WatchSessionRequest
) -> Iterator[Iterator[api.WatchSessionResponse]]:
    call = stub.WatchSession(request, timeout=SECONDS)
    try:
        yield call
    finally:
        call.cancel()


@contextmanager
def watching_list(
    stub: SessionServiceStub, request: api.WatchSessionsRequest
) -> Iterator[Iterator[api.WatchSessionsResponse]]:
    call = stub.WatchSessions(request, timeout=SECONDS)
    try:
        assert next(call).WhichOneof("event") == "reset"
        yield call
    finally:
        call.cancel()


def test_a_watch_tells_what_is_there_then_what_happens_until_the_session_is_deleted(
    stub: SessionServiceStub, name: str
) -> None:
    head = say(stub, name, "one", "two")
    with watching(stub, api.WatchSessionRequest(session=name, after_position="")) as events:
        there = next(events)
        assert [message.content for message in there.messages.messages] == ["one", "two"]
        caught_up = next(events)
        assert (caught_up.WhichOneof("event"), caught_up.position) == ("caught_up", head)
        head = say(stub, name, "three")
        event = next(events)
        assert ([message.content for message in event.messages.messages], event.position) == (["three"], head)
        stub.UpdateSession(api.UpdateSessionRequest(name=name, title="new", update_mask=FieldMask(paths=["title"])))
        event = next(events)
        assert (event.updated.session.title, event.position) == ("new", head)
        truncated = stub.TruncateSession(api.TruncateSessionRequest(name=name, keep=1))
        event = next(events)
        assert (event.WhichOneof("event"), event.truncated.keep) == ("truncated", 1)
        assert event.position == truncated.session.position
        cleared = stub.ClearSession(api.ClearSessionRequest(name=name))
        event = next(events)
        assert (event.WhichOneof("event"), event.position) == ("cleared", cleared.position)
        stub.DeleteSession(api.DeleteSessionRequest(name=name))
        assert next(events).WhichOneof("event") == "deleted"
        assert next(events, None) is None


def test_an_expired_session_is_told_as_deleted_within_a_second(stub: SessionServiceStub, name: str) -> None:
    stub.CreateSession(api.CreateSessionRequest(name=name, ttl=Duration(seconds=1)))
    with (
        watching(stub, api.WatchSessionRequest(session=name)) as events,
        watching_list(stub, api.WatchSessionsRequest(query=name)) as changes,
    ):
        assert next(events).WhichOneof("event") == "caught_up"
        expires = stub.GetSession(api.GetSessionRequest(name=name)).expire_time.ToMilliseconds() / 1000
        assert next(events).WhichOneof("event") == "deleted"
        assert any(change.deleted.name == name for change in changes)
        assert time.time() - expires < 1 + STALL_SECONDS
    assert name not in {session.name for session in stub.ListSessions(api.ListSessionsRequest(page_size=1000)).sessions}


def test_a_watcher_of_the_list_is_told_of_the_sessions_it_asked_for(stub: SessionServiceStub, name: str) -> None:
    with watching_list(stub, api.WatchSessionsRequest(query=name.upper(), labels={"team": "a"})) as changes:
        stub.CreateSession(api.CreateSessionRequest(name=f"{name}-other", labels={"team": "b"}))
        stub.CreateSession(api.CreateSessionRequest(name=name, labels={"team": "a"}))
        created = next(changes)
        assert (created.WhichOneof("event"), created.created.session.name) == ("created", name)
        for number in range(20):
            say(stub, name, f"message {number}")
        last = next(change for change in changes if change.updated.session.message_count == 20)
        assert last.updated.session.preview == "message 19"
        stub.UpdateSession(
            api.UpdateSessionRequest(name=name, labels={"team": "b"}, update_mask=FieldMask(paths=["labels"]))
        )
        assert next(changes).deleted.name == name


def test_twenty_quick_changes_are_told_in_a_few_events(stub: SessionServiceStub, name: str) -> None:
    stub.CreateSession(api.CreateSessionRequest(name=name))
    with watching_list(stub, api.WatchSessionsRequest(query=name)) as changes:
        for number in range(20):
            say(stub, name, f"message {number}")
        told = 1
        while next(changes).updated.session.message_count < 20:
            told += 1
        assert told < 15


def test_large_messages_come_in_frames_that_any_client_reads(stub: SessionServiceStub, name: str) -> None:
    for number in range(8):
        say(stub, name, str(number) + "é" * (MIB // 2 - 1))
    with watching(stub, api.WatchSessionRequest(session=name, after_position="")) as events:
        seen: list[str] = []
        while len(seen) < 8:
            frame = next(events)
            assert frame.ByteSize() <= 3.5 * MIB
            seen += [message.content[0] for message in frame.messages.messages]
    assert seen == [str(number) for number in range(8)]
    snapshot = stub.GetSnapshot(api.GetSnapshotRequest(session=name, tail=1000))
    assert snapshot.ByteSize() <= 3.5 * MIB
    assert [message.content[0] for message in snapshot.messages] == ["6", "7"]
    removed = stub.TruncateSession(api.TruncateSessionRequest(name=name, keep=0))
    assert removed.ByteSize() <= 3.5 * MIB
    assert [message.sequence for message in removed.removed] == [7, 8]


def test_a_watcher_that_leaves_is_forgotten(stub: SessionServiceStub, name: str) -> None:
    for _ in range(50):
        with watching(stub, api.WatchSessionRequest(session=name)) as events:
            assert next(events).WhichOneof("event") == "caught_up"
    position = say(stub, name, "still here")
    assert stub.GetSession(api.GetSessionRequest(name=name)).position == position


def test_two_watchers_and_two_writers_agree_on_everything(stub: SessionServiceStub, name: str) -> None:
    def write(writer: int) -> None:
        for number in range(50):
            say(stub, name, f"{writer}.{number}")

    seen: list[list[tuple[int, str]]] = [[], []]

    def watch(watcher: int) -> None:
        with watching(stub, api.WatchSessionRequest(session=name, after_position="")) as events:
            while len(seen[watcher]) < 100:
                messages = next(events).messages.messages
                seen[watcher] += [(message.sequence, message.content) for message in messages]

    threads = [threading.Thread(target=target, args=(n,)) for target in (watch, write) for n in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    stored = stub.ListMessages(api.ListMessagesRequest(session=name, page_size=1000)).messages
    expected = [(message.sequence, message.content) for message in stored]
    assert seen == [expected, expected]
    assert [sequence for sequence, _ in expected] == list(range(1, 101))


def test_a_cancelled_call_leaves_the_service_working(stub: SessionServiceStub, name: str) -> None:
    for _ in range(20):
        future = stub.AppendMessages.future(
            api.AppendMessagesRequest(session=name, messages=[pb.Message(role=pb.ROLE_USER, content="x")])
        )
        future.cancel()
    assert say(stub, name, "after").split(".")[0]


def test_the_request_id_comes_back(stub: SessionServiceStub, name: str) -> None:
    request = api.CreateSessionRequest(name=name)
    _, call = stub.CreateSession.with_call(request, metadata=(("x-request-id", "abc-123"),))
    assert dict(call.trailing_metadata())["x-request-id"] == "abc-123"
    with pytest.raises(grpc.RpcError) as caught:
        stub.CreateSession(request, metadata=(("x-request-id", "abc-124"),))
    assert isinstance(caught.value, grpc.Call)
    assert dict(caught.value.trailing_metadata())["x-request-id"] == "abc-124"
