"""Commands and messages in a chat."""

import pytest
from ai_chat_cli.chat.slash import as_line, as_message, parse


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("/help", ("help", "")),
        ("  /title  A new title ", ("title", "A new title")),
        ("/switch", ("switch", "")),
        ("/etc/hosts is a file", None),
        ("/ hello", None),
        ("//help", None),
        ("hello /help", None),
        ("1/2", None),
    ],
)
def test_a_line_is_a_command_only_when_it_begins_like_one(line: str, command: tuple[str, str] | None) -> None:
    assert parse(line) == command


def test_a_doubled_slash_sends_one() -> None:
    assert as_message("//help") == "/help"
    assert as_message("/etc/hosts") == "/etc/hosts"


@pytest.mark.parametrize("message", ["hello", "/help", "//help", "/etc/hosts", "", "/"])
def test_a_message_that_was_not_sent_is_offered_as_the_line_that_sends_it(message: str) -> None:
    line = as_line(message)
    assert parse(line) is None
    assert as_message(line) == message
