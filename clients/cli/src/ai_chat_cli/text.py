"""Other people's text on one's own terminal."""

import re
import sys

_LINE_BREAKS = re.compile(r"\r\n?|[\x0b\x0c\x85\u2028\u2029]")
# Control characters of both sets, and those that reorder or hide what is next to them.
_DANGEROUS = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


def safe(text: str) -> str:
    """`text` without what a terminal would obey: control characters become visible, line breaks stay.

    An ESC shows as ␛; a message can neither recolour nor clear the screen, nor set the title, nor hide its own text.
    """
    return _DANGEROUS.sub(_visible, _LINE_BREAKS.sub("\n", text))


class SafePieces:
    """`safe` for a text that comes in pieces, the two halves of a line break perhaps in two of them."""

    def __init__(self) -> None:
        self._held = ""

    def next(self, piece: str) -> str:
        """The next piece, made safe."""
        text = self._held + piece
        self._held = "\r" if text.endswith("\r") else ""
        return safe(text.removesuffix("\r"))


def safe_line(text: str) -> str:
    """As `safe`, and on one line."""
    return " ".join(safe(text).split())


def escaped(text: str) -> str:
    r"""JSON without what a terminal would obey: the same values, control characters in them as `\uXXXX`."""
    return _DANGEROUS.sub(lambda match: f"\\u{ord(match.group()):04x}", text)


def counted(messages: int) -> str:
    """`1 message`, `2 messages`."""
    return f"{messages} message{'' if messages == 1 else 's'}"


def sendable(text: str, what: str) -> str:
    """`text` as given, when it is text at all. ValueError for bytes that were no UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} is not UTF-8; this terminal uses {sys.getfilesystemencoding()}") from None
    return text


def _visible(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 0x20:
        return chr(0x2400 + code)
    return "\u2421" if code == 0x7F else f"\\u{code:04x}"
