"""What has a question answered again."""

import pytest
from ai_chat_client import ROLE_ASSISTANT, ROLE_USER, AskAgain, Message, Session
from aichat.session.v1 import session_service_pb2 as api
from google.protobuf.timestamp_pb2 import Timestamp

NOW = 1_000_000.0


def snapshot(said: str, *, age: float = 10, first: int = 1, awaiting: bool = False) -> api.GetSnapshotResponse:
    """`u` a USER message, `a` an ASSISTANT one."""
    asked = Timestamp()
    asked.FromMilliseconds(round((NOW - age) * 1000))
    messages = [
        Message(
            id=f"m{at}",
            sequence=at,
            role=ROLE_USER if letter == "u" else ROLE_ASSISTANT,
            content=f"text {at}",
            author="anna",
            attributes='{"a":1}',
            create_time=asked,
        )
        for at, letter in enumerate(said, first)
    ]
    session = Session(awaiting_reply=awaiting, message_count=first + len(said) - 1)
    return api.GetSnapshotResponse(session=session, messages=messages, position=f"e.{first + len(said) - 1}")


def plan(seen: api.GetSnapshotResponse, *, as_caller: bool = False) -> AskAgain:
    found = AskAgain.of(seen, as_caller=as_caller, now=NOW)
    assert found is not None
    return found


@pytest.mark.parametrize(("said", "keep"), [("ua", 1), ("auaa", 2), ("uua", 2)])
def test_a_young_question_stays_and_what_answered_it_goes(said: str, keep: int) -> None:
    assert plan(snapshot(said)) == AskAgain(f"e.{len(said)}", keep)


@pytest.mark.parametrize(("said", "keep", "again"), [("ua", 0, [1]), ("auaa", 1, [2]), ("auua", 1, [2, 3])])
def test_an_old_question_goes_with_those_before_it_and_comes_anew(said: str, keep: int, again: list[int]) -> None:
    found = plan(snapshot(said, age=3600))
    assert found.keep == keep
    assert [message.content for message in found.messages] == [f"text {at}" for at in again]
    for message in found.messages:
        assert (message.role, message.author, message.attributes) == (ROLE_USER, "anna", '{"a":1}')
        assert not message.HasField("create_time")
        assert message.sequence == 0
        assert not message.id.startswith("m")


def test_a_question_that_nobody_is_answering_is_asked_anew_unless_it_still_waits() -> None:
    assert plan(snapshot("au", awaiting=True)) == AskAgain("e.2", 2)
    assert len(plan(snapshot("au", awaiting=False)).messages) == 1


def test_a_question_from_the_future_counts_as_old() -> None:
    assert plan(snapshot("ua", age=-30)).messages


def test_callers_with_a_token_ask_in_their_own_name() -> None:
    assert plan(snapshot("ua", age=3600), as_caller=True).messages[0].author == ""


def test_places_are_those_in_the_session_and_not_in_the_part_of_it_that_was_read() -> None:
    assert plan(snapshot("aua", first=500)).keep == 501


def test_without_a_question_there_is_nothing_to_ask() -> None:
    assert AskAgain.of(snapshot("aa"), now=NOW) is None
    assert AskAgain.of(snapshot(""), now=NOW) is None
