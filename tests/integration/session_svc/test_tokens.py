"""Who may do what under tokens: every method, every scope, with and without patterns; and edits while it runs."""

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import grpc
import pytest
from aichat.session.v1 import session_pb2 as pb
from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1.session_service_pb2_grpc import SessionServiceStub
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2
from integration.session_svc.failures import Failure, fails, read
from support import rpc
from support.processes import Service, session_svc
from support.tokens import TokensFile, bearer
from support.until import until

UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
DENIED = grpc.StatusCode.PERMISSION_DENIED
REFUSALS = {"TOKEN_MISSING", "TOKEN_INVALID", "SCOPE_MISSING", "SESSION_FORBIDDEN"}
RANKS = {"read": 1, "write": 2, "admin": 3}
HOUR = dt.timedelta(hours=1)


@dataclass
class World:
    """A service that asks for tokens, and the tokens."""

    service: Service
    tokens: TokensFile
    channel: grpc.Channel

    @property
    def stub(self) -> SessionServiceStub:
        return SessionServiceStub(self.channel)

    def known(self, token: str) -> bool:
        """Whether the service accepts it by now."""
        try:
            self.stub.ListSessions(api.ListSessionsRequest(), metadata=bearer(token))
        except grpc.RpcError as error:
            return read(error, Failure()).reason != "TOKEN_INVALID"
        return True

    def add(self, name: str, **fields: object) -> str:
        """A token that is in force."""
        token = self.tokens.add(name, **fields)  # type: ignore[arg-type]  # Each test gives what fits.
        until(lambda: self.known(token), what=f"the token of {name} is known")
        return token


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    tokens = TokensFile(tmp_path_factory.mktemp("tokens") / "tokens.json")
    with (
        session_svc(AUTH_TOKENS_FILE=str(tokens.path)) as service,
        grpc.insecure_channel(service.address) as channel,
    ):
        yield World(service, tokens, channel)


def say(session: str, **fields: object) -> api.AppendMessagesRequest:
    message = pb.Message(role=pb.ROLE_USER, content="hello", **fields)  # type: ignore[arg-type]  # As above.
    return api.AppendMessagesRequest(session=session, messages=[message])


def reason_of(world: World, method: MethodDescriptor, session: str, metadata: tuple[tuple[str, str], ...]) -> str:
    """Why the call was refused; empty when it was not, or not for want of permission."""
    request, _ = rpc.request_for(method, session)
    try:
        rpc.call(world.channel, method, [request.SerializeToString()], metadata)
    except grpc.RpcError as error:
        failure = read(error, Failure())
        if failure.reason not in REFUSALS:
            return ""
        expected = UNAUTHENTICATED if failure.reason.startswith("TOKEN") else DENIED
        assert failure.status == expected
        return failure.reason
    return ""


PATTERNS: tuple[tuple[str, ...] | None, ...] = (None, ("talk-*",), ("other", "no?e-*"))


@pytest.fixture(scope="module")
def matrix(world: World) -> dict[tuple[str, tuple[str, ...] | None], str]:
    """A token for every scope and every choice of patterns."""
    made = {
        (scope, chosen): world.tokens.add("ada", scopes=[scope], sessions=chosen)  # type: ignore[list-item]  # As above.
        for scope in RANKS
        for chosen in PATTERNS
    }
    until(lambda: all(map(world.known, made.values())), what="every token is known")
    return made


