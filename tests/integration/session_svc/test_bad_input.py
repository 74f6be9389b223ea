"""Bad input gets its documented error, names the field, and stores nothing."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from aichat.session.v1 import session_pb2 as pb
from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1.session_service_pb2_grpc import SessionServiceStub
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.timestamp_pb2 import Timestamp
from integration.session_svc.failures import fails

MIB = 1024 * 1024
INVALID = grpc.StatusCode.INVALID_ARGUMENT


def say(content: str = "hello", role: "pb.Role.ValueType" = pb.ROLE_USER, **fields: object) -> pb.Message:
    return pb.Message(role=role, content=content, **fields)  # type: ignore[arg-type]  # Each test gives what fits.


def append(session: str, *messages: pb.Message, **fields: object) -> api.AppendMessagesRequest:
    return api.AppendMessagesRequest(session=session, messages=messages, **fields)  # type: ignore[arg-type]  # Each test gives what fits.


NOT_CREATABLE = ["a b", "a/b", "-a", "a" * 129, "été", ".", "..", "a#b", "a%b"]
NOBODYS = ["", "a{b", "a}b", "a\nb", "\x00", "a" * 257, "\x9f"]


@pytest.mark.parametrize("bad", [*NOT_CREATABLE, *NOBODYS])
def test_no_session_is_created_under_such_a_name(stub: SessionServiceStub, bad: str) -> None:
    with fails() as failure:
        stub.AppendMessages(append(bad, say()))
    assert (failure.status, failure.reason) == (INVALID, "INVALID_NAME")
    [(field, problem)] = failure.violations
    assert field in {"session", "name"}
    assert "letter or digit" in problem
    if bad:
        with fails() as failure:
            stub.CreateSession(api.CreateSessionRequest(name=bad))
        assert failure.reason == "INVALID_NAME"


@pytest.mark.parametrize("unknown", NOT_CREATABLE)
def test_a_name_that_another_program_may_have_used_is_looked_up(stub: SessionServiceStub, unknown: str) -> None:
    with fails() as failure:
        stub.GetSession(api.GetSessionRequest(name=unknown))
    assert (failure.status, failure.reason) == (grpc.StatusCode.NOT_FOUND, "SESSION_NOT_FOUND")


CASES: list[tuple[str, str, Callable[[str], api.AppendMessagesRequest]]] = [
    ("INVALID_FIELD", "messages", append),
    ("INVALID_FIELD", "messages", lambda name: append(name, *[say()] * 1001)),
    ("INVALID_FIELD", "messages[1].role", lambda name: append(name, say(), say(role=pb.ROLE_UNSPECIFIED))),
    ("INVALID_FIELD", "messages[0].role", lambda name: append(name, say(role=99))),  # type: ignore[arg-type]  # A role of a later version.
    ("TOO_LARGE", "messages[1].content", lambda name: append(name, say(), say("x" * (MIB + 1)))),
    ("TOO_LARGE", "messages[0].content", lambda name: append(name, say("é" * (MIB // 2 + 1)))),
    ("TOO_LARGE", "messages[0].attributes", lambda name: append(name, say(attributes='{"a":"' + "x" * MIB + '"}'))),
    ("INVALID_FIELD", "messages[0].id", lambda name: append(name, say(id="no spaces"))),
    ("INVALID_FIELD", "messages[0].id", lambda name: append(name, say(id="x" * 65))),
    ("INVALID_FIELD", "messages[0].author", lambda name: append(name, say(author="x" * 257))),
    ("INVALID_FIELD", "messages[0].model", lambda name: append(name, say(model="x" * 257))),
    ("INVALID_FIELD", "messages[0].status_reason", lambda name: append(name, say(status_reason="x" * 1025))),
    ("INVALID_FIELD", "messages[0].status", lambda name: append(name, say(status=pb.MESSAGE_STATUS_UNREADABLE))),
    ("INVALID_FIELD", "messages[0].create_time", lambda name: append(name, say(create_time=Timestamp(seconds=-1)))),
    ("INVALID_FIELD", "messages[0].create_time", lambda name: append(name, say(create_time=Timestamp(nanos=10**9)))),
    ("INVALID_FIELD", "request_id", lambda name: append(name, say(), request_id="x" * 65)),
    ("TOO_LARGE", "request", lambda name: append(name, *[say("x" * MIB)] * 4, say("x" * MIB))),
]


@pytest.mark.parametrize(("reason", "field", "request_"), CASES)
def test_what_exceeds_a_limit_or_is_malformed_is_named_and_nothing_is_stored(
    stub: SessionServiceStub, name: str, reason: str, field: str, request_: Callable[[str], api.AppendMessagesRequest]
) -> None:
    with fails() as failure:
        stub.AppendMessages(request_(name))
    assert (failure.status, failure.reason) == (INVALID, reason)
    assert [violation[0] for violation in failure.violations] == [field]
    with fails() as failure:
        stub.GetSession(api.GetSessionRequest(name=name))
    assert failure.reason == "SESSION_NOT_FOUND"


@pytest.mark.parametrize(
    "attributes",
    [
        *("[]", '"text"', "1", "null", "{", "{} {}", "{'a': 1}", '{"a": NaN}', '{"a":1,}', "\ufeff{}", " "),
        '{"a":' * 200 + "1" + "}" * 200,
        '{"a":' + "[" * 100_000 + "]" * 100_000 + "}",
    ],
)
def test_attributes_must_be_a_json_object_of_bounded_depth(
    stub: SessionServiceStub, name: str, attributes: str
) -> None:
    with fails() as failure:
        stub.AppendMessages(append(name, say(attributes=attributes)))
    assert (failure.status, failure.reason) == (INVALID, "INVALID_FIELD")
    assert failure.violations[0][0] == "messages[0].attributes"


@pytest.mark.parametrize(
    "attributes", ['{"a":1,"a":2}', ' {\n"n": 1.0e400, "i": ' + "9" * 5000 + "}", '{"\\ud800":"\\u0000 é 😀"}', "{}"]
)
def test_attributes_are_carried_byte_for_byte(stub: SessionServiceStub, name: str, attributes: str) -> None:
    stub.AppendMessages(append(name, say(attributes=attributes)))
    [message] = stub.ListMessages(api.ListMessagesRequest(session=name)).messages
    assert message.attributes == attributes


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("title", api.CreateSessionRequest(title="x" * 201)),
        ("ttl", api.CreateSessionRequest(ttl=Duration(nanos=1))),
        ("ttl", api.CreateSessionRequest(ttl=Duration(seconds=-5))),
        ("ttl", api.CreateSessionRequest(ttl=Duration(seconds=11 * 366 * 86400))),
        ("labels", api.CreateSessionRequest(labels={f"k{n}": "" for n in range(65)})),
        ("labels", api.CreateSessionRequest(labels={"": "x"})),
        ("labels", api.CreateSessionRequest(labels={"k" * 64: "x"})),
        ("labels[k]", api.CreateSessionRequest(labels={"k": "x" * 257})),
    ],
)
def test_a_session_is_not_created_with_such_a_field(
    stub: SessionServiceStub, field: str, request_: api.CreateSessionRequest
) -> None:
    with fails() as failure:
        stub.CreateSession(request_)
    assert (failure.status, failure.reason) == (INVALID, "INVALID_FIELD")
    assert failure.violations[0][0] == field


@pytest.mark.parametrize("paths", [[], ["owner"], ["title", "name"], ["*"]])
def test_an_update_names_what_it_changes(stub: SessionServiceStub, name: str, paths: list[str]) -> None:
    stub.CreateSession(api.CreateSessionRequest(name=name))
    with fails() as failure:
        stub.UpdateSession(api.UpdateSessionRequest(name=name, title="new", update_mask=FieldMask(paths=paths)))
    assert (failure.reason, failure.violations[0][0]) == ("INVALID_FIELD", "update_mask")


@pytest.mark.parametrize("extent", [{}, {"keep": -1}, {"remove_last": 0}, {"remove_last": 1001}])
def test_a_truncation_says_how_much(stub: SessionServiceStub, name: str, extent: dict[str, int]) -> None:
    stub.AppendMessages(append(name, say()))
    with fails() as failure:
        stub.TruncateSession(api.TruncateSessionRequest(name=name, **extent))  # type: ignore[arg-type]  # As above.
    assert failure.reason == "INVALID_FIELD"
    assert stub.GetSession(api.GetSessionRequest(name=name)).message_count == 1


@pytest.mark.parametrize("size", [-1, 1001])
def test_pages_and_tails_are_bounded(stub: SessionServiceStub, name: str, size: int) -> None:
    stub.AppendMessages(append(name, say()))
    calls: list[Callable[[], object]] = [
        lambda: stub.ListSessions(api.ListSessionsRequest(page_size=size)),
        lambda: stub.ListMessages(api.ListMessagesRequest(session=name, page_size=size)),
        lambda: stub.GetSnapshot(api.GetSnapshotRequest(session=name, tail=size)),
        lambda: next(stub.WatchSession(api.WatchSessionRequest(session=name, tail=size))),
    ]
    for call in calls:
        with fails() as failure:
            call()
        assert failure.reason == "INVALID_FIELD"


def test_a_page_token_of_another_request_is_refused(stub: SessionServiceStub, name: str) -> None:
    stub.AppendMessages(append(name, *[say()] * 3))
    stub.AppendMessages(append(f"{name}-other", *[say()] * 3))
    page = stub.ListMessages(api.ListMessagesRequest(session=name, page_size=1))
    assert page.next_page_token
    sessions = stub.ListSessions(api.ListSessionsRequest(page_size=1))
    token = page.next_page_token
    for request in (
        api.ListMessagesRequest(session=f"{name}-other", page_token=token),
        api.ListMessagesRequest(session=name, page_token=token, newest_first=True),
        api.ListMessagesRequest(session=name, page_token=token, after_position=page.position),
        api.ListMessagesRequest(session=name, page_token=sessions.next_page_token),
        api.ListMessagesRequest(session=name, page_token=token[:-2]),
        api.ListMessagesRequest(session=name, page_token="garbage é"),
    ):
        with fails() as failure:
            stub.ListMessages(request)
        assert (failure.status, failure.reason) == (INVALID, "INVALID_PAGE_TOKEN")
    for listing in (
        api.ListSessionsRequest(page_token=sessions.next_page_token, query="x"),
        api.ListSessionsRequest(page_token=sessions.next_page_token, labels={"a": "b"}),
        api.ListSessionsRequest(page_token=sessions.next_page_token, owner="x"),
        api.ListSessionsRequest(page_token=token),
    ):
        with fails() as failure:
            stub.ListSessions(listing)
        assert failure.reason == "INVALID_PAGE_TOKEN"


def test_a_page_token_of_another_epoch_is_a_conflict_that_says_where_the_head_is(
    stub: SessionServiceStub, name: str
) -> None:
    stub.AppendMessages(append(name, *[say()] * 3))
    token = stub.ListMessages(api.ListMessagesRequest(session=name, page_size=1)).next_page_token
    head = stub.ClearSession(api.ClearSessionRequest(name=name)).position
    with fails() as failure:
        stub.ListMessages(api.ListMessagesRequest(session=name, page_token=token))
    assert (failure.status, failure.reason) == (grpc.StatusCode.ABORTED, "POSITION_CONFLICT")
    assert failure.metadata["position"] == head


@pytest.mark.parametrize("position", ["another.1", "zzzzzzzzzzzz.1", "garbage", "{head}1"])
@pytest.mark.parametrize("newest_first", [False, True])
def test_listing_after_a_position_of_another_epoch_or_beyond_the_head_is_a_conflict(
    stub: SessionServiceStub, name: str, position: str, newest_first: bool
) -> None:
    head = stub.AppendMessages(append(name, say())).position
    after = position.format(head=head)
    with fails() as failure:
        stub.ListMessages(api.ListMessagesRequest(session=name, after_position=after, newest_first=newest_first))
    assert (failure.reason, failure.metadata) == ("POSITION_CONFLICT", {"position": head})


@pytest.mark.parametrize("expected", ["", "garbage", "mws8phqpe04l.1"])
def test_nothing_is_written_where_the_head_is_not_as_expected(
    stub: SessionServiceStub, name: str, expected: str
) -> None:
    head = stub.AppendMessages(append(name, say())).position
    writes: list[Callable[[], object]] = [
        lambda: stub.AppendMessages(append(name, say(), expected_position=expected)),
        lambda: stub.ClearSession(api.ClearSessionRequest(name=name, expected_position=expected)),
        lambda: stub.TruncateSession(api.TruncateSessionRequest(name=name, keep=0, expected_position=expected)),
        lambda: stub.DeleteSession(api.DeleteSessionRequest(name=name, expected_position=expected)),
    ]
    for write in writes:
        with fails() as failure:
            write()
        assert (failure.status, failure.reason) == (grpc.StatusCode.ABORTED, "POSITION_CONFLICT")
        assert failure.metadata == {"position": head}
    assert stub.GetSession(api.GetSessionRequest(name=name)).position == head


def test_a_request_id_is_answered_once_and_refused_with_another_body(stub: SessionServiceStub, name: str) -> None:
    first = stub.AppendMessages(append(name, say("once"), say("twice"), request_id="r1"))
    again = stub.AppendMessages(append(name, say("once"), say("twice"), request_id="r1", expected_position=""))
    assert (list(again.messages), again.position) == (list(first.messages), first.position)
    for body in ([say("other")], [say("once")], [say("once"), say("twice", id="x")]):
        with fails() as failure:
            stub.AppendMessages(append(name, *body, request_id="r1"))
        assert (failure.status, failure.reason) == (INVALID, "REQUEST_ID_REUSED")
        assert failure.violations[0][0] == "request_id" or "request_id" in failure.violations[0][1]
    assert stub.GetSession(api.GetSessionRequest(name=name)).message_count == 2


def test_a_hundred_callers_at_once_lose_nothing_and_repeat_nothing(stub: SessionServiceStub, name: str) -> None:
    def send(number: int) -> str:
        return stub.AppendMessages(append(name, say(f"n{number % 50}"), request_id=f"r{number % 50}")).position

    with ThreadPoolExecutor(32) as callers:
        positions = list(callers.map(send, range(100)))
    messages = stub.ListMessages(api.ListMessagesRequest(session=name, page_size=1000)).messages
    assert sorted(message.content for message in messages) == sorted(f"n{n}" for n in range(50))
    assert [message.sequence for message in messages] == list(range(1, 51))
    assert positions[:50] == positions[50:]


def test_a_frame_of_eight_mebibytes_is_refused_by_the_service_itself(channel: grpc.Channel) -> None:
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
        "/aichat.session.v1.SessionService/AppendMessages"
    )
    with fails() as failure:
        call(b"\x0a" * (8 * MIB))
    assert failure.reason == "TOO_LARGE"


def test_bytes_that_are_no_message_are_refused(channel: grpc.Channel) -> None:
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
        "/aichat.session.v1.SessionService/GetSession"
    )
    with fails() as failure:
        call(b"\xff\xff\xff")
    assert (failure.status, failure.reason) == (INVALID, "INVALID_FIELD")


@pytest.mark.parametrize("author", ["x" * 257, "a%00b", "a%0Ab"])
def test_an_author_that_is_no_name_is_refused(stub: SessionServiceStub, name: str, author: str) -> None:
    with fails() as failure:
        stub.AppendMessages(append(name, say()), metadata=(("ai-chat-author", author),))
    assert failure.violations[0][0] == "ai-chat-author"
