"""The limits of single fields, checked where requests come in. Each names the field in its error."""

import json
import re
from collections.abc import Mapping
from typing import Final, NoReturn

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from session_svc.domain import limits, names
from session_svc.domain.errors import InvalidField, InvalidName, TooLarge
from session_svc.domain.session import NEVER

_PART_TYPE: Final = re.compile(r"[a-z0-9.\-]{1,64}", re.ASCII)
_ID: Final = re.compile(rf"[A-Za-z0-9._:\-]{{1,{limits.ID_CHARACTERS}}}", re.ASCII)
_PARTS: Final = '{"parts":['
_DEPTH_OF_PARTS: Final = 3
"""The object, its list, and each part around the part's own data."""
_UTF8_MAX: Final = 4
_NANOS_PER_MS: Final = 1_000_000
_NANOS: Final = 1_000_000_000
_LAST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, the end of protobuf's and everyone else's calendar.


def name(text: str, field: str = "name") -> str:
    """A name under which a session may exist; whether one may be created under it is asked where one would be."""
    if not names.may_exist(text):
        raise InvalidName(field)
    return text


def characters(text: str, limit: int, field: str) -> str:
    """A text of at most `limit` characters."""
    if len(text) > limit:
        raise InvalidField(field, f"{len(text)} characters are more than the {limit} allowed")
    return text


def size(text: str, limit: int, field: str) -> str:
    """A text of at most `limit` bytes of UTF-8."""
    if len(text) * _UTF8_MAX > limit:
        found = len(text) if text.isascii() else len(text.encode())
        if found > limit:
            raise TooLarge(field, found, limit)
    return text


def identifier(text: str, field: str) -> str:
    """An id that a writer gave; empty: none."""
    if text and not _ID.fullmatch(text):
        raise InvalidField(field, f"use 1 to {limits.ID_CHARACTERS} of A-Z a-z 0-9 . _ : -")
    return text


def count(number: int, least: int, most: int, field: str) -> int:
    """A number from `least` to `most`."""
    if not least <= number <= most:
        raise InvalidField(field, f"{number} is not from {least} to {most}")
    return number


def page_size(number: int, default: int) -> int:
    """How many to return; 0: the default."""
    return count(number, 0, limits.PAGE_SIZE, "page_size") or default


def labels(given: Mapping[str, str]) -> dict[str, str]:
    """A session's labels, or those it must have."""
    if len(given) > limits.LABELS:
        raise InvalidField("labels", f"{len(given)} are more than the {limits.LABELS} allowed")
    for key, value in given.items():
        if not key:
            raise InvalidField("labels", "a key is empty; give it a name")
        if len(key) > limits.LABEL_KEY_CHARACTERS:
            raise InvalidField(
                "labels", f"a key has {len(key)} characters, more than the {limits.LABEL_KEY_CHARACTERS} allowed"
            )
        if len(value) > limits.LABEL_VALUE_CHARACTERS:
            raise InvalidField(
                f"labels[{key}]", f"{len(value)} characters are more than the {limits.LABEL_VALUE_CHARACTERS} allowed"
            )
    return dict(given)


def ttl(duration: Duration) -> int:
    """A time to live in ms; NEVER for 0."""
    if not duration.seconds and not duration.nanos:
        return NEVER
    milliseconds = _milliseconds(duration, "ttl")
    if not limits.TTL_MIN_MS <= milliseconds <= limits.TTL_MAX_MS:
        raise InvalidField("ttl", "use 1 second to 10 years, or 0 for never")
    return milliseconds


def lease(duration: Duration, field: str) -> int:
    """How long a reply's slot is held without a frame, in ms."""
    milliseconds = _milliseconds(duration, field)
    if not limits.LEASE_MIN_MS <= milliseconds <= limits.LEASE_MAX_MS:
        raise InvalidField(field, "use 1 to 60 seconds, or leave it out for 15")
    return milliseconds


def part_type(text: str, field: str) -> str:
    """What kind of part it is."""
    if not _PART_TYPE.fullmatch(text):
        raise InvalidField(field, "use 1 to 64 of a-z 0-9 . -")
    return text


def _milliseconds(duration: Duration, field: str) -> int:
    if abs(duration.nanos) >= _NANOS or duration.seconds * duration.nanos < 0:
        raise InvalidField(field, "not a duration")
    return duration.seconds * 1000 + duration.nanos // _NANOS_PER_MS


def time(timestamp: Timestamp, field: str) -> int:
    """A moment in ms since 1970."""
    if not (0 <= timestamp.seconds <= _LAST_SECOND and 0 <= timestamp.nanos < _NANOS):
        raise InvalidField(field, "use a time from 1970 to 9999")
    return timestamp.seconds * 1000 + timestamp.nanos // _NANOS_PER_MS


def json_object(text: str, limit: int, field: str) -> str:
    """A JSON object as text, byte for byte as it was given; empty: none."""
    if text:
        size(text, limit, field)
        _check_depth(text, _object(text, field), limits.ATTRIBUTES_DEPTH, field)
    return text


def attributes(text: str, content: str, field: str) -> str:
    """The attributes of a message with this content, byte for byte as they were given; empty: none.

    The parts of a reply, as they are stored at its end, may be more than others: what was read can be written again.
    """
    if not text.startswith(_PARTS):
        return json_object(text, limits.ATTRIBUTES_BYTES, field)
    size(text, limits.REPLY_MESSAGE_BYTES - len(content.encode()), field)
    value = _object(text, field)
    if not _are_parts(value):
        size(text, limits.ATTRIBUTES_BYTES, field)
        _check_depth(text, value, limits.ATTRIBUTES_DEPTH, field)
    else:
        _check_depth(text, value, limits.ATTRIBUTES_DEPTH + _DEPTH_OF_PARTS, field)
    return text


def _object(text: str, field: str) -> dict[str, object]:
    try:
        value = _JSON.decode(text)
    except (ValueError, RecursionError):
        raise InvalidField(field, "not JSON; send a JSON object as text, or nothing") from None
    if not isinstance(value, dict):
        raise InvalidField(field, "JSON, but not an object; wrap it in one")
    return value


def _are_parts(value: dict[str, object]) -> bool:
    parts = value["parts"]
    return (
        len(value) == 1
        and isinstance(parts, list)
        and all(
            isinstance(part, dict)
            and part.keys() == {"type", "data"}
            and isinstance(part["type"], str)
            and _PART_TYPE.fullmatch(part["type"])
            and isinstance(part["data"], dict)
            for part in parts
        )
    )


def _check_depth(text: str, value: object, most: int, field: str) -> None:
    if text.count("{") + text.count("[") > most and _depth(value) > most:
        raise InvalidField(field, f"nested more than {most} levels deep")


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        level = [child for item in level for child in (item.values() if isinstance(item, dict) else item)]
    return depth


def _no_number(text: str) -> NoReturn:
    raise ValueError(text)


def _unread(text: str) -> None:
    """Numbers are carried as they are: no reader here needs their value, however long they may be."""


_JSON: Final = json.JSONDecoder(parse_int=_unread, parse_float=_unread, parse_constant=_no_number)
