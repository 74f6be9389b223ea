"""Messages: as a writer gives them, and as they are kept."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """Who speaks; the value is the word in Redis, events and JSON."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"
    TOOL = "tool"


class Status(StrEnum):
    """How a message ended; the value is the word in Redis, events and JSON."""

    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message as a writer gives it, checked against every limit.

    id            empty: the store's writer generates one
    create_time   ms; None: the store's time
    attributes    a JSON object as text, byte for byte; empty: none
    """

    role: Role
    content: str
    id: str = ""
    author: str = ""
    model: str = ""
    create_time: int | None = None
    status: Status = Status.COMPLETE
    status_reason: str = ""
    attributes: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """One finished entry in a session.

    sequence      its place, from 1
    role          None only with status UNREADABLE
    content       the text; the element's raw text with status UNREADABLE
    create_time   ms; None where another program stored it without
    """

    id: str
    sequence: int
    role: Role | None
    content: str
    author: str = ""
    model: str = ""
    create_time: int | None = None
    status: Status = Status.COMPLETE
    status_reason: str = ""
    attributes: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a writer is told of a message it appended: no content."""

    id: str
    sequence: int
    create_time: int
