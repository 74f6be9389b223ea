"""Replies while their store is frozen, or comes back empty."""

import time
from collections.abc import Iterator

import grpc
import pytest
from aichat.session.v1 import session_pb2 as pb
from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1.session_service_pb2_grpc import SessionServiceStub
from integration.session_svc.failures import fails
from integration.session_svc.reply_stream import delta, finish, start, writing
from support.processes import Service, session_svc
from support.redis_server import RedisServer
from support.until import until

QUESTION = pb.Message(role=pb.ROLE_USER, content="why?")
FROZEN_SECONDS = 12.0
LEASE_SECONDS = 5


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def svc(server: RedisServer) -> Iterator[Service]:
    with session_svc(server.url) as service:
        yield service


@pytest.fixture
def stub(svc: Service) -> Iterator[SessionServiceStub]:
    with grpc.insecure_channel(svc.address) as channel:
        yield SessionServiceStub(channel)


def written(stub: SessionServiceStub, name: str) -> str:
    reply = stub.GetSnapshot(api.GetSnapshotRequest(session=name)).reply
    return "".join(chunk.text for chunk in reply.chunks)


def stored(stub: SessionServiceStub, name: str) -> list[tuple[str, int]]:
    messages = stub.ListMessages(api.ListMessagesRequest(session=name)).messages
    return [(message.content, message.status) for message in messages]


def answers(stub: SessionServiceStub) -> bool:
    try:
        stub.ListSessions(api.ListSessionsRequest())
    except grpc.RpcError:
        return False
    return True


def test_a_reply_goes_on_after_its_store_was_frozen_for_longer_than_its_lease(
    server: RedisServer, stub: SessionServiceStub, name: str
) -> None:
    words = [f"word{number} " for number in range(60)]
    first = start(name, messages=[QUESTION], lease=LEASE_SECONDS)
    with writing(stub, first) as stream:
        stream.started()
        stream.send(*map(delta, words[:20]))
        until(lambda: written(stub, name) == "".join(words[:20]), what="the beginning is stored")
        server.freeze()
        try:
            stream.send(*map(delta, words[20:40]))
            with fails() as failure:
                stream.finished()
            assert (failure.status, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
            time.sleep(FROZEN_SECONDS - LEASE_SECONDS)  # What is tested is that time passes.
        finally:
            server.thaw()
    until(lambda: answers(stub), what="the store is back")
    with writing(stub, first) as stream:
        accepted = stream.started().accepted
        assert 20 <= accepted <= 40
        stream.send(*map(delta, words[accepted:]), finish())
        stream.finished()
    assert stored(stub, name) == [("why?", pb.MESSAGE_STATUS_COMPLETE), ("".join(words), pb.MESSAGE_STATUS_COMPLETE)]


def test_a_writer_whose_store_came_back_empty_says_everything_again(
    server: RedisServer, stub: SessionServiceStub, name: str
) -> None:
    words = [f"word{number} " for number in range(20)]
    first = start(name, messages=[QUESTION], lease=30)
    with writing(stub, first) as stream:
        stream.started()
        stream.send(*map(delta, words[:10]))
        until(lambda: written(stub, name) == "".join(words[:10]), what="the beginning is stored")
        server.kill()
        server.forget()
        stream.send(delta(words[10]))
        with fails() as failure:
            stream.finished()
        assert (failure.status, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
    server.start()
    until(lambda: answers(stub), what="the store is back")
    with writing(stub, first) as stream:
        accepted = stream.started().accepted
        assert accepted == 0
        stream.send(*map(delta, words), finish())
        stream.finished()
    assert stored(stub, name) == [("why?", pb.MESSAGE_STATUS_COMPLETE), ("".join(words), pb.MESSAGE_STATUS_COMPLETE)]
