"""The formats of `ai-chat export`: jsonl and json, which can be imported again, and md, which can be read."""

from collections.abc import Callable
from typing import Protocol

from ai_chat_client import message_to_json, session_to_json
from ai_chat_client.message_json import ROLE_WORDS, STATUS_WORDS, quote, to_datetime
from aichat.session.v1 import session_pb2 as model

Write = Callable[[str], object]
"""Gets text, line breaks included."""

VERSION = 1
EXACT_ATTRIBUTES = "attributesText"
"""A message's attributes as a string, beside those whose white space would not survive as an object on one line."""


class Writer(Protocol):
    """Writes one session: `begin`, then each message in order, then `end`."""

    def begin(self, session: model.Session) -> None: ...
    def message(self, message: model.Message) -> None: ...
    def end(self) -> None: ...


class JsonlWriter:
    """First line `{"aichat": 1, "session": {...}}`, then one message a line."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def begin(self, session: model.Session) -> None:
        self._write(f'{{"aichat":{VERSION},"session":{session_to_json(session)}}}\n')

    def message(self, message: model.Message) -> None:
        self._write(f"{_whole(message)}\n")

    def end(self) -> None:
        pass


class JsonWriter:
    """One object: `{"aichat": 1, "session": {...}, "messages": [...]}`."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._separator = "\n"

    def begin(self, session: model.Session) -> None:
        self._write(f'{{"aichat":{VERSION},"session":{session_to_json(session)},"messages":[')

    def message(self, message: model.Message) -> None:
        self._write(f"{self._separator}{_whole(message)}")
        self._separator = ",\n"

    def end(self) -> None:
        self._write("\n]}\n")


class MarkdownWriter:
    """A document: a heading for each message, its content as it is, which often is Markdown itself."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def begin(self, session: model.Session) -> None:
        self._write(f"# {_line(session.title or session.name)}\n\n`{_line(session.name)}`\n")

    def message(self, message: model.Message) -> None:
        who = [message.author or ROLE_WORDS.get(message.role, "unreadable")]
        if message.model:
            who.append(message.model)
        if message.HasField("create_time"):
            who.append(to_datetime(message.create_time).strftime("%Y-%m-%d %H:%M UTC"))
        self._write(f"\n## {_line(' · '.join(who))}\n\n{message.content.rstrip()}\n")
        if message.status not in {model.MESSAGE_STATUS_COMPLETE, model.MESSAGE_STATUS_UNSPECIFIED}:
            reason = f": {_line(message.status_reason)}" if message.status_reason else ""
            self._write(f"\n*[{STATUS_WORDS.get(message.status, 'incomplete')}{reason}]*\n")

    def end(self) -> None:
        pass


WRITERS: dict[str, Callable[[Write], Writer]] = {"jsonl": JsonlWriter, "json": JsonWriter, "md": MarkdownWriter}


def _whole(message: model.Message) -> str:
    text, attributes = message_to_json(message), message.attributes
    if attributes == attributes.strip() and "\n" not in attributes and "\r" not in attributes:
        return text
    return f'{text.removesuffix("}")},"{EXACT_ATTRIBUTES}":{quote(attributes)}}}'


def _line(text: str) -> str:
    return " ".join(text.split())