@pytest.mark.parametrize("method", rpc.METHODS, ids=lambda method: method.name)
def test_a_call_is_let_in_exactly_with_its_scope_and_for_its_sessions(
    world: World, matrix: dict[tuple[str, tuple[str, ...] | None], str], method: MethodDescriptor
) -> None:
    session = f"talk-{method.name}"
    _, names_one = rpc.request_for(method, session)
    needed = 1 if method.name.startswith(("Get", "List", "Watch")) else 2
    assert reason_of(world, method, session, ()) == "TOKEN_MISSING"
    for scheme in ("Basic YTpi", "Bearer", "Bearer  ", ""):
        assert reason_of(world, method, session, (("authorization", scheme),)) == "TOKEN_MISSING"
    for unknown in ("nonsense", "a.b.c", "aichat_" + "x" * 43):
        assert reason_of(world, method, session, bearer(unknown)) == "TOKEN_INVALID"
    for (scope, patterns), token in matrix.items():
        expected = ""
        if RANKS[scope] < needed:
            expected = "SCOPE_MISSING"
        elif names_one and patterns == ("other", "no?e-*"):
            expected = "SESSION_FORBIDDEN"
        found = reason_of(world, method, session, (("authorization", f"bearer {token}"),))
        assert found == expected, f"{scope} {patterns}"


def test_a_refusal_does_not_tell_whether_there_is_such_a_session(world: World) -> None:
    writer, stranger = world.add("writer"), world.add("stranger", sessions=["mine-*"])
    world.stub.AppendMessages(say("secret"), metadata=bearer(writer))
    texts = set()
    for name in ("secret", "absent"):
        with fails() as failure:
            world.stub.GetSession(api.GetSessionRequest(name=name), metadata=bearer(stranger))
        texts.add((failure.reason, failure.text, str(failure.metadata)))
    [(reason, text, _)] = texts
    assert reason == "SESSION_FORBIDDEN"
    assert "mine-*" in text


def test_a_session_without_a_name_needs_a_pattern_that_its_name_will_match(world: World) -> None:
    with fails() as failure:
        world.stub.CreateSession(
            api.CreateSessionRequest(), metadata=bearer(world.add("narrow", sessions=["narrow-*"]))
        )
    assert failure.reason == "SESSION_FORBIDDEN"
    assert "narrow-*" in failure.text
    token = world.add("wide", sessions=["session-*"])
    assert world.stub.CreateSession(api.CreateSessionRequest(), metadata=bearer(token)).owner == "wide"


def test_the_list_and_its_watch_show_only_what_the_token_may_see(world: World) -> None:
    everyone, team = world.add("everyone"), world.add("team", sessions=["group-*"])
    changes = world.stub.WatchSessions(api.WatchSessionsRequest(), metadata=bearer(team), timeout=60)
    assert next(changes).WhichOneof("event") == "reset"
    for number in range(30):
        for kind in ("group", "hidden"):
            world.stub.AppendMessages(say(f"{kind}-{number}"), metadata=bearer(everyone))
    for kind in ("hidden", "group"):
        world.stub.DeleteSession(api.DeleteSessionRequest(name=f"{kind}-0"), metadata=bearer(everyone))
    told: set[str] = set()
    gone: list[str] = []
    while not gone:
        change = next(changes)
        event = change.WhichOneof("event")
        if event == "deleted":
            gone.append(change.deleted.name)
        elif event in {"created", "updated"}:
            told.add((change.created if event == "created" else change.updated).session.name)
    changes.cancel()
    assert gone == ["group-0"]
    assert told
    assert all(name.startswith("group-") for name in told)
    names: list[str] = []
    token = ""
    while True:
        page = world.stub.ListSessions(api.ListSessionsRequest(page_size=7, page_token=token), metadata=bearer(team))
        names += [session.name for session in page.sessions]
        token = page.next_page_token
        if not token:
            break
    assert names == [f"group-{number}" for number in range(29, 0, -1)]


def test_what_is_written_bears_the_name_of_its_token(world: World) -> None:
    token = world.add("grace")
    sent = (*bearer(token), ("ai-chat-author", "mallory"))
    answer = world.stub.AppendMessages(say("signed"), metadata=sent)
    world.stub.AppendMessages(say("signed", author="grace"), metadata=sent)
    assert answer.session.owner == "grace"
    start = api.ReplyStart(session="signed", messages=[pb.Message(role=pb.ROLE_USER, content="and?")])
    frames = [
        api.StreamReplyRequest(start=start),
        api.StreamReplyRequest(delta=api.ReplyDelta(text="so")),
        api.StreamReplyRequest(finish=api.ReplyFinish()),
    ]
    assert list(world.stub.StreamReply(iter(frames), metadata=sent))[-1].HasField("finished")
    stored = world.stub.ListMessages(api.ListMessagesRequest(session="signed"), metadata=sent).messages
    assert [message.author for message in stored] == ["grace"] * 4


