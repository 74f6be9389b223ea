"""Paging through sessions and messages."""

import pytest
from aichat.session.v1 import session_pb2 as pb
from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1.session_service_pb2_grpc import SessionServiceStub

MIB = 1024 * 1024


def say(stub: SessionServiceStub, session: str, *contents: str) -> api.AppendMessagesResponse:
    messages = [pb.Message(role=pb.ROLE_USER, content=content) for content in contents]
    return stub.AppendMessages(api.AppendMessagesRequest(session=session, messages=messages))


def every_session(stub: SessionServiceStub, request: api.ListSessionsRequest) -> list[str]:
    """The names on all pages, in order."""
    found: list[str] = []
    while True:
        page = stub.ListSessions(request)
        found += [session.name for session in page.sessions]
        assert len(page.sessions) <= (request.page_size or 50)
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def every_message(stub: SessionServiceStub, request: api.ListMessagesRequest) -> list[int]:
    """The sequences on all pages, in order."""
    found: list[int] = []
    while True:
        page = stub.ListMessages(request)
        found += [message.sequence for message in page.messages]
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


@pytest.mark.parametrize("page_size", [1, 7, 100, 1000])
def test_sessions_are_listed_once_each_latest_activity_first(
    stub: SessionServiceStub, name: str, page_size: int
) -> None:
    names = [f"{name}-{number:02}" for number in range(23)]  # Of one millisecond, the greater name comes first.
    for each in names:
        say(stub, each, "hello")
    found = every_session(stub, api.ListSessionsRequest(page_size=page_size))
    assert len(found) == len(set(found))
    assert [each for each in found if each.startswith(f"{name}-")] == names[::-1]
    filtered = every_session(stub, api.ListSessionsRequest(page_size=page_size, query=f"{name}-".upper()))
    assert filtered == names[::-1]


def test_a_filter_takes_part_of_name_or_title_and_labels_and_owner_together(
    stub: SessionServiceStub, name: str
) -> None:
    owner = (("ai-chat-author", "J%C3%B6rg"),)
    for suffix, title, labels in (
        ("a", "Große Straße", {"x": "1"}),
        ("b", "other", {"x": "1", "y": "2"}),
        ("c", "GROSSE", {}),
    ):
        request = api.CreateSessionRequest(name=f"{name}-{suffix}", title=f"{title} {name}", labels=labels)
        stub.CreateSession(request, metadata=owner)
    for request_, expected in (
        (api.ListSessionsRequest(query=f"grosse strasse {name}"), ["a"]),
        (api.ListSessionsRequest(query=f"{name}-", labels={"x": "1"}), ["b", "a"]),
        (api.ListSessionsRequest(query=f"{name}-", labels={"x": "1", "y": "2"}), ["b"]),
        (api.ListSessionsRequest(query=f"{name}-", owner="Jörg"), ["c", "b", "a"]),
        (api.ListSessionsRequest(query=f"{name}-", owner="jörg"), []),
    ):
        assert every_session(stub, request_) == [f"{name}-{suffix}" for suffix in expected]


@pytest.mark.parametrize("page_size", [1, 3, 10, 1000])
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("after", [0, 1, 4, 10])
def test_messages_are_listed_once_each_in_the_order_asked_for(
    stub: SessionServiceStub, name: str, page_size: int, newest_first: bool, after: int
) -> None:
    name = f"{name}-{page_size}-{newest_first}-{after}"
    head = say(stub, name, *map(str, range(1, 11))).position
    epoch = head.split(".")[0]
    request = api.ListMessagesRequest(session=name, page_size=page_size, newest_first=newest_first)
    request.after_position = f"{epoch}.{after}" if after else ""
    expected = list(range(after + 1, 11))
    assert every_message(stub, request) == (expected[::-1] if newest_first else expected)


def test_messages_appended_while_paging_do_not_come_twice(stub: SessionServiceStub, name: str) -> None:
    say(stub, name, "1", "2", "3")
    request = api.ListMessagesRequest(session=name, page_size=2, newest_first=True)
    first = stub.ListMessages(request)
    say(stub, name, "4")
    request.page_token = first.next_page_token
    second = stub.ListMessages(request)
    assert [message.sequence for page in (first, second) for message in page.messages] == [3, 2, 1]
    assert second.position.endswith(".4")


def test_a_page_of_large_messages_is_short_and_goes_on(stub: SessionServiceStub, name: str) -> None:
    for _ in range(8):
        say(stub, name, "é" * (MIB // 2))
    request = api.ListMessagesRequest(session=name)
    assert stub.ListMessages(request).ByteSize() <= 3.5 * MIB
    assert every_message(stub, request) == list(range(1, 9))
    request = api.ListMessagesRequest(session=name, newest_first=True)
    assert every_message(stub, request) == list(range(8, 0, -1))


def test_sessions_with_every_label_fill_a_page_only_as_far_as_a_client_reads(
    stub: SessionServiceStub, name: str
) -> None:
    labels = {f"{number:063}": "é" * 256 for number in range(64)}
    for number in range(100):
        stub.CreateSession(api.CreateSessionRequest(name=f"{name}-{number:02}", labels=labels))
    request = api.ListSessionsRequest(page_size=1000, query=f"{name}-")
    page = stub.ListSessions(request)
    assert page.ByteSize() <= 3.5 * MIB
    assert 0 < len(page.sessions) < 100
    assert every_session(stub, request) == [f"{name}-{number:02}" for number in range(99, -1, -1)]


def test_two_sessions_created_without_a_name_get_two(stub: SessionServiceStub) -> None:
    names = {stub.CreateSession(api.CreateSessionRequest()).name for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith("session-") for name in names)
