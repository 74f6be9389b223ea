"""Commands without a chat, against the real service."""

import json
import shlex
import subprocess
import time
from pathlib import Path

import pytest
from ai_chat_client import ROLE_USER, Client, Message
from support.until import STALL_SECONDS

from .conftest import COMMAND, Person


def lines(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_what_is_sent_is_shown_and_listed(anna: Person, name: str) -> None:
    anna.ok("send", name, "hello wörld 🎉")
    anna.ok("send", name, "-", stdin="two\nlines\n")
    shown = anna.ok("show", name)
    assert f"{name} · hello wörld 🎉 · 2 messages" in shown
    assert "hello wörld 🎉\n" in shown
    assert "two\nlines\n" in shown
    assert [message["content"] for message in lines(anna.ok("show", name, "--json"))] == [
        "hello wörld 🎉",
        "two\nlines",
    ]
    assert [message["content"] for message in lines(anna.ok("show", name, "-n", "1", "--json"))] == ["two\nlines"]
    row = anna.ok("list", name).rstrip("\n").split("\t")
    assert row[:2] == [name, "2"]
    (session,) = lines(anna.ok("list", name, "--json"))
    assert (session["name"], session["owner"], session["messageCount"]) == (name, "anna", 2)


def test_send_tells_what_was_stored(anna: Person, name: str) -> None:
    (message,) = lines(anna.ok("send", name, "hi", "--role", "system", "--json"))
    assert (message["sequence"], message["role"], message["content"], message["author"]) == (1, "system", "hi", "anna")
    assert isinstance(message["timestamp"], int)


def test_the_title_and_labels_are_set_and_printed(anna: Person, name: str) -> None:
    anna.ok("send", name, "first line\nsecond")
    assert anna.ok("title", name) == "first line\n"
    assert anna.ok("title", name, "A name") == "A name\n"
    assert anna.ok("title", name, "") == "first line\n"
    assert anna.ok("label", name, "team=core", "draft=yes") == "draft=yes\nteam=core\n"
    assert anna.ok("label", name, "draft-") == "team=core\n"
    assert anna.ok("list", "--label", "team=core", name).startswith(name)
    assert anna.ok("list", "--label", "team=other", name) == ""


def test_clear_and_delete_need_a_yes_without_a_terminal(anna: Person, name: str) -> None:
    anna.ok("send", name, "precious")
    for command in ("clear", "delete"):
        ran = anna.run(command, name)
        assert (ran.code, ran.out) == (2, "")
        assert "--yes" in ran.err
    assert "precious" in anna.ok("show", name)
    anna.ok("clear", name, "--yes")
    assert lines(anna.ok("show", name, "--json")) == []
    anna.ok("delete", name, "--yes")
    assert anna.run("show", name).code == 3


def test_clear_and_delete_ask_on_a_terminal(anna: Person, name: str) -> None:
    anna.ok("send", name, "precious")
    with anna.terminal("delete", name) as terminal:
        terminal.wait_for("Delete the session with 1 message")
        terminal.type("n\r")
        terminal.wait_for("left as it is")
        assert terminal.process.wait(60) == 1
    with anna.terminal("clear", name) as terminal:
        terminal.wait_for("Remove 1 message")
        terminal.type("y\r")
        assert terminal.process.wait(60) == 0
    assert lines(anna.ok("show", name, "--json")) == []


def test_what_was_agreed_to_is_what_is_deleted(anna: Person, client: Client, name: str) -> None:
    anna.ok("send", name, "one")
    with anna.terminal("delete", name) as terminal:
        terminal.wait_for("1 message")
        anna.ok("send", name, "two, written meanwhile")
        terminal.type("y\r")
        terminal.wait_for("error: ")
        assert terminal.process.wait(60) == 4
    assert client.get_session(name).message_count == 2


FAILURES = [
    (("show", "no-such-session"), 3, "there is no session 'no-such-session'; "),
    (("title", "no-such-session", "x"), 3, "there is no session"),
    (("send", "no-such-session", "x", "--existing"), 3, "there is no session"),
    (("-s", "no-such-session", "--existing"), 3, "there is no session"),
    (("--existing",), 2, "--existing needs a name; give it with -s"),
    (("send", "x", "y", "--author", "a\nb"), 2, "--author: 'a\\nb' is no name; write up to 256 printable"),
    (("title", "x", "y" * 201), 2, "error: title: 201 characters are more"),
    (("context",), 2, "error: Missing command; see `ai-chat context --help`"),
    (("-c",), 3, "no session was used here yet"),
    (("send", "bad/name", "x"), 2, "not a name for a session"),
    (("-s", "bad name"), 2, "not a name for a session"),
    (("send", "x", ""), 2, "the message is empty"),
    (("send", "x", "y", "--role", "boss"), 2, "write user, assistant, system, tool"),
    (("label", "no-such-session", "x"), 3, "there is no session"),
    (("show",), 2, "which session?"),
    (("-s", "a", "-c"), 2, "exclude each other"),
    (("-r",), 2, "no terminal"),
    (("nonsense",), 2, "No such command 'nonsense'; see `ai-chat --help`"),
    (("list", "--nonsense"), 2, "--nonsense"),
    (("--server", "nowhere", "list"), 2, "--server: 'nowhere' is no server address"),
    (("--context", "team", "list"), 2, "ai-chat context set team"),
    (("list", "--token-file", "/nonexistent"), 2, "--token-file: cannot read"),
    (("list", "--server", "chat.example.com:1", "--tls-ca", "/nonexistent"), 2, "cannot read the CA file"),
    (("import", "/nonexistent"), 2, "cannot read /nonexistent"),
    (("export", "x", "--format", "pdf"), 2, "write jsonl, json, md"),
    (("list", "--server", "127.0.0.1:1"), 5, "no answer from 127.0.0.1:1"),
]


@pytest.mark.parametrize(("arguments", "code", "text"), FAILURES, ids=[" ".join(case[0]) for case in FAILURES])
def test_a_failure_is_one_line_with_a_remedy_and_an_exit_code(
    anna: Person, arguments: tuple[str, ...], code: int, text: str
) -> None:
    ran = anna.run(*arguments)
    assert (ran.code, ran.out) == (code, "")
    assert text in ran.err
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1


def test_bytes_that_are_no_text_are_refused(anna: Person, name: str) -> None:
    for ran in (anna.run("send", name, b"\xff"), anna.run("send", name, "-", stdin=b"\xff"), anna.run("show", b"\xff")):
        assert ran.code == 2
        assert "UTF-8" in ran.err
        assert "Traceback" not in ran.err


def test_close_matches_of_an_unknown_name_are_suggested(anna: Person, name: str) -> None:
    anna.ok("send", name, "x")
    assert f"did you mean '{name}'?" in anna.run("show", f"{name}x").err


def test_a_token_is_not_sent_in_the_clear_to_another_machine(anna: Person) -> None:
    ran = anna.run("list", "--server", "http://chat.example.com:1", AI_CHAT_TOKEN="secret")
    assert ran.code == 2
    assert "--insecure" in ran.err
    assert "secret" not in ran.err


def test_tail_prints_what_is_written_until_the_session_is_deleted(anna: Person, client: Client, name: str) -> None:
    anna.ok("send", name, "one")
    tail = subprocess.Popen(
        [*COMMAND, "tail", name, "--json"], stdout=subprocess.PIPE, env=anna.variables, cwd=anna.folder, text=True
    )
    assert tail.stdout is not None
    assert json.loads(tail.stdout.readline())["content"] == "one"
    anna.ok("send", name, "two")
    assert json.loads(tail.stdout.readline())["content"] == "two"
    client.delete_session(name)
    assert tail.stdout.read() == ""
    tail.stdout.close()
    assert tail.wait(60) == 0


def test_tail_ends_with_130_on_control_c(anna: Person, name: str) -> None:
    anna.ok("send", name, "one")
    with anna.terminal("tail", name) as terminal:
        terminal.wait_for("one")
        terminal.type("\x03")
        assert terminal.process.wait(60) == 130
        terminal.wait_for("^C\n")  # The shell's prompt begins a line.
        assert "Traceback" not in terminal.screen


def test_tail_without_following_returns(anna: Person, name: str) -> None:
    anna.ok("send", name, "one")
    assert "one" in anna.ok("tail", name, "--no-follow")


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["show", "--json"], '"content":"\\u001b]0;x\\u0007\\u009b2J\\u007f"'),
        (["export"], '"content":"\\u001b]0;x\\u0007\\u009b2J\\u007f"'),
        (["export", "--format", "md"], "␛]0;x␇\\u009b2J␡"),
        (["label"], '"\\u001b]0;x\\u0007\\u009b2J\\u007f"="\\u001b]0;x\\u0007\\u009b2J\\u007f"'),
    ],
    ids=["json", "export", "markdown", "labels"],
)
def test_data_on_a_terminal_is_nothing_that_it_obeys(
    anna: Person, client: Client, name: str, command: list[str], shown: str
) -> None:
    evil = "\x1b]0;x\x07\x9b2J\x7f"
    client.create_session(name, labels={evil: evil})
    client.append_messages(name, [Message(role=ROLE_USER, content=evil)])
    with anna.terminal(command[0], name, *command[1:]) as terminal:
        assert shown in terminal.wait_for(shown)
        assert terminal.process.wait(60) == 0
        assert "\x9b" not in terminal.screen
    if "--json" in command:
        assert "\x9b" in anna.ok(command[0], name, *command[1:])


