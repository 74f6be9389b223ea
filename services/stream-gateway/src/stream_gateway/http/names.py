"""Names of sessions in URLs: one segment of the undecoded path, or one query parameter."""

from typing import Annotated, Final
from urllib.parse import quote, unquote_to_bytes

from fastapi import Depends, Path

from stream_gateway.http.problems import Problem

MAX_CHARACTERS: Final = 256


def check_name(name: str) -> str:
    """Returns a name under which a session may exist, chat.ai's included; raises Problem for what never can be one."""
    if not 0 < len(name) <= MAX_CHARACTERS or not all(ord(mark) > 31 and ord(mark) != 127 for mark in name):
        raise Problem(
            400, "INVALID_NAME", f"the name of a session has 1 to {MAX_CHARACTERS} characters, none of control"
        )
    return name


def decode_segment(segment: str) -> str:
    """Decodes one segment of an undecoded path; raises Problem when it is not UTF-8."""
    try:
        return check_name(unquote_to_bytes(segment).decode())
    except UnicodeDecodeError:
        raise Problem(400, "INVALID_NAME", "the name of the session is not percent-encoded UTF-8") from None


def encode_segment(name: str) -> str:
    """The reverse: one segment, whatever the name holds."""
    return quote(name, safe="")


def _name_in_path(name: Annotated[str, Path(description="The session's name, percent-encoded as one segment")]) -> str:
    return decode_segment(name)


SessionName = Annotated[str, Depends(_name_in_path)]