FORGERIES = [
    ("author", {"author": "mallory"}),
    ("create_time", {"create_time": Timestamp(seconds=1)}),
    ("status", {"status": pb.MESSAGE_STATUS_FAILED}),
]


@pytest.mark.parametrize(("field", "forged"), FORGERIES, ids=[field for field, _ in FORGERIES])
def test_an_author_a_time_or_a_status_cannot_be_forged_without_admin(
    world: World, field: str, forged: dict[str, object]
) -> None:
    writer, admin = world.add("writer"), world.add("root", scopes=["admin"])
    session = f"forged-{field}"
    message = say(session, **forged).messages[0]

    def reply(**start: object) -> Iterator[api.StreamReplyRequest]:
        yield api.StreamReplyRequest(start=api.ReplyStart(session=session, **start))  # type: ignore[arg-type]  # As above.
        yield api.StreamReplyRequest(finish=api.ReplyFinish(messages=[message]))

    with fails() as failure:
        world.stub.AppendMessages(say(session, **forged), metadata=bearer(writer))
    assert (failure.status, failure.reason, failure.metadata) == (DENIED, "SCOPE_MISSING", {"scope": "admin"})
    assert field in failure.text
    for frames in (reply(messages=[message]), reply(messages=[pb.Message(role=pb.ROLE_USER, content="?")])):
        with fails() as failure:
            list(world.stub.StreamReply(frames, metadata=bearer(writer)))
        assert failure.reason == "SCOPE_MISSING"
    if field == "author":
        with fails() as failure:
            list(world.stub.StreamReply(reply(author="mallory"), metadata=bearer(writer)))
        assert failure.reason == "SCOPE_MISSING"
    name = f"{session}-by-admin"
    world.stub.AppendMessages(say(name, **forged), metadata=bearer(admin))
    [stored] = world.stub.ListMessages(api.ListMessagesRequest(session=name), metadata=bearer(admin)).messages
    assert stored.author == forged.get("author", "root")
    assert getattr(stored, field) == forged[field]


def streams(world: World, token: str) -> dict[str, Iterator[object]]:
    """One open stream of every kind, each past its beginning."""
    sent = bearer(token)

    def writing() -> Iterator[api.StreamReplyRequest]:
        yield api.StreamReplyRequest(
            start=api.ReplyStart(session="talk-open", messages=[pb.Message(role=pb.ROLE_USER, content="?")])
        )
        while True:
            time.sleep(0.2)
            yield api.StreamReplyRequest(renew=api.ReplyRenew())

    opened: dict[str, Iterator[object]] = {
        "WatchSession": world.stub.WatchSession(api.WatchSessionRequest(session="talk-open"), metadata=sent),
        "WatchSessions": world.stub.WatchSessions(api.WatchSessionsRequest(), metadata=sent),
        "StreamReply": world.stub.StreamReply(writing(), metadata=sent),
    }
    assert set(opened) == {method.name for method in rpc.METHODS if method.server_streaming}
    for stream in opened.values():
        next(stream)
    return opened


def ends(stream: Iterator[object]) -> Failure:
    """How it ends."""
    with fails() as failure:
        for _ in stream:
            pass
    return failure


def test_a_revoked_token_ends_its_open_streams_and_no_others(world: World) -> None:
    keeper, leaver = world.add("keeper"), world.add("leaver")
    kept = world.stub.WatchSession(api.WatchSessionRequest(session="talk-kept"), metadata=bearer(keeper), timeout=60)
    next(kept)
    opened = streams(world, leaver)
    began = time.monotonic()
    world.tokens.revoke("leaver")
    for method, stream in opened.items():
        failure = ends(stream)
        assert (failure.status, failure.reason) == (UNAUTHENTICATED, "TOKEN_INVALID"), method
    assert time.monotonic() - began < 20
    with fails() as failure:
        world.stub.ListSessions(api.ListSessionsRequest(), metadata=bearer(leaver))
    assert failure.reason == "TOKEN_INVALID"
    world.stub.AppendMessages(say("talk-kept"), metadata=bearer(keeper))
    assert next(kept).WhichOneof("event") == "messages"
    kept.cancel()