def test_a_reader_that_goes_away_is_no_failure_worth_a_word(anna: Person, name: str) -> None:
    anna.ok("send", name, "-", stdin="x" * 200_000)
    shown = subprocess.Popen(
        [*COMMAND, "show", name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=anna.variables, cwd=anna.folder
    )
    assert shown.stdout is not None
    assert shown.stderr is not None
    shown.stdout.read(10)
    shown.stdout.close()
    assert shown.stderr.read() == b""
    shown.stderr.close()
    assert shown.wait(60) == 1


@pytest.mark.parametrize(("where", "why"), [("> /dev/full", "No space left on device"), (">&-", "Bad file descriptor")])
def test_output_that_cannot_be_written_is_a_failure_of_one_line(anna: Person, where: str, why: str) -> None:
    anna.ok("send", "kept", "x")
    ran = subprocess.run(
        ["sh", "-c", f"{shlex.join(COMMAND)} export kept {where}"],
        stderr=subprocess.PIPE,
        env=anna.variables,
        cwd=anna.folder,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (1, f"error: cannot write the output: {why}\n")


def test_a_message_from_stdin_is_not_read_beyond_what_it_may_have(anna: Person, name: str) -> None:
    anna.ok("send", name, "-", stdin="x" * 1_048_576 + "\n")
    ran = anna.run("send", name, "-", stdin="x" * 1_048_577)
    assert ran.code == 2
    assert "stdin holds more than the 1048576 bytes" in ran.err


def test_sessions_created_get_the_ttl_of_the_settings(anna: Person, client: Client, name: str) -> None:
    anna.ok("send", name, "x", AI_CHAT_TTL="3600")
    assert client.get_session(name).ttl.seconds == 3600
    anna.ok("send", f"{name}-2", "x", "--ttl", "60", AI_CHAT_TTL="3600")
    assert client.get_session(f"{name}-2").ttl.seconds == 60


def test_contexts_are_set_used_listed_and_deleted(anna: Person, name: str) -> None:
    server = anna.environment.pop("AI_CHAT_SERVER")
    token = anna.folder / "token"
    token.write_text("secret\n")
    anna.ok("context", "set", "team", "--server", server, "--token-file", str(token), "-s", name, "--ttl", "60")
    anna.ok("context", "set", "other", "--server", "127.0.0.1:1")
    config = anna.home / ".config" / "ai-chat" / "config.json"
    assert config.stat().st_mode & 0o777 == 0o600
    assert json.loads(config.read_text()) == {
        "contexts": {
            "team": {"server": server, "token": "secret", "session": name, "ttl": 60},
            "other": {"server": "127.0.0.1:1"},
        },
        "current": "team",
    }
    listed = anna.ok("context", "list")
    assert f"* team  server={server}" in listed
    assert "secret" not in listed
    anna.ok("send", name, "through the context")
    assert "through the context" in anna.ok("show")
    anna.ok("context", "use", "other")
    assert anna.run("list").code == 5
    assert name in anna.ok("list", "--context", "team", name)
    anna.ok("context", "delete", "other")
    assert anna.run("context", "use", "other").code == 3


def test_a_config_file_that_does_not_parse_is_ignored_with_a_warning(anna: Person, name: str) -> None:
    (anna.folder / "config.json").write_text("{")
    ran = anna.run("send", name, "x")
    assert ran.code == 0
    assert "config.json is not JSON" in ran.err
    assert "ignored" in ran.err


def test_help_does_not_need_a_server(anna: Person) -> None:
    assert "git diff | ai-chat send my-project -" in anna.ok("--help", AI_CHAT_SERVER="127.0.0.1:1")


def test_the_shell_is_offered_session_names(anna: Person, name: str) -> None:
    anna.ok("send", name, "x")
    words = {"_AI_CHAT_COMPLETE": "complete_bash", "COMP_CWORD": "2"}
    assert name in anna.ok(**words, COMP_WORDS=f"ai-chat show {name[:8]}").split()
    assert name in anna.ok(**words, COMP_WORDS=f"ai-chat -s {name[:8]}").split()


def test_completion_is_silent_and_quick_when_the_server_is_away(anna: Person) -> None:
    began = time.monotonic()
    words = {"_AI_CHAT_COMPLETE": "complete_bash", "COMP_CWORD": "2", "COMP_WORDS": "ai-chat show x"}
    ran = anna.run(**words, AI_CHAT_SERVER="127.0.0.1:1")
    assert (ran.code, ran.out.strip(), ran.err) == (0, "", "")
    assert time.monotonic() - began < 5 + STALL_SECONDS


def test_output_that_the_terminal_cannot_show_does_not_end_the_program(anna: Person, name: str) -> None:
    anna.ok("send", name, "snowman ☃")
    out = anna.ok("show", name, PYTHONIOENCODING="ascii")
    assert "snowman \\u2603" in out


def test_an_export_is_not_left_half_written(anna: Person, tmp_path: Path) -> None:
    target = tmp_path / "x.jsonl"
    assert anna.run("export", "no-such-session", "-o", str(target)).code == 3
    assert not target.exists()
    assert [entry for entry in tmp_path.iterdir() if entry.is_file()] == []
