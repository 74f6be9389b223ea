"""Commands and messages in a chat."""

import pytest
from ai_chat_cli.chat.slash import as_message, parse


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
