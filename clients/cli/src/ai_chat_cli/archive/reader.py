"""Reads what `ai-chat export` wrote as jsonl or json."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, BinaryIO

from ai_chat_client import message_from_json, rawjson
from aichat.session.v1 import session_pb2 as model

from ai_chat_cli.archive.writers import EXACT_ATTRIBUTES, VERSION


class ArchiveError(ValueError):
    """The file is not what `ai-chat export` writes; says where and why."""


@dataclass(frozen=True, slots=True)
class Header:
    """What is kept of the session itself. `title`: only one that a user gave. `count`: of messages, for progress."""

    name: str
    title: str = ""
    owner: str = ""
    ttl: timedelta | None = None
    labels: dict[str, str] = field(default_factory=dict)
    count: int = 0


def read(file: BinaryIO) -> tuple[Header, Iterator[model.Message]]:
    """The header, and the messages as they are read: a long jsonl file is never held as a whole. ArchiveError."""
    first = file.readline()
    try:
        members = rawjson.members(_text(first, 1))
    except ValueError:
        return _read_document(first + file.read())
    if "messages" in members:
        return _read_document(first + file.read())
    return _header(members), _lines(file)


def _read_document(content: bytes) -> tuple[Header, Iterator[model.Message]]:
    try:
        members = rawjson.members(_text(content, 1))
        items = rawjson.items(members.get("messages", "[]"))
    except ValueError as error:
        raise ArchiveError(f"not a file of `ai-chat export`: {error}") from None
    return _header(members), (_message(item, f"message {number}") for number, item in enumerate(items, 1))


def _lines(file: BinaryIO) -> Iterator[model.Message]:
    # Lines of bytes end at \n only; text in them may hold other line separators.
    for number, line in enumerate(file, 2):
        if line.strip():
            yield _message(_text(line, number), f"line {number}")


def _message(text: str, where: str) -> model.Message:
    try:
        message = message_from_json(text)
        if EXACT_ATTRIBUTES in text:
            exact = json.loads(rawjson.members(text).get(EXACT_ATTRIBUTES, "null"))
            message.attributes = exact if isinstance(exact, str) else message.attributes
    except ValueError as error:
        raise ArchiveError(f"{where}: {error}") from None
    if message.role == model.ROLE_UNSPECIFIED and message.status != model.MESSAGE_STATUS_UNREADABLE:
        raise ArchiveError(f"{where}: role is missing")
    return message


def _header(members: dict[str, str]) -> Header:
    try:
        version: Any = json.loads(members.get("aichat", "null"))
        session: Any = json.loads(members.get("session", "null"))
    except (ValueError, RecursionError):
        version = session = None
    if not isinstance(version, int) or not isinstance(session, dict):
        raise ArchiveError('not a file of `ai-chat export`: it does not begin with {"aichat": 1, "session": {...}}')
    if version > VERSION:
        raise ArchiveError(f"written by a newer ai-chat (format {version}); update this one")
    labels = session.get("labels")
    ttl = session.get("ttl")
    count = session.get("messageCount")
    return Header(
        name=_string(session, "name"),
        title=_string(session, "title") if session.get("titleSource") == "user" else "",
        owner=_string(session, "owner"),
        ttl=timedelta(milliseconds=ttl) if isinstance(ttl, int) and 0 <= ttl < 10**12 else None,
        labels={key: value for key, value in labels.items() if isinstance(value, str)}
        if isinstance(labels, dict)
        else {},
        count=count if isinstance(count, int) else 0,
    )


def _string(session: dict[str, Any], name: str) -> str:
    value = session.get(name)
    return value if isinstance(value, str) else ""


def _text(line: bytes, number: int) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise ArchiveError(f"line {number}: not UTF-8") from None
