"""Messages and sessions as JSON."""

import json

import pytest
from ai_chat_client import (
    MESSAGE_STATUS_COMPLETE,
    MESSAGE_STATUS_INTERRUPTED,
    MESSAGE_STATUS_UNREADABLE,
    ROLE_ASSISTANT,
    ROLE_USER,
    TITLE_SOURCE_USER,
    JsonError,
    Message,
    Session,
    message_from_json,
    message_to_json,
    messages_from_json,
    rawjson,
    session_to_json,
)
from ai_chat_client.message_json import from_ms
from aichat.session.v1.session_pb2 import Reply
from google.protobuf.duration_pb2 import Duration
from hypothesis import given, settings
from hypothesis import strategies as st

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(texts, json_values, max_size=4)


def test_a_full_message_has_every_field_under_its_name() -> None:
    message = Message(
        id="m1",
        sequence=7,
        role=ROLE_ASSISTANT,
        content="hé\n",
        author="bot",
        model="gpt",
        create_time=from_ms(1734782567890),
        status=MESSAGE_STATUS_INTERRUPTED,
        status_reason="stopped",
        attributes='{"usage": {"tokens": 3}}',
    )
    assert message_to_json(message) == (
        '{"id":"m1","sequence":7,"role":"assistant","content":"hé\\n","author":"bot","model":"gpt",'
        '"timestamp":1734782567890,"status":"interrupted","statusReason":"stopped",'
        '"attributes":{"usage": {"tokens": 3}}}'
    )


def test_what_is_unset_is_absent_and_so_is_the_status_complete() -> None:
    message = Message(id="1", role=ROLE_USER, status=MESSAGE_STATUS_COMPLETE)
    assert json.loads(message_to_json(message)) == {"id": "1", "role": "user", "content": ""}


def test_an_unreadable_message_has_no_role() -> None:
    message = Message(id="3", sequence=3, content="]", status=MESSAGE_STATUS_UNREADABLE)
    assert json.loads(message_to_json(message)) == {"id": "3", "sequence": 3, "content": "]", "status": "unreadable"}


@pytest.mark.parametrize(
    "attributes",
    ['{"b":1,"a":2,"b":3}', '{ "n": 1.0e400, "i": 12345678901234567890123 }', '{"e":"\\u00e9\\/"}', "{}",
     '{"digits": ' + "9" * 5000 + "}"],
)  # fmt: skip
def test_attributes_are_carried_byte_for_byte_there_and_back(attributes: str) -> None:
    text = message_to_json(Message(id="1", role=ROLE_USER, attributes=attributes))
    assert attributes in text
    assert message_from_json(text).attributes == attributes


def test_attributes_of_several_lines_become_one_line_and_stay_the_same_object() -> None:
    text = message_to_json(Message(id="1", attributes='{\n  "a": "x\\ny",\r\n  "b": 2\n}'))
    assert "\n" not in text
    assert "\r" not in text
    assert json.loads(text)["attributes"] == {"a": "x\ny", "b": 2}


@pytest.mark.parametrize("attributes", ["[1]", "{", "{} {}", '{"a":NaN}', "text", "{" * 100_000])
def test_attributes_that_are_no_object_become_a_string_and_the_line_stays_json(attributes: str) -> None:
    text = message_to_json(Message(id="1", attributes=attributes))
    assert json.loads(text)["attributes"] == attributes
    assert message_from_json(text).attributes == attributes


@settings(deadline=None)
@given(content=texts, author=texts, reason=texts, attributes=json_objects, ms=st.integers(0, 253_402_300_799_999))
def test_a_message_survives_the_way_there_and_back(
    content: str, author: str, reason: str, attributes: dict[str, object], ms: int
) -> None:
    message = Message(
        id="m",
        sequence=1,
        role=ROLE_USER,
        content=content,
        author=author,
        create_time=from_ms(ms),
        status=MESSAGE_STATUS_INTERRUPTED,
        status_reason=reason,
        attributes=json.dumps(attributes, ensure_ascii=False),
    )
    text = message_to_json(message)
    assert "\n" not in text
    assert message_from_json(text) == message
    assert json.loads(text)["content"] == content


def test_what_is_not_known_is_ignored_and_null_means_unset() -> None:
    assert message_from_json('{"content":"a","later":[1,{}],"author":null,"timestamp":null}') == Message(content="a")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[]", "JSON object"),
        ('{"content":1}', "content must be a string"),
        ('{"role":"boss"}', "role must be one of user, assistant, system, tool"),
        ('{"status":"done"}', "status must be one of"),
        ('{"timestamp":-1}', "timestamp must be a whole number"),
        ('{"timestamp":true}', "timestamp must be a whole number"),
        ('{"timestamp":1e3}', "timestamp must be a whole number"),
        ('{"attributes":[1]}', "attributes must be a JSON object"),
        ('{"content":"\\ud800"}', "surrogate"),
        ('{"content":"a"', "JSON object"),
        ('{"content":NaN}', "JSON object"),
    ],
)
def test_a_bad_message_is_refused_with_the_field_at_fault(text: str, problem: str) -> None:
    with pytest.raises(JsonError, match=problem):
        message_from_json(text)


def test_an_array_of_messages_names_the_one_at_fault() -> None:
    assert messages_from_json(' [ {"content":"a"} , {"content":"b"} ] ') == [Message(content="a"), Message(content="b")]
    assert messages_from_json("[]") == []
    with pytest.raises(JsonError, match="message 2: role"):
        messages_from_json('[{"content":"a"},{"role":"x"}]')
    with pytest.raises(JsonError, match="JSON array"):
        messages_from_json("{}")


def test_a_full_session_has_every_field_under_its_name() -> None:
    session = Session(
        name="team:x",
        title="T",
        title_source=TITLE_SOURCE_USER,
        owner="anna",
        message_count=3,
        create_time=from_ms(1),
        last_active_time=from_ms(2),
        expire_time=from_ms(3),
        ttl=Duration(seconds=60),
        labels={"b": "2", "a": "1"},
        last_role=ROLE_USER,
        preview="p",
        awaiting_reply=True,
        reply=Reply(id="r", author="bot", model="gpt", start_time=from_ms(4)),
    )
    assert session_to_json(session) == (
        '{"name":"team:x","title":"T","titleSource":"user","owner":"anna","lastMessage":2,"messageCount":3,'
        '"createdAt":1,"expiresAt":3,"ttl":60000,"labels":{"a":"1","b":"2"},"lastRole":"user","preview":"p",'
        '"awaitingReply":true,"reply":{"id":"r","author":"bot","model":"gpt","startedAt":4}}'
    )


def test_a_session_leaves_out_what_is_unset() -> None:
    assert session_to_json(Session(name="s")) == '{"name":"s","messageCount":0}'


@settings(deadline=None)
@given(json_objects)
def test_members_are_the_text_between_the_commas(value: dict[str, object]) -> None:
    text = json.dumps(value, indent=2)
    assert {key: json.loads(raw) for key, raw in rawjson.members(text).items()} == value


@settings(deadline=None)
@given(st.lists(json_values, max_size=4))
def test_items_are_the_text_between_the_commas(value: list[object]) -> None:
    assert [json.loads(raw) for raw in rawjson.items(json.dumps(value, indent=1))] == value


@settings(deadline=None)
@given(st.text(alphabet='{}[]",:1a \n\\', max_size=12))
def test_what_json_refuses_is_refused(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        expected = None
    assert rawjson.is_object(text) == isinstance(expected, dict)