def test_a_token_ends_when_it_expires_and_its_open_streams_too(world: World) -> None:
    watch = None
    for seconds in (2, 8, 32):  # The shortest life in which this machine gets a stream open.
        token = world.tokens.add(f"brief-{seconds}", expires=dt.timedelta(seconds=seconds))
        watch = watch_until(world, token, time.monotonic() + seconds)
        if watch is not None:
            break
    assert watch is not None
    assert ends(watch).reason == "TOKEN_INVALID"
    with fails() as failure:
        world.stub.GetSession(api.GetSessionRequest(name="talk-brief"), metadata=bearer(token))
    assert failure.reason == "TOKEN_INVALID"


def watch_until(world: World, token: str, deadline: float) -> Iterator[api.WatchSessionResponse] | None:
    """A watch that is open; None when the token had expired before."""
    while time.monotonic() < deadline:
        watch = world.stub.WatchSession(api.WatchSessionRequest(session="talk-brief"), metadata=bearer(token))
        try:
            next(watch)
        except grpc.RpcError:
            time.sleep(0.02)
        else:
            return watch
    return None


def test_a_token_that_is_narrowed_while_a_stream_is_open_ends_it_with_what_it_now_lacks(world: World) -> None:
    token = world.add("shrinking")
    watch = world.stub.WatchSession(api.WatchSessionRequest(session="talk-wide"), metadata=bearer(token))
    listing = world.stub.WatchSessions(api.WatchSessionsRequest(), metadata=bearer(token))
    next(watch), next(listing)
    before = world.tokens.path.read_text(encoding="utf-8")
    after = before.replace('"name": "shrinking",', '"name": "shrinking",\n      "sessions": ["small-*"],')
    assert after != before
    world.tokens.path.write_text(after, encoding="utf-8")
    assert ends(watch).reason == "SESSION_FORBIDDEN"
    again = ends(listing)
    assert (again.status, again.reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
    assert again.retry_after is not None


def complained(world: World, times: int) -> bool:
    """Whether the log has said so often that the tokens cannot be read."""
    return world.service.log.count("tokens_unusable") >= times


def test_a_broken_file_changes_nothing_and_the_log_says_so(world: World) -> None:
    token = world.add("steady")
    good = world.tokens.path.read_bytes()
    complaints = 0
    try:
        for broken in (good[:-40], b'{"tokens": [{"name": "x"}]}', b"[]", b"\xff"):
            world.tokens.path.write_bytes(broken)
            complaints += 1
            until(partial(complained, world, complaints), what="the log says so")
            assert world.known(token)
    finally:
        world.tokens.path.write_bytes(good)
    assert world.known(world.add("after"))
    assert token not in world.service.log


def test_health_needs_no_token(world: World) -> None:
    check: grpc.UnaryUnaryMultiCallable[bytes, bytes] = world.channel.unary_unary("/grpc.health.v1.Health/Check")
    answer = check(health_pb2.HealthCheckRequest(service="live").SerializeToString(), timeout=60)
    assert health_pb2.HealthCheckResponse.FromString(answer).status == health_pb2.HealthCheckResponse.SERVING


def test_without_a_file_nobody_is_let_in_until_the_first_token_is_made(tmp_path: Path) -> None:
    path = tmp_path / "not-yet" / "tokens.json"
    with session_svc(AUTH_TOKENS_FILE=str(path)) as service, grpc.insecure_channel(service.address) as channel:
        missing = World(service, TokensFile.__new__(TokensFile), channel)
        assert not missing.known("anything")
        assert "session-svc token create" in service.log
        token = TokensFile(path).add("first")
        until(lambda: missing.known(token), what="the first token is known")
