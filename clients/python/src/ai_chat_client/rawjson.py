"""JSON objects and arrays cut into the text of their members, so that what is inside is carried byte for byte."""

import json
from typing import NoReturn, TypeVar

FoundT = TypeVar("FoundT")

_SPACE = " \t\n\r"


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


# Numbers are only skipped over, and Python refuses to convert those of more than 4300 digits.
_SKIP = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=str, parse_float=str)


def members(text: str) -> dict[str, str]:
    """Returns the members of a JSON object, each value as it is written; of a repeated key the last. ValueError."""
    found: dict[str, str] = {}
    at = _open(text, "{", "an object")
    if text[at : at + 1] == "}":
        return _end(text, at + 1, found)
    while True:
        if text[at : at + 1] != '"':
            raise ValueError(f"expected a key in quotes at character {at + 1}")
        key, at = _SKIP.raw_decode(text, at)
        at = _skip(text, at)
        if text[at : at + 1] != ":":
            raise ValueError(f"expected : at character {at + 1}")
        start = _skip(text, at + 1)
        end = _value_end(text, start)
        found[key] = text[start:end]
        at = _skip(text, end)
        if text[at : at + 1] == "}":
            return _end(text, at + 1, found)
        at = _comma(text, at)


def items(text: str) -> list[str]:
    """Returns the items of a JSON array, each as it is written. ValueError when the text is no array."""
    found: list[str] = []
    at = _open(text, "[", "an array")
    if text[at : at + 1] == "]":
        return _end(text, at + 1, found)
    while True:
        end = _value_end(text, at)
        found.append(text[at:end])
        at = _skip(text, end)
        if text[at : at + 1] == "]":
            return _end(text, at + 1, found)
        at = _comma(text, at)


def is_object(text: str) -> bool:
    """Whether the text is one JSON object."""
    try:
        members(text)
    except ValueError:
        return False
    return True


def _open(text: str, bracket: str, what: str) -> int:
    at = _skip(text, 0)
    if text[at : at + 1] != bracket:
        raise ValueError(f"expected {what}")
    return _skip(text, at + 1)


def _comma(text: str, at: int) -> int:
    if text[at : at + 1] != ",":
        raise ValueError(f"expected , at character {at + 1}")
    return _skip(text, at + 1)


def _value_end(text: str, at: int) -> int:
    try:
        return _SKIP.raw_decode(text, at)[1]
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in _SPACE and at < len(text):
        at += 1
    return at


def _end(text: str, at: int, found: FoundT) -> FoundT:
    if _skip(text, at) != len(text):
        raise ValueError(f"something follows at character {at + 1}")
    return found
