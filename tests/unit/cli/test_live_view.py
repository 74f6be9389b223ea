"""A watched session on a terminal."""

import grpc
from ai_chat_cli.live_view import LiveView
from ai_chat_client import MESSAGE_STATUS_INTERRUPTED, ROLE_ASSISTANT, ROLE_USER, Message, Session
from ai_chat_client.errors import UnavailableError
from aichat.session.v1 import session_pb2 as model
from aichat.session.v1 import session_service_pb2 as api
from google.protobuf.message import Message as ProtoMessage
from rich.console import RenderableType
from rich.text import Text


class Watched:
    """A view whose lines are collected; `see(kind=event)` feeds it."""

    def __init__(self, *, own: set[str] | None = None, width: int = 40) -> None:
        self.lines: list[str] = []
        self.notes: list[str] = []
        self.drafts: list[str] = []
        self.view = LiveView(self, width=lambda: width, own=own)

    def see(self, **event: ProtoMessage) -> None:
        self.view.see(api.WatchSessionResponse(**event))  # type: ignore[arg-type]  # One of its events.

    def start(self, reply: str = "r") -> None:
        self.see(reply_started=api.WatchReplyStarted(reply=model.Reply(id=reply, author="bot")))

    def chunk(self, text: str, reply: str = "r") -> None:
        self.see(reply_chunk=api.WatchReplyChunk(id=reply, chunks=[model.Chunk(text=text)]))

    def finish(self, message: Message | None = None, reply: str = "r") -> None:
        self.see(reply_finished=api.WatchReplyFinished(id=reply, message=message))

    def messages(self, *messages: Message) -> None:
        self.see(messages=api.WatchMessages(messages=messages))

    def show(self, renderable: RenderableType) -> None:
        assert isinstance(renderable, Text)
        self.lines += renderable.plain.split("\n")

    def note(self, text: str) -> None:
        self.notes.append(text)

    def draft(self, text: str) -> None:
        self.drafts.append(text)


def user(id_: str, content: str) -> Message:
    return Message(id=id_, role=ROLE_USER, author="anna", content=content)


def answer(content: str, id_: str = "r") -> Message:
    return Message(id=id_, role=ROLE_ASSISTANT, author="bot", content=content)


def test_others_messages_are_shown_and_ones_own_are_not() -> None:
    watched = Watched(own={"mine"})
    watched.messages(user("mine", "I know"), user("theirs", "hello"))
    assert watched.lines == ["anna", "hello", ""]
    watched.messages(user("mine", "the same id once more"))
    assert "the same id once more" in watched.lines


def test_a_reply_is_shown_line_by_line_while_it_is_written() -> None:
    watched = Watched()
    watched.start()
    watched.chunk("first ")
    assert watched.lines == ["bot (assistant)"]
    watched.chunk("line\nsecond")
    assert watched.lines == ["bot (assistant)", "first line"]
    watched.finish(answer("first line\nsecond"))
    assert watched.lines == ["bot (assistant)", "first line", "second", ""]
    assert watched.drafts == ["first ", "second", ""]


def test_a_long_line_is_shown_in_parts_as_wide_as_the_screen() -> None:
    watched = Watched(width=20)
    watched.start()
    watched.chunk("some words that go on and on")
    assert watched.lines[1:] == ["some words that go"]
    watched.finish(answer("some words that go on and on"))
    assert watched.lines[1:] == ["some words that go", "on and on", ""]


def test_a_new_connection_shows_only_what_is_new_of_a_reply() -> None:
    watched = Watched()
    watched.start()
    watched.chunk("one\ntwo\n")
    chunks = [model.Chunk(text="one\ntwo\nthree\n")]
    watched.see(reply_snapshot=api.ReplySnapshot(id="r", chunks=chunks, next_chunk=3))
    assert watched.lines[1:] == ["one", "two", "three"]
    watched.messages(answer("one\ntwo\nthree\nfour"))
    assert watched.lines[1:] == ["one", "two", "three", "four", ""]


def test_a_reply_that_was_interrupted_or_said_nothing_says_so() -> None:
    watched = Watched()
    watched.start()
    watched.chunk("half")
    interrupted = answer("half")
    interrupted.status = MESSAGE_STATUS_INTERRUPTED
    watched.finish(interrupted)
    assert watched.lines[1:] == ["half", "[interrupted]", ""]
    watched.start("r2")
    watched.finish(reply="r2")
    assert watched.lines[-2:] == ["[nothing was said]", ""]


def test_a_reply_of_which_nothing_was_seen_is_shown_whole() -> None:
    watched = Watched()
    watched.finish(answer("all at once"))
    assert watched.lines == ["bot (assistant)", "all at once", ""]


def test_after_a_reset_the_last_messages_are_shown_once() -> None:
    watched = Watched()
    watched.see(reset=api.WatchReset())
    watched.messages(*(user(f"m{n}", f"text {n}") for n in range(30)))
    assert watched.lines == []
    watched.see(caught_up=api.WatchCaughtUp())
    assert [line for line in watched.lines if line.startswith("text")] == [f"text {n}" for n in range(20, 30)]
    assert len(watched.notes) == 1


def test_what_happens_to_the_session_is_said() -> None:
    watched = Watched()
    watched.see(cleared=api.WatchCleared())
    watched.see(truncated=api.WatchTruncated(keep=3))
    watched.see(updated=api.WatchUpdated(session=Session(title="One")))
    watched.see(updated=api.WatchUpdated(session=Session(title="Two")))
    watched.see(deleted=api.WatchDeleted())
    assert watched.notes == [
        "all messages were removed",
        "the last messages were removed; 3 are left",
        "the title is now: Two",
        "the session was deleted",
    ]


def test_a_lost_connection_is_said_once_and_so_is_its_return() -> None:
    watched = Watched()
    error = UnavailableError("gone", reason="UNREACHABLE", code=grpc.StatusCode.UNAVAILABLE)
    watched.view.lost(error)
    watched.view.lost(error)
    watched.see(caught_up=api.WatchCaughtUp())
    watched.messages(user("m", "hello"))
    assert watched.notes == ["connection lost, trying again (gone)", "connected again"]


def test_escape_sequences_in_a_reply_are_neutralised() -> None:
    watched = Watched()
    watched.start()
    watched.chunk("\x1b[2Jboo\n")
    assert watched.lines[1] == "␛[2Jboo"
