"""What a session says to a model."""

from ai_chat_assistant.conversation import Conversation
from ai_chat_assistant.providers.base import Turn
from ai_chat_client import (
    MESSAGE_STATUS_FAILED,
    MESSAGE_STATUS_UNREADABLE,
    ROLE_ASSISTANT,
    ROLE_SYSTEM,
    ROLE_TOOL,
    ROLE_USER,
    Message,
    Session,
)
from google.protobuf.timestamp_pb2 import Timestamp


def conversation(*messages: Message) -> Conversation:
    return Conversation(Session(name="s"), "e.1", messages)


def test_what_is_no_talk_is_left_out() -> None:
    said = conversation(
        Message(role=ROLE_SYSTEM, content="Be brief."),
        Message(role=ROLE_USER, content="Hi"),
        Message(role=ROLE_TOOL, content="42"),
        Message(content="{raw", status=MESSAGE_STATUS_UNREADABLE),
        Message(role=ROLE_ASSISTANT, content="", status=MESSAGE_STATUS_FAILED),
        Message(role=ROLE_ASSISTANT, content="Half an ans", status=MESSAGE_STATUS_FAILED),
        Message(role=ROLE_USER, content="Go on"),
    )
    assert said.turns("") == [
        Turn("system", "Be brief."),
        Turn("user", "Hi"),
        Turn("assistant", "Half an ans"),
        Turn("user", "Go on"),
    ]


def test_a_given_system_prompt_comes_first() -> None:
    assert conversation(Message(role=ROLE_USER, content="Hi")).turns("Be kind.")[0] == Turn("system", "Be kind.")


def test_the_question_is_as_old_as_the_last_user_message() -> None:
    said = conversation(
        Message(role=ROLE_USER, create_time=Timestamp(seconds=5)),
        Message(role=ROLE_USER, create_time=Timestamp(seconds=7, nanos=500_000_000)),
        Message(role=ROLE_ASSISTANT, create_time=Timestamp(seconds=9)),
    )
    assert said.asked_at == 7.5
    assert conversation(Message(role=ROLE_USER)).asked_at is None
