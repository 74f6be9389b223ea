"""Replies while services, writers and Redis die: what was seen and what is kept equals what was written."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import grpc
import pytest
import redis
from aichat.session.v1 import session_pb2 as pb
from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1.session_service_pb2_grpc import SessionServiceStub
from google.protobuf.duration_pb2 import Duration
from integration.session_svc.failures import fails
from integration.session_svc.reply_stream import SECONDS, delta, finish, part, start, writing
from session_svc.application.replies import WRITE_INTERVAL_SECONDS
from support.processes import Service, session_svc
from support.redis_server import RedisServer
from support.until import STALL_SECONDS, until

QUESTION = pb.Message(role=pb.ROLE_USER, content="why?")


class Viewer:
    """Watches a session from a thread, and insists on every message and chunk once, in order."""

    def __init__(self, stub: SessionServiceStub, name: str) -> None:
        self._call = stub.WatchSession(api.WatchSessionRequest(session=name, after_position=""), timeout=120)
        self.messages: list[pb.Message] = []
        self.ends: list[str] = []
        self.text = ""
        self.next = 0
        self.caught_up = threading.Event()
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            for event in self._call:
                self._see(event)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.CANCELLED:
                self.failure = error
        except BaseException as error:  # noqa: BLE001 - Raised again in the test's own thread.
            self.failure = error

    def _see(self, event: api.WatchSessionResponse) -> None:
        match event.WhichOneof("event"):
            case "messages":
                for message in event.messages.messages:
                    self._add(message)
            case "reply_snapshot":
                self.text = text_of(event.reply_snapshot.chunks)
                self.next = event.reply_snapshot.next_chunk
            case "reply_started":
                assert event.reply_started.reply.HasField("start_time")
                self.text, self.next = "", 0
            case "reply_chunk":
                assert event.reply_chunk.from_chunk == self.next
                self.text += text_of(event.reply_chunk.chunks)
                self.next = event.reply_chunk.to_chunk
            case "reply_finished":
                self.ends.append(event.reply_finished.id)
                if event.reply_finished.HasField("message"):
                    self._add(event.reply_finished.message)
            case "caught_up":
                self.caught_up.set()
            case "reset" | "cleared" | "deleted":
                self.messages.clear()

    def _add(self, message: pb.Message) -> None:
        assert message.sequence == len(self.messages) + 1
        self.messages.append(message)

    def stop(self) -> None:
        self._call.cancel()
        self._thread.join(60)
        if self.failure is not None:
            raise self.failure


def text_of(chunks: Iterable[pb.Chunk]) -> str:
    return "".join(chunk.text for chunk in chunks)


@contextmanager
def viewing(stub: SessionServiceStub, name: str) -> Iterator[Viewer]:
    """A Viewer that has caught up."""
    viewer = Viewer(stub, name)
    try:
        assert viewer.caught_up.wait(SECONDS)
        yield viewer
    finally:
        viewer.stop()


@contextmanager
def stub_of(service: Service) -> Iterator[SessionServiceStub]:
    with grpc.insecure_channel(service.address) as channel:
        yield SessionServiceStub(channel)


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def replicas(server: RedisServer) -> Iterator[tuple[Service, Service]]:
    with session_svc(server.url) as one, session_svc(server.url) as two:
        yield one, two


def stored(stub: SessionServiceStub, name: str) -> list[pb.Message]:
    return list(stub.ListMessages(api.ListMessagesRequest(session=name)).messages)


def answers(stub: SessionServiceStub, name: str) -> bool:
    try:
        stub.GetSession(api.GetSessionRequest(name=name))
    except grpc.RpcError:
        return False
    return True


def in_progress(stub: SessionServiceStub, name: str) -> str:
    return text_of(stub.GetSnapshot(api.GetSnapshotRequest(session=name)).reply.chunks)


def test_a_writer_whose_replica_is_killed_goes_on_at_the_other_without_a_lost_or_doubled_frame(
    replicas: tuple[Service, Service], name: str
) -> None:
    frames = [delta(f"{number} ") if number % 7 else part(f'{{"n":{number}}}') for number in range(600)]
    written = "".join(frame.delta.text for frame in frames)
    with stub_of(replicas[0]) as one, stub_of(replicas[1]) as two:
        first = start(name, messages=[QUESTION])
        two.CreateSession(api.CreateSessionRequest(name=name))
        with viewing(two, name) as viewer:
            with writing(one, first) as stream:
                stream.started()
                stream.send(*frames[:400])
                until(lambda: viewer.text, what="the reply's beginning is seen")
                replicas[0].kill()
            with writing(two, first) as stream:
                accepted = stream.started().accepted
                assert 0 < accepted <= 400
                stream.send(*frames[accepted:], finish())
                stream.finished()
            until(lambda: viewer.ends == ["r"], what="the end is seen")
        assert viewer.text == written
        [_, message] = viewer.messages
        assert (message.content, message.status) == (written, pb.MESSAGE_STATUS_COMPLETE)
        assert message.attributes.count('"n"') == len([frame for frame in frames if frame.HasField("part")])
        assert stored(two, name) == viewer.messages


def test_a_writer_killed_for_good_is_missed_by_the_replica_that_is_left_once_and_in_time(
    replicas: tuple[Service, Service], name: str
) -> None:
    lease = 2
    with stub_of(replicas[0]) as one, stub_of(replicas[1]) as two:
        two.CreateSession(api.CreateSessionRequest(name=name))
        with viewing(two, name) as viewer, writing(one, start(name, messages=[QUESTION], lease=lease)) as stream:
            stream.started()
            stream.send(delta("half of the"))
            until(lambda: viewer.text == "half of the", what="the text is seen")
            last_frame = time.monotonic()
            replicas[0].kill()
            until(lambda: viewer.ends, what="the end is seen")
            assert time.monotonic() - last_frame < lease + 1 + STALL_SECONDS
            assert (viewer.messages[-1].content, viewer.messages[-1].status) == (
                "half of the",
                pb.MESSAGE_STATUS_INTERRUPTED,
            )
            replicas[0].start()
            two.AppendMessages(api.AppendMessagesRequest(session=name, messages=[QUESTION]))
            until(lambda: len(viewer.messages) == 3, what="the next message is seen")
            assert viewer.ends == ["r"]
        assert stored(two, name) == viewer.messages


def test_a_stop_at_one_replica_is_heard_by_the_writer_at_another_within_a_second(
    replicas: tuple[Service, Service], name: str
) -> None:
    first = start(name, messages=[QUESTION], lease=60)
    with stub_of(replicas[0]) as one, stub_of(replicas[1]) as two, writing(one, first) as w:
        w.started()
        w.send(delta("half"))
        until(lambda: in_progress(two, name) == "half", what="the text is stored")
        began = time.monotonic()
        assert two.StopReply(api.StopReplyRequest(session=name)).message.content == "half"
        with fails() as failure:
            w.finished()
        assert time.monotonic() - began < 1 + STALL_SECONDS
        assert failure.reason == "REPLY_STOPPED"


def test_a_writer_is_sent_away_by_a_replica_that_stops_and_goes_on_at_the_other(server: RedisServer, name: str) -> None:
    first = start(name, messages=[QUESTION])
    with session_svc(server.url, DRAIN_SECONDS="1") as stopping, session_svc(server.url) as staying:
        with stub_of(stopping) as one, writing(one, first) as stream:
            stream.started()
            stream.send(delta("a"))
            until(lambda: in_progress(one, name) == "a", what="the text is stored")
            stopping.terminate(wait=False)
            with fails() as failure:
                stream.finished()
            assert (failure.status, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
        with stub_of(staying) as two, writing(two, first) as stream:
            assert stream.started().accepted == 1
            stream.send(delta("b"), finish())
            stream.finished()
            assert stored(two, name)[-1].content == "ab"


def test_redis_killed_and_restarted_in_mid_reply_loses_no_stored_frame(
    server: RedisServer, replicas: tuple[Service, Service], name: str
) -> None:
    first = start(name, messages=[QUESTION], lease=10)
    words = [f"word{number} " for number in range(300)]
    with stub_of(replicas[0]) as one, stub_of(replicas[1]) as two:
        two.CreateSession(api.CreateSessionRequest(name=name))
        with viewing(two, name) as viewer:
            with writing(one, first) as stream:
                stream.started()
                stream.send(*map(delta, words[:100]))
                until(lambda: viewer.text.startswith(words[0]), what="the reply's beginning is seen")
                server.kill()
                stream.send(*map(delta, words[100:200]))
                with fails() as failure:
                    stream.finished()
                assert (failure.status, failure.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
            server.start()
            until(lambda: answers(two, name), what="the store is back")
            with writing(two, first) as stream:
                accepted = stream.started().accepted
                stream.send(*map(delta, words[accepted:]), finish())
                stream.finished()
            until(lambda: viewer.ends == ["r"], what="the end is seen")
        assert viewer.messages[-1].content == "".join(words)
        assert stored(two, name) == viewer.messages


def test_an_abandoned_reply_gets_a_lease_again_when_redis_comes_back_and_is_then_ended(
    server: RedisServer, replicas: tuple[Service, Service], name: str
) -> None:
    with stub_of(replicas[0]) as one, writing(one, start(name, messages=[QUESTION], lease=2)) as stream:
        stream.started()
        stream.send(delta("half"))
        until(lambda: in_progress(one, name) == "half", what="the text is stored")
        server.kill()
        time.sleep(2.5)  # Longer than the lease, through no fault of the writer's.
        back = time.monotonic()
        server.start()
        until(lambda: answers(one, name), what="the store is back")
        until(lambda: len(stored(one, name)) == 2, what="the reply is ended")
        assert time.monotonic() - back > 2
        assert stored(one, name)[-1].status == pb.MESSAGE_STATUS_INTERRUPTED


def test_a_session_lives_while_a_reply_is_written_for_longer_than_its_ttl(
    replicas: tuple[Service, Service], name: str
) -> None:
    with stub_of(replicas[0]) as stub:
        stub.CreateSession(api.CreateSessionRequest(name=name, ttl=Duration(seconds=2)))
        with writing(stub, start(name, messages=[QUESTION])) as stream:
            stream.started()
            for word in ("one ", "two ", "three"):
                stream.send(delta(word))
                time.sleep(1)  # What is tested is that time passes.
            stream.send(finish())
            stream.finished()
        assert stored(stub, name)[-1].content == "one two three"
        assert stub.GetSession(api.GetSessionRequest(name=name)).HasField("expire_time")

        def is_gone() -> bool:
            listed = stub.ListSessions(api.ListSessionsRequest()).sessions
            return name not in {session.name for session in listed}

        until(is_gone, what="the session has expired")


def test_a_burst_of_deltas_costs_few_round_trips_and_the_first_leaves_at_once(
    server: RedisServer, replicas: tuple[Service, Service], name: str
) -> None:
    with (
        stub_of(replicas[0]) as one,
        stub_of(replicas[1]) as two,
        redis.Redis.from_url(server.url) as store,
    ):
        two.CreateSession(api.CreateSessionRequest(name=name))
        with viewing(two, name) as viewer, writing(one, start(name, messages=[QUESTION])) as stream:
            stream.started()
            stream.send(delta("first "))
            until(lambda: viewer.text == "first ", what="the first delta is seen alone")
            store.config_resetstat()
            words = [f"{number} " for number in range(2000)]
            began = time.monotonic()
            stream.send(*map(delta, words), finish())
            stream.finished()
            seconds = time.monotonic() - began
            scripts = store.info("commandstats")["cmdstat_evalsha"]["calls"]
            until(lambda: viewer.ends == ["r"], what="the end is seen")
        assert viewer.text == "first " + "".join(words)
        assert scripts <= 100 + seconds / WRITE_INTERVAL_SECONDS
