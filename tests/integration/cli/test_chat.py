"""The chat, in real terminals."""

import signal
import time
from collections.abc import Iterator
from threading import Thread

import pytest
from ai_chat_client import ROLE_ASSISTANT, ROLE_USER, Client, Message
from ai_chat_client.errors import NotFoundError
from support.processes import Service, session_svc
from support.terminal import CONTROL_C, CONTROL_D, ENTER, Terminal

from .conftest import Person

PASTE_BEGINS, PASTE_ENDS = "\x1b[200~", "\x1b[201~"
PROMPT = "\n>"
KEPT = "nobody has answered; your message is kept"


def say(client: Client, name: str, content: str, *, author: str = "carol", role: int = ROLE_USER) -> None:
    client.append_messages(name, [Message(role=role, author=author, content=content)])  # type: ignore[arg-type]  # A role.


def contents(client: Client, name: str) -> list[str]:
    try:
        return [message.content for message in client.messages(name)]
    except NotFoundError:
        return []


def until_stored(client: Client, name: str, expected: list[str]) -> None:
    deadline = time.monotonic() + 20
    while contents(client, name) != expected:
        assert time.monotonic() < deadline, f"{contents(client, name)} is not {expected}"
        time.sleep(0.05)


def enter(terminal: Terminal, text: str) -> None:
    """Types a line when the prompt is there, and sends it."""
    terminal.wait_for(PROMPT)
    terminal.type(text)
    terminal.wait_for(text)
    terminal.type(ENTER)


def test_two_terminals_in_one_session_see_each_others_messages_as_they_come(
    anna: Person, bob: Person, client: Client, name: str
) -> None:
    with anna.terminal("-s", name) as hers:
        hers.wait_for(f"new session {name}")
        with bob.terminal("-s", name) as his:
            his.wait_for(f"{name} · 0 messages")
            enter(hers, "hello from her")
            his.wait_for("anna")
            his.wait_for("hello from her")
            enter(his, "and from him: wörld 🎉")
            hers.wait_for("bob")
            hers.wait_for("and from him: wörld 🎉")
            enter(hers, "goodbye")
            his.wait_for("goodbye")
            assert "bob" not in his.screen, "his own message is not reported to him"
            assert "anna" not in hers.screen
            for terminal in (hers, his):
                terminal.type(CONTROL_D)
                assert terminal.process.wait(60) == 0
    assert contents(client, name) == ["hello from her", "and from him: wörld 🎉", "goodbye"]


def test_what_others_write_does_not_disturb_what_is_being_typed(anna: Person, client: Client, name: str) -> None:
    with anna.terminal("-s", name) as terminal:
        terminal.wait_for(PROMPT)
        terminal.type("half of")
        terminal.wait_for("half of")
        say(client, name, "an interruption")
        terminal.wait_for("an interruption")
        terminal.type(" a sentence")
        terminal.type(ENTER)
        until_stored(client, name, ["an interruption", "half of a sentence"])


def test_a_pasted_block_is_one_message(anna: Person, client: Client, name: str) -> None:
    block = "def f():\n    return 1\n\nprint(f())"
    with anna.terminal("-s", name) as terminal:
        terminal.wait_for(PROMPT)
        terminal.type(f"{PASTE_BEGINS}{block}{PASTE_ENDS}")
        terminal.wait_for("print(f())")
        assert contents(client, name) == []
        terminal.type(ENTER)
        until_stored(client, name, [block])


def test_if_nobody_answers_it_says_so_and_the_prompt_is_there(anna: Person, client: Client, name: str) -> None:
    with anna.terminal("-s", name) as terminal:
        enter(terminal, "anyone?")
        terminal.wait_for(KEPT)
        enter(terminal, "still here")
        until_stored(client, name, ["anyone?", "still here"])
        say(client, name, "an answer", author="bot", role=ROLE_ASSISTANT)
        terminal.wait_for("bot (assistant)")
        terminal.wait_for("an answer")


def test_control_c_empties_the_line_and_then_leaves_with_130(anna: Person, client: Client, name: str) -> None:
    with anna.terminal("-s", name) as terminal:
        terminal.wait_for(PROMPT)
        terminal.type("never sent")
        terminal.wait_for("never sent")
        terminal.type(CONTROL_C)
        terminal.type(f"yes{ENTER}")
        until_stored(client, name, ["yes"])
        terminal.type(CONTROL_C)
        assert terminal.process.wait(60) == 130
        assert "Traceback" not in terminal.screen


def test_a_chat_that_is_told_to_end_leaves_the_terminal_as_it_was(anna: Person, name: str) -> None:
    with anna.terminal("-s", name) as terminal:
        terminal.wait_for(PROMPT)
        terminal.process.terminate()
        assert terminal.process.wait(60) == 128 + signal.SIGTERM
        assert "Traceback" not in terminal.screen


def test_escape_sequences_of_others_are_shown_and_not_obeyed(anna: Person, client: Client, name: str) -> None:
    say(client, name, "before \x1b]0;owned\x07 [bold]after[/bold]", author="\x1b[31meve")
    with anna.terminal("-s", name) as terminal:
        terminal.wait_for("␛[31meve")
        terminal.wait_for("\nbefore ␛]0;owned␇ [bold]after[/bold]\n")


def test_a_resumed_session_shows_its_last_messages(anna: Person, client: Client, name: str) -> None:
    client.append_messages(name, [Message(role=ROLE_USER, author="carol", content=f"text {n}") for n in range(25)])
    with anna.terminal("-s", name) as terminal:
        screen = terminal.wait_for("text 24")
        assert f"{name} · text 0 · 25 messages" in screen
        assert "text 15" in screen
        assert "text 14" not in screen


