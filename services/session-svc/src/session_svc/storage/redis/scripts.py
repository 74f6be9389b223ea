"""The Lua scripts: one file a state change, each with the prelude before it."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files


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
    SETTLE = "settle"
    SNAPSHOT = "snapshot"
    TRUNCATE = "truncate"
    UPDATE = "update"


@dataclass(frozen=True, slots=True)
class Source:
    """A script's text and the digest by which Redis knows it."""

    text: str
    sha: str


def load() -> dict[Script, Source]:
    """Reads every script from the package."""
    folder = files(__package__) / "lua"
    prelude = (folder / "prelude.lua").read_text(encoding="utf-8")
    sources = {}
    for script in Script:
        text = prelude + (folder / f"{script}.lua").read_text(encoding="utf-8")
        sources[script] = Source(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
    return sources
