"""What of a stream is new, and what shows that something is missing."""

import pytest
from ai_chat_client import Message
from ai_chat_client.resume import MissedError, SessionProgress
from aichat.session.v1 import session_service_pb2 as api

from .scripted import message


def messages(*sequences: int, epoch: str = "e") -> api.WatchSessionResponse:
    return api.WatchSessionResponse(
        position=f"{epoch}.{sequences[-1]}", messages=api.WatchMessages(messages=[message(n) for n in sequences])
    )


def chunk(first: int, last: int, reply: str = "r") -> api.WatchSessionResponse:
    return api.WatchSessionResponse(
        position="e.1", reply_chunk=api.WatchReplyChunk(id=reply, from_chunk=first, to_chunk=last)
    )


def snapshot(next_chunk: int) -> api.WatchSessionResponse:
    return api.WatchSessionResponse(position="e.1", reply_snapshot=api.ReplySnapshot(id="r", next_chunk=next_chunk))


def finished(sequence: int) -> api.WatchSessionResponse:
    return api.WatchSessionResponse(
        position=f"e.{sequence}",
        reply_finished=api.WatchReplyFinished(id="r", message=Message(id="r", sequence=sequence)),
    )


def at(position: str) -> SessionProgress:
    return SessionProgress("s", after_position=position)


def sequences(events: list[api.WatchSessionResponse]) -> list[int]:
    return [seen.sequence for event in events for seen in event.messages.messages]


def test_messages_seen_before_are_left_out_of_what_comes_again() -> None:
    progress = at("e.2")
    assert sequences(list(progress.accept(messages(1, 2, 3)))) == [3]
    assert list(progress.accept(messages(2, 3))) == []
    assert progress.request().after_position == "e.3"


def test_a_message_too_far_ahead_shows_that_one_was_missed() -> None:
    progress = at("e.2")
    with pytest.raises(MissedError, match="message 3"):
        list(progress.accept(messages(4)))
    assert progress.request().after_position == "e.2"


def test_a_session_that_did_not_exist_begins_with_its_first_message() -> None:
    with pytest.raises(MissedError, match="message 1"):
        list(at("").accept(messages(2)))
    assert sequences(list(at("").accept(messages(1, 2)))) == [1, 2]


def test_being_caught_up_with_a_head_beyond_what_came_shows_that_something_was_missed() -> None:
    caught_up = api.WatchSessionResponse(position="e.5", caught_up=api.WatchCaughtUp())
    with pytest.raises(MissedError, match="message 3"):
        list(at("e.2").accept(caught_up))


def test_a_watch_from_now_on_resumes_at_the_head_it_was_told() -> None:
    progress = SessionProgress("s")
    assert progress.request().WhichOneof("start") is None
    list(progress.accept(api.WatchSessionResponse(position="e.7", caught_up=api.WatchCaughtUp())))
    assert progress.request().after_position == "e.7"


def test_a_watch_of_a_session_that_does_not_exist_resumes_with_its_first_message() -> None:
    progress = SessionProgress("s", tail=5)
    assert progress.request().tail == 5
    list(progress.accept(api.WatchSessionResponse(position="", caught_up=api.WatchCaughtUp())))
    assert progress.request().WhichOneof("start") == "after_position"
    assert progress.request().after_position == ""


def test_after_a_reset_the_next_stream_begins_with_the_first_message() -> None:
    progress = at("e.7")
    reset = api.WatchSessionResponse(position="f.3", reset=api.WatchReset())
    assert list(progress.accept(reset)) == [reset]
    assert progress.request().after_position == "f.0"


def test_chunks_seen_before_are_left_out_and_missing_ones_noticed() -> None:
    progress = at("e.1")
    list(progress.accept(snapshot(2)))
    assert list(progress.accept(chunk(1, 2))) == []
    assert list(progress.accept(chunk(2, 4))) == [chunk(2, 4)]
    with pytest.raises(MissedError):
        list(progress.accept(chunk(5, 6)))
    with pytest.raises(MissedError):
        list(progress.accept(chunk(3, 5)))
    with pytest.raises(MissedError):
        list(progress.accept(chunk(0, 1, reply="another")))


def test_a_reply_that_ended_twice_ends_once() -> None:
    progress = at("e.1")
    list(progress.accept(snapshot(1)))
    assert list(progress.accept(finished(2))) == [finished(2)]
    assert list(progress.accept(finished(2))) == []


def test_after_position_and_tail_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="not both"):
        SessionProgress("s", after_position="", tail=1)
