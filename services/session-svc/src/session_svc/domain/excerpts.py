"""What of a message is shown in its session: the automatic title and the preview."""

import re
from collections.abc import Iterable
from typing import Final

from session_svc.domain.limits import AUTO_TITLE_CHARACTERS, PREVIEW_CHARACTERS
from session_svc.domain.message import Message, NewMessage, Role

_BLANK: Final = " \t\r\n\v\f"
"""What does not begin a title: ASCII only, so that a script in the store can do the same."""

_LINE: Final = re.compile(r"[^\r\n]*")


def automatic_title(messages: Iterable[Message | NewMessage]) -> str:
    """The first line of the first USER message, cut at 60 characters; empty when there is none.

    Blank lines and blanks before it do not count: a title is there to be seen.
    """
    for message in messages:
        if message.role is Role.USER:
            line = _LINE.match(message.content.lstrip(_BLANK))
            return line[0][:AUTO_TITLE_CHARACTERS] if line else ""
    return ""


def preview(content: str) -> str:
    """The first 120 characters of a message."""
    return content[:PREVIEW_CHARACTERS]
