"""Replies in terminals: seen as they are written whenever one comes, stopped, and had again."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from ai_chat_client import (
    MESSAGE_STATUS_COMPLETE,
    MESSAGE_STATUS_INTERRUPTED,
    ROLE_ASSISTANT,
    ROLE_USER,
    Client,
    Message,
)
from google.protobuf.timestamp_pb2 import Timestamp
from support.answering import Answering
from support.processes import Service
from support.terminal import CONTROL_C, ENTER, Terminal
from support.until import until

from .conftest import COMMAND, Person

LONG_AGO = 3600
PROMPT = "\n>"


@pytest.fixture
def chat(anna: Person, name: str) -> Iterator[Terminal]:
    with anna.terminal("-s", name) as terminal:
        terminal.wait_for(PROMPT)
        yield terminal


def messages(client: Client, name: str) -> list[Message]:
    return list(client.messages(name))


def ask(terminal: Terminal, client: Client, name: str, question: str) -> None:
    terminal.type(question)
    terminal.wait_for(question)
    terminal.type(ENTER)
    until(lambda: client.get_session(name).preview == question, what="the question in the session")


def user(content: str, *, age: int = 0) -> Message:
    asked = Timestamp(seconds=int(time.time()) - age)
    return Message(role=ROLE_USER, author="anna", content=content, create_time=asked if age else None)


def assistant(content: str) -> Message:
    return Message(role=ROLE_ASSISTANT, author="bot", content=content)


def test_a_reply_is_seen_from_its_first_character_whenever_one_comes(
    anna: Person, bob: Person, svc: Service, client: Client, name: str
) -> None:
    client.append_messages(name, [user("why?")])
    # No two lines have a character in common: above a prompt, only cells that change are drawn.
    pieces = ["abc", "defgh", "ijkl.\nMNO", "PQRS", "TUV!"]
    with ExitStack() as screens, Answering(svc.address, name) as answer:
        watching: list[Terminal] = []
        said = ""
        for at, piece in enumerate(pieces):
            person, how = (anna, ("tail", name)) if at % 2 else (bob, ("-s", name))
            watching.append(screens.enter_context(person.terminal(*how)))
            answer.write(piece)
            said += piece
            for terminal in watching:
                terminal.wait_for("assistant")
                for line in said.split("\n")[:-1]:
                    terminal.wait_for(line)
                terminal.wait_for(piece.split("\n")[-1])
        answer.__exit__(None, None, None)
        for at, terminal in enumerate(watching):
            if at % 2:  # tail adds to the line; above a prompt only whole lines stay.
                terminal.wait_for("abcdefghijkl.\nMNOPQRSTUV!\n")
            else:
                terminal.wait_for("MNOPQRSTUV!\n")


def test_the_end_of_a_reply_looks_like_what_it_is(
    anna: Person, svc: Service, client: Client, name: str, chat: Terminal
) -> None:
    with anna.terminal("tail", name) as tail:
        for how, mark in (
            ("fail", "[failed: out of tea]"),
            ("stop", "[interrupted"),
            ("clear", "[nothing of it is kept]"),
        ):
            client.append_messages(name, [user("why?")])
            with Answering(svc.address, name) as answer:
                answer.write(f"until-{how}")
                chat.wait_for(f"until-{how}")
                if how == "fail":
                    answer.fail("out of tea")
                elif how == "stop":
                    client.stop_reply(name)
                else:
                    client.clear_session(name)
            for terminal in (chat, tail):
                terminal.wait_for(mark)
        for terminal in (chat, tail):
            terminal.wait_for("all messages were removed")


def test_what_others_write_in_the_middle_of_a_reply_does_not_run_into_it(
    anna: Person, svc: Service, client: Client, name: str
) -> None:
    client.append_messages(name, [user("why?")])
    with anna.terminal("tail", name) as tail, Answering(svc.address, name) as answer:
        answer.write("Half of")
        tail.wait_for("Half of")
        client.append_messages(name, [Message(role=ROLE_USER, author="carol", content="and me?")])
        tail.wait_for("and me?")
        answer.write(" a sentence.")
        tail.wait_for("assistant (continued)")
        tail.wait_for("Half of\n")
        tail.wait_for("\n a sentence.")


def test_control_c_stops_the_reply_to_ones_own_message_and_then_leaves(
    svc: Service, client: Client, name: str, chat: Terminal
) -> None:
    ask(chat, client, name, "tell me")
    with Answering(svc.address, name) as answer:
        answer.write("Once")
        chat.wait_for("Once")
        chat.type("a draft")
        chat.wait_for("a draft")
        chat.type(CONTROL_C)
        answer.wait()
        assert answer.error is not None
    chat.wait_for("[interrupted")
    chat.type(f", finished{ENTER}")
    until(lambda: messages(client, name)[-1].content == "a draft, finished", what="the draft as it was")
    assert messages(client, name)[1].status == MESSAGE_STATUS_INTERRUPTED
    chat.type(CONTROL_C)
    assert chat.process.wait(60) == 130


def test_control_c_only_leaves_a_reply_to_another(svc: Service, client: Client, name: str, chat: Terminal) -> None:
    client.append_messages(name, [Message(role=ROLE_USER, author="carol", content="for me")])
    with Answering(svc.address, name) as answer:
        answer.write("To-Carol")
        chat.wait_for("To-Carol")
        chat.type(CONTROL_C)
        assert chat.process.wait(60) == 130
        answer.write(" alone")
    assert messages(client, name)[-1].content == "To-Carol alone"
    assert messages(client, name)[-1].status == MESSAGE_STATUS_COMPLETE


def test_control_c_stops_the_answer_to_a_pipe(anna: Person, svc: Service, client: Client, name: str) -> None:
    pipe = ["sh", "-c", f"echo 'why?' | {' '.join(COMMAND)} -s {name}"]
    with Terminal(pipe, environment=anna.variables, directory=anna.folder) as terminal:
        terminal.wait_for(f"new session {name}")
        until(lambda: client.get_session(name).message_count == 1, what="the question")
        with Answering(svc.address, name) as answer:
            answer.write("So")
            terminal.wait_for("So")
            terminal.type(CONTROL_C)
            answer.wait()
        assert terminal.process.wait(60) != 0
    assert messages(client, name)[-1].status == MESSAGE_STATUS_INTERRUPTED


def test_a_young_question_is_had_answered_again_where_it_stands(
    svc: Service, client: Client, name: str, chat: Terminal
) -> None:
    client.append_messages(name, [assistant("hello"), user("why?"), assistant("a bad answer"), assistant("and worse")])
    chat.wait_for("and worse")
    before = messages(client, name)[1]
    chat.type(f"/retry{ENTER}")
    until(lambda: client.get_session(name).awaiting_reply, what="the question open again")
    assert messages(client, name)[1:] == [before]
    chat.wait_for("the last messages were removed")
    with Answering(svc.address, name) as answer:
        answer.write("better")
        chat.wait_for("better")
        chat.type(CONTROL_C)
        answer.wait()
    assert messages(client, name)[-1].status == MESSAGE_STATUS_INTERRUPTED, "its answer is one's own to stop"


def test_an_old_question_is_asked_anew_with_those_before_it(
    svc: Service, client: Client, name: str, chat: Terminal
) -> None:
    old = [user("first", age=LONG_AGO), user("second", age=LONG_AGO)]
    client.append_messages(name, [assistant("hello"), *old, assistant("a bad answer")])
    chat.wait_for("a bad answer")
    chat.type(f"/retry{ENTER}")
    until(lambda: client.get_session(name).awaiting_reply, what="the question open again")
    hello, first, second = messages(client, name)
    assert [hello.content, first.content, second.content] == ["hello", "first", "second"]
    assert first.author == second.author == "anna"
    assert abs(second.create_time.ToSeconds() - time.time()) < LONG_AGO / 2
    with Answering(svc.address, name) as answer:
        answer.write("better")
        chat.wait_for("better")


def test_what_cannot_be_retried_is_said(svc: Service, client: Client, name: str, chat: Terminal) -> None:
    chat.type(f"/retry{ENTER}")
    chat.wait_for("there is no question")
    ask(chat, client, name, "why?")
    with Answering(svc.address, name):
        chat.wait_for("assistant")
        chat.type(f"/retry{ENTER}")
        chat.wait_for("a reply is being written")
    assert client.get_session(name).message_count == 2
