"""Messages as JSON: the form they have in events, over HTTP, in `--json` and in exports.

`{id, sequence, role, content, author, model, timestamp, status, statusReason, attributes}`: role and status in lower
case, timestamp in ms since 1970, what is unset (and status complete) absent.
"""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from aichat.session.v1 import session_pb2 as model
from google.protobuf import timestamp_pb2

from ai_chat_client import rawjson

ROLE_WORDS: dict[model.Role.ValueType, str] = {
    model.ROLE_USER: "user",
    model.ROLE_ASSISTANT: "assistant",
    model.ROLE_SYSTEM: "system",
    model.ROLE_TOOL: "tool",
}
STATUS_WORDS: dict[model.MessageStatus.ValueType, str] = {
    model.MESSAGE_STATUS_COMPLETE: "complete",
    model.MESSAGE_STATUS_INTERRUPTED: "interrupted",
    model.MESSAGE_STATUS_FAILED: "failed",
    model.MESSAGE_STATUS_UNREADABLE: "unreadable",
}
_ROLES = {word: role for role, word in ROLE_WORDS.items()}
_STATUSES = {word: status for status, word in STATUS_WORDS.items()}
EnumT = TypeVar("EnumT")

_LAST_MS = 253_402_300_799_999
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class JsonError(ValueError):
    """The text is not the JSON it should be; says what is wrong with which field."""


def message_to_json(message: model.Message) -> str:
    """Returns the message as one line of JSON.

    The text of `attributes` is put in as it is, numbers and order of keys untouched; only line breaks between its
    tokens become spaces, because the result is one line. Attributes that are no JSON object are given as a string.
    """
    fields: list[tuple[str, str]] = [("id", quote(message.id))]
    if message.sequence:
        fields.append(("sequence", str(message.sequence)))
    if message.role in ROLE_WORDS:
        fields.append(("role", quote(ROLE_WORDS[message.role])))
    fields.append(("content", quote(message.content)))
    fields += [(name, quote(text)) for name, text in (("author", message.author), ("model", message.model)) if text]
    if message.HasField("create_time"):
        fields.append(("timestamp", str(to_ms(message.create_time))))
    if message.status in STATUS_WORDS and message.status != model.MESSAGE_STATUS_COMPLETE:
        fields.append(("status", quote(STATUS_WORDS[message.status])))
    if message.status_reason:
        fields.append(("statusReason", quote(message.status_reason)))
    if message.attributes:
        fields.append(("attributes", _attributes(message.attributes)))
    return join(fields)


def message_from_json(text: str) -> model.Message:
    """Reads one message; what it does not know it ignores. JsonError when something is not as it should be.

    `attributes` is an object, carried byte for byte, or a string that holds one.
    """
    try:
        raw = rawjson.members(text)
    except ValueError as error:
        raise JsonError(f"a message must be a JSON object: {error}") from None
    message = model.Message(
        id=_string(raw, "id"),
        sequence=_integer(raw, "sequence", 2**63 - 1) or 0,
        role=_word(raw, "role", _ROLES) or model.ROLE_UNSPECIFIED,
        content=_string(raw, "content"),
        author=_string(raw, "author"),
        model=_string(raw, "model"),
        status=_word(raw, "status", _STATUSES) or model.MESSAGE_STATUS_UNSPECIFIED,
        status_reason=_string(raw, "statusReason"),
    )
    timestamp = _integer(raw, "timestamp", _LAST_MS)
    if timestamp is not None:
        message.create_time.CopyFrom(from_ms(timestamp))
    attributes = raw.get("attributes", "null")
    if attributes.startswith("{"):
        message.attributes = attributes
    elif attributes.startswith('"'):
        message.attributes = _string(raw, "attributes")
    elif attributes != "null":
        raise JsonError("attributes must be a JSON object")
    return message


def messages_from_json(text: str) -> list[model.Message]:
    """Reads an array of messages. JsonError names the first that is wrong."""
    try:
        raw = rawjson.items(text)
    except ValueError as error:
        raise JsonError(f"messages must be a JSON array: {error}") from None
    messages = []
    for number, item in enumerate(raw, 1):
        try:
            messages.append(message_from_json(item))
        except JsonError as error:
            raise JsonError(f"message {number}: {error}") from None
    return messages


def quote(text: str) -> str:
    """A JSON string; characters outside ASCII stay as they are."""
    return json.dumps(text, ensure_ascii=False)


def join(fields: Iterable[tuple[str, str]]) -> str:
    """A JSON object of values that are JSON already."""
    return "{" + ",".join(f"{quote(name)}:{value}" for name, value in fields) + "}"


def to_ms(time: timestamp_pb2.Timestamp) -> int:
    """Whole milliseconds since 1970."""
    return time.seconds * 1000 + time.nanos // 1_000_000


def from_ms(ms: int) -> timestamp_pb2.Timestamp:
    """The moment so many milliseconds after 1970 began."""
    return timestamp_pb2.Timestamp(seconds=ms // 1000, nanos=ms % 1000 * 1_000_000)


def to_datetime(time: timestamp_pb2.Timestamp) -> datetime:
    """The moment in UTC, to the microsecond."""
    return _EPOCH + timedelta(seconds=time.seconds, microseconds=time.nanos // 1000)


def _attributes(text: str) -> str:
    if not rawjson.is_object(text):
        return quote(text)
    return text.replace("\r", " ").replace("\n", " ")


def _value(raw: dict[str, str], name: str) -> object:
    try:
        return json.loads(raw.get(name, "null"))
    except ValueError as error:
        raise JsonError(f"{name} cannot be read: {error}") from None


def _string(raw: dict[str, str], name: str) -> str:
    value = _value(raw, name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise JsonError(f"{name} must be a string")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise JsonError(f"{name} holds half of a surrogate pair, which is no text")
    return value


def _integer(raw: dict[str, str], name: str, maximum: int) -> int | None:
    value = _value(raw, name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= maximum:
        raise JsonError(f"{name} must be a whole number from 0 to {maximum}")
    return value


def _word(raw: dict[str, str], name: str, words: dict[str, EnumT]) -> EnumT | None:
    text = _string(raw, name)
    if not text:
        return None
    if text not in words:
        raise JsonError(f"{name} must be one of {', '.join(words)}, not {text!r}")
    return words[text]