def test_the_session_used_last_is_resumed(anna: Person, name: str) -> None:
    with anna.terminal("-s", name) as terminal:
        enter(terminal, "remember me")
        terminal.type(CONTROL_D)
        terminal.wait_for(f"ai-chat -s {name}")
        assert terminal.process.wait(60) == 0
    with anna.terminal("-c") as terminal:
        terminal.wait_for(f"{name} · remember me · 1 message")


def test_a_session_is_picked_from_a_list(anna: Person, client: Client, name: str) -> None:
    client.create_session(f"{name}-first")
    client.create_session(f"{name}-second")
    with anna.terminal("-r", name) as terminal:
        terminal.wait_for(f"2  {name}-first")
        terminal.wait_for("which one")
        terminal.type(f"7{ENTER}")
        terminal.wait_for("'7' is not in the list")
        terminal.type(f"2{ENTER}")
        terminal.wait_for(f"{name}-first · 0 messages")


def test_commands_begin_with_a_slash(anna: Person, client: Client, name: str) -> None:
    client.create_session(f"{name}-other")
    with anna.terminal("-s", name) as terminal:
        enter(terminal, "/help")
        terminal.wait_for("/switch [TEXT]")
        enter(terminal, "/web")
        terminal.wait_for(f"http://localhost:3000/s/{name}")
        enter(terminal, "/titel")
        terminal.wait_for("did you mean '/title'?")
        enter(terminal, "/title My title")
        terminal.wait_for("title: My title")
        enter(terminal, "//help is a message")
        until_stored(client, name, ["/help is a message"])
        enter(terminal, "/clear")
        terminal.wait_for("remove 1 message (y/N)?")
        terminal.type(f"y{ENTER}")
        terminal.wait_for("all messages were removed")
        enter(terminal, "/sessions")
        terminal.wait_for("NAME")
        enter(terminal, f"/switch {name}-other")
        terminal.wait_for("/switch")
        enter(terminal, "in the other one")
        until_stored(client, f"{name}-other", ["in the other one"])
        enter(terminal, "/new")
        enter(terminal, "in a new one")
        enter(terminal, "/quit")
        assert terminal.process.wait(60) == 0
    (new,) = [session for session in client.sessions(query="session-") if session.preview == "in a new one"]
    assert new.owner == "anna"
    assert client.get_session(name).title == "My title"


def test_a_session_that_is_deleted_begins_anew_when_someone_writes(anna: Person, client: Client, name: str) -> None:
    with anna.terminal("-s", name) as terminal:
        enter(terminal, "before")
        until_stored(client, name, ["before"])
        client.delete_session(name)
        terminal.wait_for("the session was deleted")
        say(client, name, "a new beginning")
        terminal.wait_for("a new beginning")
        enter(terminal, "after")
        until_stored(client, name, ["a new beginning", "after"])


def test_lines_of_a_pipe_are_messages_and_its_name_is_printed(anna: Person, client: Client) -> None:
    ran = anna.run(stdin="first\r\n\n/title From a pipe\nsecond\r\n")
    assert ran.code == 0
    name = ran.out.strip()
    assert contents(client, name) == ["first", "second"]
    assert client.get_session(name).title == "From a pipe"
    assert KEPT in ran.err


def test_an_empty_pipe_waits_for_nobody_and_says_how_to_resume_as_a_shell_reads_it(anna: Person, name: str) -> None:
    ran = anna.run("-s", f"{name}~1", stdin="")
    assert (ran.code, ran.out) == (0, "")
    assert KEPT not in ran.err
    assert f"resume it with: ai-chat -s '{name}~1'\n" in ran.err


def test_a_pipe_waits_for_the_answer(anna: Person, client: Client, name: str) -> None:
    def answer() -> None:
        for event in client.watch_session(name, after_position=""):
            if event.HasField("messages"):
                say(client, name, "the answer", author="bot", role=ROLE_ASSISTANT)
                return

    answering = Thread(target=answer)
    answering.start()
    ran = anna.run("-s", name, stdin="a question")
    answering.join()
    assert ran.code == 0
    assert "the answer" in ran.out
    assert KEPT not in ran.err


@pytest.fixture
def fragile() -> Iterator[Service]:
    with session_svc() as svc:
        yield svc


def test_a_chat_outlives_its_server(anna: Person, fragile: Service, name: str) -> None:
    anna.environment["AI_CHAT_SERVER"] = fragile.address
    with anna.terminal("-s", name) as terminal:
        terminal.wait_for(PROMPT)
        fragile.kill()
        terminal.wait_for("connection lost, trying again")
        enter(terminal, "into the void")
        terminal.wait_for("error: no answer from")
        fragile.start()
        terminal.wait_for("connected again")
        terminal.type(ENTER)  # The text is still there.
        with Client(fragile.address) as client:
            until_stored(client, name, ["into the void"])
            say(client, name, "welcome back")
            terminal.wait_for("welcome back")
        assert terminal.screen.count("connection lost") == terminal.screen.count("connected again") == 1


def test_a_server_that_is_not_there_is_one_line_and_exit_5(anna: Person) -> None:
    anna.environment["AI_CHAT_SERVER"] = "127.0.0.1:1"
    with anna.terminal("-s", "x") as terminal:
        terminal.wait_for("error: no answer from 127.0.0.1:1")
        assert terminal.process.wait(60) == 5
        assert "Traceback" not in terminal.screen
        assert terminal.screen.strip().count("\n") == 0
