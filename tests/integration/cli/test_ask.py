"""`ai-chat ask`: a question, and its answer as it is written."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from ai_chat_client import MESSAGE_STATUS_INTERRUPTED, ROLE_ASSISTANT, ROLE_USER, Client, Message
from ai_chat_client.errors import NotFoundError
from aichat_dev.spawn import kill, spawn
from support.answering import Answering
from support.processes import Service
from support.terminal import CONTROL_C
from support.until import until

from .conftest import COMMAND, Person

WAIT_SECONDS = 40


class Asking:
    """`ai-chat ask` while it runs."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self.out = b""

    def read_until(self, text: str) -> None:
        """Returns once stdout holds `text`."""
        assert self._process.stdout is not None
        while text.encode() not in self.out:
            more = self._process.stdout.read1(4096)  # type: ignore[attr-defined]  # A buffered reader.
            assert more, f"stdout ended: {self.out!r}"
            self.out += more

    def end(self) -> tuple[int, str, str]:
        """Its exit code, stdout and stderr, once it has ended."""
        out, err = self._process.communicate(timeout=WAIT_SECONDS)
        return self._process.returncode, (self.out + out).decode(), err.decode()


@contextmanager
def asking(person: Person, *arguments: str) -> Iterator[Asking]:
    process = subprocess.Popen(
        [*COMMAND, "ask", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=person.variables,
        cwd=person.folder,
    )
    with process:
        try:
            yield Asking(process)
        finally:
            process.kill()


def contents(client: Client, name: str) -> list[str]:
    try:
        return [message.content for message in client.messages(name)]
    except NotFoundError:
        return []


def until_asked(client: Client, name: str, question: str = "why?") -> None:
    until(lambda: question in contents(client, name), what="the question in the session")


def test_the_answer_is_printed_as_it_is_written(anna: Person, svc: Service, client: Client, name: str) -> None:
    with asking(anna, name, "why?") as asked:
        until_asked(client, name)
        with Answering(svc.address, name) as answer:
            answer.write("Beca")
            asked.read_until("Beca")
            answer.write("use \x1b[1mof\x1b[0m\r\nthis")
            asked.read_until("this")
        assert asked.end() == (0, "Because \x1b[1mof\x1b[0m\r\nthis\n", "")
    question = next(iter(client.messages(name)))
    assert (question.role, question.author) == (ROLE_USER, "anna")


def test_an_answer_that_comes_whole_is_printed_and_as_json_with_all_that_is_known(
    anna: Person, client: Client, name: str
) -> None:
    for flags, expected in (((), "42\n"), (("--json",), None)):
        with asking(anna, name, f"why{flags}?", *flags) as asked:
            until_asked(client, name, f"why{flags}?")
            client.append_messages(name, [Message(role=ROLE_USER, content="me too")])
            client.append_messages(name, [Message(role=ROLE_ASSISTANT, author="bot", content="42")])
            code, out, _ = asked.end()
        assert code == 0
        if expected:
            assert out == expected
        else:
            assert json.loads(out)["author"] == "bot"
            assert out.count("\n") == 1


def test_a_reply_that_had_begun_before_is_not_the_answer(anna: Person, svc: Service, client: Client, name: str) -> None:
    client.append_messages(name, [Message(role=ROLE_USER, content="an earlier question")])
    with Answering(svc.address, name) as earlier, asking(anna, name, "why?") as asked:
        earlier.write("to the earlier question")
        until_asked(client, name)
        earlier.__exit__(None, None, None)
        with Answering(svc.address, name) as answer:
            answer.write("to yours")
        assert asked.end()[:2] == (0, "to yours\n")


def test_a_reply_that_failed_is_exit_7_and_says_why(anna: Person, svc: Service, client: Client, name: str) -> None:
    with asking(anna, name, "why?") as asked:
        until_asked(client, name)
        with Answering(svc.address, name) as answer:
            answer.write("Well")
            answer.fail("out of tea")
        assert asked.end() == (7, "Well\n", "error: the reply is not complete: failed: out of tea\n")


def stop(client: Client, name: str) -> None:
    client.stop_reply(name)


def clear(client: Client, name: str) -> None:
    client.clear_session(name)


def truncate(client: Client, name: str) -> None:
    client.truncate_session(name, keep=0)


def delete(client: Client, name: str) -> None:
    client.delete_session(name)


@pytest.mark.parametrize("end", [stop, clear, truncate, delete])
@pytest.mark.parametrize("said", ["", "So "])
def test_a_reply_that_others_end_is_exit_7(
    anna: Person, svc: Service, client: Client, name: str, end: Callable[[Client, str], None], said: str
) -> None:
    with asking(anna, name, "why?") as asked:
        until_asked(client, name)
        with Answering(svc.address, name) as answer:
            if said:
                answer.write(said)
                asked.read_until(said)
            end(client, name)
            answer.wait()
        code, out, err = asked.end()
    assert (code, out) == (7, f"{said}\n" if said else "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_a_reply_whose_writer_was_killed_is_exit_7_with_what_was_said(
    anna: Person, svc: Service, client: Client, name: str
) -> None:
    with asking(anna, name, "why?") as asked:
        until_asked(client, name)
        program = Path(__file__).with_name("killed_writer.py")
        writer = spawn([sys.executable, program, svc.address, name, "so far"], output=subprocess.DEVNULL)
        try:
            asked.read_until("so far")
        finally:
            kill(writer)
        code, out, err = asked.end()
    assert (code, out) == (7, "so far\n")
    assert "interrupted" in err


def test_nobody_answering_in_time_is_exit_8_and_the_message_is_kept(anna: Person, client: Client, name: str) -> None:
    ran = anna.run("ask", name, "-", "--timeout", "0.3", stdin="anyone?\n")
    assert (ran.code, ran.out) == (8, "")
    assert "nobody answered within 0.3 s; your message is kept" in ran.err
    assert contents(client, name) == ["anyone?"]


def test_control_c_stops_the_answer_and_exits_with_130(anna: Person, svc: Service, client: Client, name: str) -> None:
    with anna.terminal("ask", name, "why?") as terminal:
        until_asked(client, name)
        with Answering(svc.address, name) as answer:
            answer.write("Once upon a time")
            terminal.wait_for("Once upon a time")
            terminal.type(CONTROL_C)
            assert terminal.process.wait(WAIT_SECONDS) == 130
            answer.wait()
    assert "Traceback" not in terminal.screen
    last = list(client.messages(name))[-1]
    assert (last.content, last.status) == ("Once upon a time", MESSAGE_STATUS_INTERRUPTED)


def test_control_c_leaves_a_reply_to_another_alone(anna: Person, svc: Service, client: Client, name: str) -> None:
    client.append_messages(name, [Message(role=ROLE_USER, content="an earlier question")])
    with Answering(svc.address, name) as answer, anna.terminal("ask", name, "why?") as terminal:
        until_asked(client, name)
        terminal.type(CONTROL_C)
        assert terminal.process.wait(WAIT_SECONDS) == 130
        terminal.wait_for("^C\nnot answered yet; your message is kept")
        answer.write("undisturbed")
    assert answer.error is None
    assert contents(client, name)[-1] == "undisturbed"


def test_a_terminal_does_not_obey_the_answer(anna: Person, svc: Service, client: Client, name: str) -> None:
    with anna.terminal("ask", name, "why?") as terminal:
        until_asked(client, name)
        with Answering(svc.address, name) as answer:
            answer.write("\x1b]0;owned\x07boo")
        terminal.wait_for("␛]0;owned␇boo")
