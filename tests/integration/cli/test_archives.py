"""Export and import against the real service."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from ai_chat_client import (
    MESSAGE_STATUS_FAILED,
    MESSAGE_STATUS_INTERRUPTED,
    ROLE_ASSISTANT,
    ROLE_SYSTEM,
    ROLE_TOOL,
    ROLE_USER,
    Client,
    Message,
)
from ai_chat_client.message_json import from_ms
from support.terminal import Terminal

from .conftest import COMMAND, Person

MESSAGES = [
    Message(id="m.1", role=ROLE_SYSTEM, content="Be brief.", create_time=from_ms(1_734_782_567_890)),
    Message(role=ROLE_USER, author="Zoë", content="line\u2028two\n\x1b[2J 🎉"),
    Message(role=ROLE_TOOL, content="", attributes='{ "n": 1.0e400, "n": [1, 2] }'),
    Message(role=ROLE_TOOL, content="", attributes='{\n  "n": 1\n}\n'),
    Message(
        role=ROLE_ASSISTANT,
        model="m",
        content="half",
        status=MESSAGE_STATUS_INTERRUPTED,
        status_reason="stopped",
    ),
]


def stored(client: Client, name: str) -> list[Message]:
    return list(client.messages(name))


def make(client: Client, name: str) -> list[Message]:
    client.create_session(name, title="A title", ttl=timedelta(days=1), labels={"team": "core"})
    client.append_messages(name, MESSAGES)
    return stored(client, name)


@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_an_import_keeps_everything(anna: Person, client: Client, name: str, tmp_path: Path, form: str) -> None:
    messages = make(client, name)
    file = tmp_path / f"x.{form}"
    ran = anna.run("export", name, "-o", str(file))
    assert (ran.code, ran.out) == (0, "")
    ran = anna.run("import", str(file), "--as", f"{name}-copy")
    assert ran.code == 0, ran.err
    assert f"{len(MESSAGES)} messages imported" in ran.err
    assert stored(client, f"{name}-copy") == messages
    original, copy = client.get_session(name), client.get_session(f"{name}-copy")
    for field in ("title", "title_source", "owner", "ttl", "labels", "message_count", "last_role", "preview"):
        assert getattr(copy, field) == getattr(original, field), field


def test_an_export_goes_to_stdout_and_comes_from_stdin(anna: Person, client: Client, name: str) -> None:
    messages = make(client, name)
    exported = anna.ok("export", name)
    assert json.loads(exported.split("\n")[0])["aichat"] == 1
    anna.ok("import", "-", "--as", f"{name}-copy", stdin=exported)
    assert stored(client, f"{name}-copy") == messages


def test_an_import_that_is_repeated_changes_nothing(anna: Person, client: Client, name: str) -> None:
    exported = _export(anna, client, name)
    for _ in range(2):
        anna.ok("import", "-", "--as", f"{name}-copy", stdin=exported)
    assert client.get_session(f"{name}-copy").message_count == len(MESSAGES)


def test_an_import_that_broke_off_goes_on_where_it_was(anna: Person, client: Client, name: str) -> None:
    client.append_messages(name, [Message(role=ROLE_USER, content=f"{n}") for n in range(1000)])
    client.append_messages(name, [Message(role=ROLE_USER, content=f"{n}") for n in range(1000, 1500)])
    exported = anna.ok("export", name)
    whole = exported.splitlines(keepends=True)
    broken = anna.run("import", "-", "--as", f"{name}-copy", stdin="".join(whole[:1201]) + "{ broken off\n")
    assert broken.code == 2
    assert "line 1202" in broken.err
    assert client.get_session(f"{name}-copy").message_count == 1000
    anna.ok("import", "-", "--as", f"{name}-copy", stdin=exported)
    assert [message.content for message in client.messages(f"{name}-copy")] == [str(n) for n in range(1500)]


def test_an_import_after_a_clear_imports_again(anna: Person, client: Client, name: str) -> None:
    exported = _export(anna, client, name)
    anna.ok("clear", name, "--yes")
    anna.ok("import", "-", stdin=exported)
    assert client.get_session(name).message_count == len(MESSAGES)
    client.clear_session(name)
    anna.ok("import", "-", stdin=exported)
    assert client.get_session(name).message_count == len(MESSAGES)


def test_a_session_with_other_messages_is_left_alone(anna: Person, client: Client, name: str) -> None:
    exported = _export(anna, client, name)
    client.append_messages(f"{name}-other", [Message(role=ROLE_USER, content="mine")])
    ran = anna.run("import", "-", "--as", f"{name}-other", stdin=exported)
    assert ran.code == 4
    assert "--as" in ran.err
    assert client.get_session(f"{name}-other").message_count == 1


def test_large_messages_are_imported_in_several_requests(anna: Person, client: Client, name: str) -> None:
    for n in range(6):
        client.append_messages(name, [Message(role=ROLE_USER, content=f"{n}" + "x" * 1_000_000)])
    exported = anna.ok("export", name)
    anna.ok("import", "-", "--as", f"{name}-copy", stdin=exported)
    assert [message.content[0] for message in client.messages(f"{name}-copy")] == list("012345")


def test_a_reply_is_imported_with_all_its_parts(anna: Person, client: Client, name: str) -> None:
    with client.reply(name, messages=[Message(role=ROLE_USER, content="why?")]) as reply:
        for _ in range(20):
            reply.part("reasoning", json.dumps({"text": "x" * 65_000}))
        reply.write("because")
    exported = anna.ok("export", name)
    anna.ok("import", "-", "--as", f"{name}-copy", stdin=exported)
    assert stored(client, f"{name}-copy") == stored(client, name)


def test_a_message_that_is_refused_is_named_by_its_place_and_nothing_is_left_behind(anna: Person, name: str) -> None:
    header = json.dumps({"aichat": 1, "session": {"name": name}})
    lines = [json.dumps({"role": "user", "content": "x" * size}) for size in (1, 1_000_000, 1_048_577)]
    ran = anna.run("import", "-", stdin="\n".join([header, *lines]))
    assert ran.code == 2
    assert "stdin: message 3: content: 1048577 bytes are more than" in ran.err
    assert anna.run("show", name).code == 3


def test_a_session_of_chat_ai_is_imported_under_a_name_that_may_be_created(
    anna: Person, client: Client, name: str
) -> None:
    session = {"name": "my chat/1", "title": "T" * 500, "titleSource": "user"}
    exported = json.dumps({"aichat": 1, "session": session}) + '\n{"role":"user","content":"hi"}\n'
    ran = anna.run("import", "-", stdin=exported)
    assert ran.code == 2
    assert "--as" in ran.err
    anna.ok("import", "-", "--as", name, stdin=exported)
    assert client.get_session(name).title == "T" * 200


def test_what_was_unreadable_is_imported_as_a_failed_message_with_its_text(
    anna: Person, client: Client, name: str
) -> None:
    unreadable = '{"id":"1","sequence":1,"content":"]","status":"unreadable","statusReason":"not a message"}'
    header = json.dumps({"aichat": 1, "session": {"name": name}})
    anna.ok("import", "-", stdin=f"{header}\n{unreadable}\n")
    (message,) = stored(client, name)
    assert (message.content, message.status) == ("]", MESSAGE_STATUS_FAILED)
    assert message.status_reason == "unreadable: not a message"


def test_markdown_is_for_reading_and_is_not_imported(anna: Person, client: Client, name: str) -> None:
    make(client, name)
    text = anna.ok("export", name, "--format", "md")
    assert text.startswith("# A title\n")
    ran = anna.run("import", "-", stdin=text)
    assert ran.code == 2
    assert "not a file of `ai-chat export`" in ran.err


def _export(anna: Person, client: Client, name: str) -> str:
    make(client, name)
    return anna.ok("export", name)


def test_on_a_terminal_long_work_shows_how_far_it_is(anna: Person, client: Client, name: str) -> None:
    client.append_messages(name, [Message(role=ROLE_USER, content="x") for _ in range(1000)])
    with anna.terminal("export", name, "-o", "x.jsonl") as terminal:
        assert terminal.process.wait(60) == 0
        screen = terminal.wait_for("1000 messages in x.jsonl")
    assert re.search(rf"exporting {name} .*0/1000", screen)
    assert "1000/1000" in screen
    with anna.terminal("import", "x.jsonl", "--as", f"{name}-copy") as terminal:
        assert terminal.process.wait(60) == 0
        screen = terminal.wait_for(f"{name}-copy: 1000 messages imported")
    assert re.search(rf"importing {name}-copy .*0/1000", screen)
    assert "1000/1000" in screen


def test_a_bar_never_runs_into_the_data(anna: Person, client: Client, name: str) -> None:
    make(client, name)
    with anna.terminal("export", name) as terminal:
        assert terminal.process.wait(60) == 0
        screen = terminal.wait_for('"role":"assistant"')
    assert "exporting" not in screen
    command = " ".join([*COMMAND, "export", name])
    with Terminal(["sh", "-c", f"{command} > x.jsonl"], environment=anna.variables, directory=anna.folder) as terminal:
        assert terminal.process.wait(60) == 0
        terminal.wait_for(f"exporting {name}")
    assert (anna.folder / "x.jsonl").read_text() == anna.ok("export", name)
