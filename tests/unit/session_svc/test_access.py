"""The table of who may call what is whole, and what a caller may sign."""

from contextlib import nullcontext

import pytest
from aichat.session.v1 import session_service_pb2 as api
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message as ProtoMessage
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st
from session_svc.domain.access import Grant, NamePatterns, Scope
from session_svc.domain.errors import InvalidField, ScopeMissing, SessionForbidden
from session_svc.domain.limits import AUTHOR_CHARACTERS
from session_svc.domain.message import NewMessage, Role, Status
from session_svc.transport.access import TABLE
from session_svc.transport.caller import Caller, request_id

METHODS = list(api.DESCRIPTOR.services_by_name["SessionService"].methods)
SESSION_FIELDS = {"session", "name"}


def test_every_method_of_the_proto_is_in_the_table_and_nothing_else() -> None:
    assert set(TABLE) == {method.name for method in METHODS}


def test_what_only_reads_needs_read_and_the_rest_needs_write() -> None:
    reading = {name for name, access in TABLE.items() if access.scope is Scope.READ}
    assert reading == {method.name for method in METHODS if method.name.startswith(("Get", "List", "Watch"))}
    assert {access.scope for access in TABLE.values()} == {Scope.READ, Scope.WRITE}


def naming(message: ProtoMessage, name: str) -> bool:
    """Sets the field that names a session, in the request or in the frame that begins it; whether there is one."""
    for field in message.DESCRIPTOR.fields:
        if field.name in SESSION_FIELDS and field.type == FieldDescriptor.TYPE_STRING:
            setattr(message, field.name, name)
            return True
    return any(
        naming(getattr(message, field.name), name)
        for field in message.DESCRIPTOR.fields
        if field.name == "start" and field.message_type is not None
    )


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_the_session_that_a_request_names_is_found(method: MethodDescriptor) -> None:
    request = GetMessageClass(method.input_type)()
    named = naming(request, "talk")
    assert TABLE[method.name].session(request) == ("talk" if named else None)


ADA = Grant("ada", Scope.WRITE)
ROOT = Grant("root", Scope.ADMIN)


def signed(grant: Grant | None, message: NewMessage) -> NewMessage:
    [result] = Caller((), "here", grant=grant).signed([message], "messages")
    return result


def test_what_says_no_author_is_signed_with_the_name_of_the_token() -> None:
    assert signed(ADA, NewMessage(Role.USER, "hello")).author == "ada"
    assert signed(ADA, NewMessage(Role.USER, "hello", author="ada")).author == "ada"
    assert signed(ROOT, NewMessage(Role.USER, "hello")).author == "root"


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (NewMessage(Role.USER, "hello", author="bob"), "messages[0].author"),
        (NewMessage(Role.USER, "hello", author="Ada"), "messages[0].author"),
        (NewMessage(Role.USER, "hello", create_time=0), "messages[0].create_time"),
        (NewMessage(Role.ASSISTANT, "hello", status=Status.FAILED), "messages[0].status"),
    ],
)
def test_what_would_forge_needs_admin(message: NewMessage, field: str) -> None:
    with pytest.raises(ScopeMissing, match="admin") as refused:
        signed(ADA, message)
    assert str(refused.value).startswith(field)
    assert refused.value.scope is Scope.ADMIN
    admitted = signed(ROOT, message)
    assert (admitted.author, admitted.create_time, admitted.status) == (
        message.author or "root",
        message.create_time,
        message.status,
    )
    assert signed(None, message) == message


def test_metadata_names_the_caller_only_where_there_are_no_tokens() -> None:
    metadata = (("ai-chat-author", "B%C3%B6b"),)
    assert Caller(metadata, "here").name == "Böb"
    assert Caller(metadata, "here", grant=ADA).name == "ada"


@pytest.mark.parametrize("name", ["x" * (AUTHOR_CHARACTERS + 1), "a%0Ab", "%1B[31m"])
def test_a_name_that_cannot_stand_as_an_author_is_refused(name: str) -> None:
    with pytest.raises(InvalidField, match="percent-encoded"):
        _ = Caller((("ai-chat-author", name),), "here").name


@pytest.mark.parametrize("given", ["", "x" * 129, "a\nb", "\x1b[31m", "é", "\u2028"])
def test_an_id_of_a_request_that_would_spoil_the_log_is_replaced(given: str) -> None:
    made = request_id(given)
    assert made != given
    assert request_id(made) == made
    assert request_id(given) != made


def test_an_id_of_a_request_that_can_stand_in_the_log_stays() -> None:
    assert request_id("x" * 128) == "x" * 128


def test_a_token_without_patterns_is_for_every_session() -> None:
    assert ADA.covers("anything")
    assert not Grant("ada", Scope.READ, NamePatterns(("team-*",))).covers("anything")


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("team-*", "team-", True),
        ("team-*", "team", False),
        ("team-*", "Team-a", False),
        ("team-*", "my-team-a", False),
        ("*", "any thing\u2028at all", True),
        ("a?c", "abc", True),
        ("[ab]-*", "c-x", False),
        ("a.c", "abc", False),
        ("a|b", "a", False),
        ("team-a", "team-a\n", False),
    ],
)
def test_patterns_match_whole_names(pattern: str, name: str, matches: bool) -> None:
    assert NamePatterns(("nothing", pattern)).match(name) is matches


@given(st.lists(st.text("ab*?[]!-", min_size=1, max_size=30), min_size=1, max_size=5), st.text("ab-", max_size=256))
def test_no_pattern_is_an_error_or_takes_long(patterns: list[str], name: str) -> None:
    allowed = NamePatterns(tuple(patterns))
    caller = Caller((), "here", grant=Grant("ada", Scope.READ, allowed))
    with nullcontext() if allowed.match(name) else pytest.raises(SessionForbidden):
        caller.may_touch(name)
