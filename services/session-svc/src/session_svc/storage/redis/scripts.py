"""The Lua scripts: one file a state change, each with the library before it that they share."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import Final


class Script(StrEnum):
    """A script, by the name of its file; that file's first lines say what it takes and returns."""

    APPEND = "append"
    CLEAR = "clear"
    CREATE = "create"
    DELETE = "delete"
    DUE = "due"
    GET = "get"
    LIST = "list"
    PAGE = "page"
    REPLY_END = "reply_end"
    REPLY_START = "reply_start"
    REPLY_STOP = "reply_stop"
    REPLY_WRITE = "reply_write"
    SETTLE = "settle"
    SNAPSHOT = "snapshot"
    TRUNCATE = "truncate"
    UPDATE = "update"


_LIBRARY: Final = ("values", "expiry", "session", "events", "messages", "requests", "endings", "reconcile", "replies")
"""What stands before every script, in this order: each may use those before it."""


@dataclass(frozen=True, slots=True)
class Source:
    """A script's text and the digest by which Redis knows it."""

    text: str
    sha: str


def load() -> dict[Script, Source]:
    """Reads every script from the package."""
    folder = files(__package__) / "lua"
    library = "".join((folder / "lib" / f"{name}.lua").read_text(encoding="utf-8") for name in _LIBRARY)
    sources = {}
    for script in Script:
        text = library + (folder / f"{script}.lua").read_text(encoding="utf-8")
        sources[script] = Source(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
    return sources
