"""Events as they stand on the channels, read into the domain's words."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from session_svc.bus.codec import NotAnEvent, list_event, session_event, source_of
from session_svc.domain.events import (
    Cleared,
    Deleted,
    Foreign,
    MessageAppended,
    MessagesTruncated,
    ReplyEnded,
    ReplyEvent,
    ReplyExtended,
    ReplyStarted,
    Reset,
    SessionChanged,
    SessionCreated,
    SessionRemoved,
    Updated,
)
from session_svc.domain.message import Message, Role, Status
from session_svc.domain.position import Position
from session_svc.domain.reply import Part, Text
from session_svc.domain.session import NEVER, Session, TitleSource

AT = Position("mws7vouqk8l8", 3)


def event(kind: str, payload: str = "{}", position: str = str(AT)) -> bytes:
    return f'{{"type":"{kind}","payload":{payload},"timestamp":1734782567890,"position":"{position}"}}'.encode()


def appended(payload: str, kind: str = "message") -> Message:
    read = session_event(event(kind, payload))
    assert isinstance(read, MessageAppended)
    assert read.position == AT
    return read.message


def test_a_message_of_the_least_fields_reads_as_complete() -> None:
    assert appended('{"sequence":3,"id":"a","role":"user","content":"hi"}', "user") == Message(
        id="a", sequence=3, role=Role.USER, content="hi"
    )


def test_every_field_of_a_message_is_read() -> None:
    payload = (
        '{"sequence":3,"id":"a","role":"assistant","content":"","author":"ann","model":"m","status":"failed",'
        '"statusReason":"no","attributes":{"usage":1},"timestamp":7}'
    )
    assert appended(payload) == Message(
        id="a",
        sequence=3,
        role=Role.ASSISTANT,
        content="",
        author="ann",
        model="m",
        create_time=7,
        status=Status.FAILED,
        status_reason="no",
        attributes='{"usage":1}',
    )


def test_an_unreadable_message_has_no_role() -> None:
    message = appended('{"sequence":3,"id":"e.3","content":"[1","status":"unreadable"}')
    assert (message.role, message.status, message.content) == (None, Status.UNREADABLE, "[1")


@pytest.mark.parametrize(
    "attributes",
    [
        '{"a": 1.0, "a" : 1e2}',
        '{ "nested" : {"attributes": {"x": [1, 2 ,3]}} }',
        '{"text":"\\u00e9 \\ud800 é \\" } , {"}',
        "{}",
        '{\n\t"big": 12345678901234567890.000000000000001\r\n}',
    ],
)
@pytest.mark.parametrize("decoy", ['"content":"attributes\\": {"', '"content":"{}"'])
def test_attributes_keep_every_byte(attributes: str, decoy: str) -> None:
    payload = f'{{"sequence":3,"id":"a","role":"tool",{decoy},"attributes":{attributes},"timestamp":1}}'
    assert appended(payload).attributes == attributes


@given(
    before=st.dictionaries(st.text(), st.recursive(st.none() | st.floats(allow_nan=False), st.lists), max_size=3),
    value=st.dictionaries(st.text(), st.recursive(st.text() | st.integers(), st.lists), max_size=3),
    indent=st.sampled_from([None, 0, 2]),
    ascii_only=st.booleans(),
)
def test_the_source_of_a_value_is_the_text_that_was_written(
    before: dict[str, object], value: dict[str, object], indent: int | None, ascii_only: bool
) -> None:
    source = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    others = json.dumps({**before, "wanted": 0, "last": value}, indent=indent, ensure_ascii=ascii_only)
    text = others.replace('"wanted": 0', f'"wanted" :  {source} ', 1) if '"wanted": 0' in others else others
    outer = f' {{ "x": [{text}], "o" : {text}}}'
    assert source_of(outer, "o", "wanted") == source


def test_half_a_surrogate_pair_becomes_a_replacement_character() -> None:
    assert appended('{"sequence":3,"id":"a","role":"user","content":"a\\ud83d \\ud83d\\ude00"}').content == "a\ufffd 😀"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (event("clear"), Cleared(AT)),
        (event("truncate", '{"keep":3}'), MessagesTruncated(AT, keep=3)),
        (event("reset"), Reset(AT)),
        (event("deleted"), Deleted(AT)),
    ],
)
def test_what_happens_to_a_log_is_read(raw: bytes, expected: object) -> None:
    assert session_event(raw) == expected


SESSION_JSON = (
    '{"name":"talk","lastMessage":9,"messageCount":3,"createdAt":5,"title":"Hé","titleSource":"auto","owner":"ann",'
    '"expiresAt":99,"ttl":90,"labels":{"a":"1"},"lastRole":"user","preview":"p","awaitingReply":true}'
)
SESSION = Session(
    name="talk",
    position=AT,
    create_time=5,
    last_active_time=9,
    title="Hé",
    title_source=TitleSource.AUTO,
    owner="ann",
    expire_time=99,
    ttl=90,
    labels={"a": "1"},
    last_role=Role.USER,
    preview="p",
    awaiting_reply=True,
)


def test_every_field_of_a_session_is_read() -> None:
    assert session_event(event("updated", SESSION_JSON)) == Updated(AT, SESSION)
    assert list_event(event("updated", SESSION_JSON)) == SessionChanged(SESSION)


def test_a_session_of_the_least_fields_has_nothing_else() -> None:
    read = list_event(event("created", '{"name":"talk","lastMessage":5,"messageCount":3,"createdAt":5}'))
    assert read == SessionCreated(Session("talk", AT, create_time=5, last_active_time=5))


def test_a_ttl_of_zero_is_never_and_not_unset() -> None:
    read = list_event(event("created", '{"name":"t","lastMessage":5,"messageCount":3,"createdAt":5,"ttl":0}'))
    assert isinstance(read, SessionCreated)
    assert read.session.ttl == NEVER


def test_a_session_that_left_the_list_is_named() -> None:
    assert list_event(event("deleted", '{"name":"a b/ç"}')) == SessionRemoved("a b/ç")


def test_an_event_without_position_is_another_programs() -> None:
    raw = b'{"type":"user","payload":{"content":"hi"},"timestamp":1}'
    assert session_event(raw) == Foreign("user")
    assert list_event(raw) is None


@pytest.mark.parametrize(
    ("kind", "payload", "read"),
    [
        ("start", '{"replyId":"r","author":"bot"}', ReplyStarted(AT, "r", "bot", "", 1734782567890)),
        ("chunk", '{"content":"a\\nb","replyId":"r","from":0,"to":2}', ReplyExtended(AT, "r", Text("a\nb"), 0, 2)),
        (
            "part",
            '{"type":"tool.call","data":{ "n": 1.0 },"replyId":"r","from":2,"to":3}',
            ReplyExtended(AT, "r", Part("tool.call", '{ "n": 1.0 }'), 2, 3),
        ),
        ("complete", '{"replyId":"r"}', ReplyEnded(AT, "r", None)),
        (
            "complete",
            '{"replyId":"r","sequence":3,"id":"r","role":"assistant","content":"x","status":"interrupted"}',
            ReplyEnded(AT, "r", Message("r", 3, Role.ASSISTANT, "x", status=Status.INTERRUPTED)),
        ),
    ],
)
def test_what_happens_to_a_reply_is_read(kind: str, payload: str, read: ReplyEvent) -> None:
    assert session_event(event(kind, payload)) == read


def test_types_this_version_does_not_know_are_passed_over() -> None:
    assert session_event(event("from-the-future", '{"replyId":"r"}')) is None
    assert list_event(event("from-the-future")) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe",
        b"null",
        b"[1]",
        b'"clear"',
        b"{" * 100_000,
        b"[" * 100_000,
        b'{"type":7}',
        event("clear", position="nowhere"),
        event("clear", position="MWS.1"),
        b'{"type":"clear","position":4}',
        event("truncate"),
        event("truncate", '{"keep":true}'),
        event("truncate", '{"keep":1.5}'),
        event("user", "null"),
        event("user", '"text"'),
        event("user", '{"id":"a","role":"user","content":"no sequence"}'),
        event("user", '{"id":"a","sequence":1,"role":"wizard","content":""}'),
        event("user", '{"id":"a","sequence":1,"content":"no role"}'),
        event("user", '{"id":"a","sequence":1,"role":"user","content":["x"]}'),
        event("user", '{"id":"a","sequence":1,"role":"user","content":"","status":"sleepy"}'),
        event("updated", '{"name":"no times"}'),
        event("updated", SESSION_JSON.replace('"1"', "1")),
        event("updated", SESSION_JSON.replace('{"a":"1"}', "[]")),
    ],
)
def test_garbage_is_refused_by_name(raw: bytes) -> None:
    with pytest.raises(NotAnEvent):
        session_event(raw)


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(raw: bytes) -> None:
    for read in (session_event, list_event):
        try:
            read(raw)
        except NotAnEvent:
            continue
