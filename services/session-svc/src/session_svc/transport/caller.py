"""What a call says of its caller: metadata beside the request."""

from itertools import count
from typing import Final
from urllib.parse import unquote

from session_svc.domain.errors import InvalidField
from session_svc.domain.limits import AUTHOR_CHARACTERS
from session_svc.entropy import unique_id

AUTHOR_KEY: Final = "ai-chat-author"
REQUEST_ID_KEY: Final = "x-request-id"
_REQUEST_ID_CHARACTERS: Final = 128

_process: Final = unique_id()[:12]
_calls: Final = count(1)


def value(metadata: object, key: str) -> str:
    """The text of `key` in a call's metadata; empty when there is none."""
    for name, text in metadata or ():  # type: ignore[attr-defined]
        if name == key:
            return text if isinstance(text, str) else ""
    return ""


def request_id(given: str) -> str:
    """The id that the caller gave, if it can stand in a log; else a new one."""
    if given and len(given) <= _REQUEST_ID_CHARACTERS and given.isascii() and given.isprintable():
        return given
    return f"{_process}-{next(_calls):x}"


def author(metadata: object) -> str:
    """Who calls, percent-decoded, since metadata is ASCII; empty when it does not say."""
    text = unquote(value(metadata, AUTHOR_KEY))
    if len(text) > AUTHOR_CHARACTERS or not text.isprintable():
        raise InvalidField(AUTHOR_KEY, f"use up to {AUTHOR_CHARACTERS} printable characters, percent-encoded")
    return text
