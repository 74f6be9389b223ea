"""Sessions in files."""

import io
import json
from datetime import timedelta

import pytest
from ai_chat_cli.archive.batches import BYTES, batches
from ai_chat_cli.archive.reader import ArchiveError, read
from ai_chat_cli.archive.writers import WRITERS
from ai_chat_client import (
    MESSAGE_STATUS_FAILED,
    MESSAGE_STATUS_INTERRUPTED,
    ROLE_ASSISTANT,
    ROLE_TOOL,
    ROLE_USER,
    TITLE_SOURCE_AUTO,
    TITLE_SOURCE_USER,
    Message,
    Session,
)
from ai_chat_client.message_json import from_ms
from google.protobuf.duration_pb2 import Duration

SESSION = Session(
    name="team:x",
    title="Tïtle",
    title_source=TITLE_SOURCE_USER,
    owner="anna",
    message_count=3,
    ttl=Duration(seconds=60),
    labels={"a": "1"},
)
MESSAGES = [
    Message(
        id="1", sequence=1, role=ROLE_USER, author="anna", content="line\u2028separated\nhé 🎉", create_time=from_ms(1)
    ),
    Message(id="2", sequence=2, role=ROLE_TOOL, content="", attributes='{ "n": 1.0e400 }'),
    Message(
        id="3",
        sequence=3,
        role=ROLE_ASSISTANT,
        model="m",
        content="# md",
        status=MESSAGE_STATUS_INTERRUPTED,
        status_reason="stopped",
    ),
]


def written(form: str, session: Session = SESSION, messages: list[Message] | None = None) -> str:
    parts: list[str] = []
    writer = WRITERS[form](parts.append)
    writer.begin(session)
    for message in MESSAGES if messages is None else messages:
        writer.message(message)
    writer.end()
    return "".join(parts)


@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_what_was_exported_is_read_again_with_everything_in_it(form: str) -> None:
    header, messages = read(io.BytesIO(written(form).encode()))
    assert (header.name, header.title, header.owner) == ("team:x", "Tïtle", "anna")
    assert (header.ttl, header.labels, header.count) == (timedelta(seconds=60), {"a": "1"}, 3)
    assert list(messages) == MESSAGES


@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_a_session_without_messages_is_read_again(form: str) -> None:
    header, messages = read(io.BytesIO(written(form, Session(name="empty"), []).encode()))
    assert header.name == "empty"
    assert header.ttl is None
    assert list(messages) == []


def test_the_first_line_of_jsonl_is_the_session() -> None:
    first, *rest = written("jsonl").split("\n")
    assert json.loads(first)["aichat"] == 1
    assert json.loads(first)["session"]["name"] == "team:x"
    assert [json.loads(line)["id"] for line in rest if line] == ["1", "2", "3"]


def test_json_is_one_document_and_may_be_rewritten_over_several_lines() -> None:
    document = json.loads(written("json", messages=MESSAGES[:1]))
    header, messages = read(io.BytesIO(json.dumps(document, indent=2).encode()))
    assert header.name == "team:x"
    assert list(messages) == MESSAGES[:1]


def test_markdown_can_be_read_by_people() -> None:
    text = written("md")
    assert text.startswith("# Tïtle\n\n`team:x`\n")
    assert "\n## anna · 1970-01-01 00:00 UTC\n\nline" in text
    assert text.endswith("\n## assistant · m\n\n# md\n\n*[interrupted: stopped]*\n")


def test_an_automatic_title_is_left_to_the_server() -> None:
    session = Session(name="s", title="auto", title_source=TITLE_SOURCE_AUTO)
    assert read(io.BytesIO(written("jsonl", session, []).encode()))[0].title == ""


@pytest.mark.parametrize("form", ["jsonl", "json"])
@pytest.mark.parametrize("attributes", ['{\n  "a": 1.0\r\n}', ' {"a":1}\t', "\n{}\n", '{"a":"\u2028"}'])
def test_attributes_keep_their_white_space_and_are_an_object_for_other_readers(form: str, attributes: str) -> None:
    text = written(form, messages=[Message(id="1", role=ROLE_TOOL, attributes=attributes)])
    [message] = read(io.BytesIO(text.encode()))[1]
    assert message.attributes == attributes
    found = json.loads(text)["messages"][0] if form == "json" else json.loads(text.split("\n")[1])
    assert found["attributes"] == json.loads(attributes)


HEAD = b'{"aichat":1,"session":{"name":"s"}}\n'


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not a file of `ai-chat export`"),
        (b"hello\n", "not a file of `ai-chat export`"),
        (b'{"role":"user","content":"a"}\n', 'does not begin with {"aichat": 1'),
        (b'{"aichat":2,"session":{}}\n', "newer ai-chat"),
        (b"\xff\xfe\n", "not a file|not UTF-8"),
        (HEAD + b'{"role":"user","content":1}\n', "line 2: content must be a string"),
        (HEAD + b'{"content":"a"}\n', "line 2: role is missing"),
        (HEAD + b'{"role":"user","content":"a"}\n{"role":', "line 3: "),
        (HEAD + b"\xff\n", "line 2: not UTF-8"),
        (HEAD + b'{"role":"user","attributesText":"\\ud800"}\n', "line 2: "),
        (b'{"aichat":1,"session":{},"messages":[{"role":"x"}]}', "message 1: role must be one of"),
    ],
)
def test_a_file_that_is_something_else_is_refused_with_the_place(content: bytes, problem: str) -> None:
    with pytest.raises(ArchiveError, match=problem):
        list(read(io.BytesIO(content))[1])


def test_portions_are_bounded_in_number_and_size() -> None:
    assert [len(batch) for batch in batches(Message(content="x") for _ in range(2500))] == [1000, 1000, 500]
    large = [Message(content="x" * 1_000_000, status=MESSAGE_STATUS_FAILED) for _ in range(8)]
    portions = list(batches(large))
    assert [message for portion in portions for message in portion] == large
    assert all(sum(message.ByteSize() for message in portion) <= BYTES for portion in portions)
    assert list(batches([])) == []
