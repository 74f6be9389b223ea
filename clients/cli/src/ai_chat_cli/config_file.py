"""The user's config file, and what is read of chat.ai's."""

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from ai_chat_cli.failure import CliError, ExitCode

CONTEXT_KEYS = ("server", "tlsCa", "token", "session", "ttl", "author", "webUrl")
_NO_NAME = "default-session"


@dataclass
class ConfigFile:
    """`{"current": NAME, "contexts": {NAME: {...}}, "redis": {...}}`, as far as it was readable; unknown members stay.

    `problem`: why nothing of it was read, None when it was, or when there is no such file.
    """

    path: Path
    raw: dict[str, Any] = field(default_factory=dict)
    exists: bool = False
    problem: str | None = None

    @property
    def exposed(self) -> bool:
        """Whether it holds a token that others on this machine may read."""
        has_token = any("token" in entry for entry in self.contexts.values())
        return has_token and bool(self.path.stat().st_mode & 0o077)

    @property
    def current(self) -> str | None:
        """The name of the context in use."""
        return _text(self.raw.get("current"))

    @property
    def contexts(self) -> dict[str, dict[str, Any]]:
        """What may be changed and then saved."""
        found = self.raw.get("contexts")
        return {name: entry for name, entry in found.items() if isinstance(entry, dict)} if _is_object(found) else {}

    def value(self, context: str | None, key: str) -> str | None:
        """A setting of a context as text; None when it is not set."""
        found = _text(self.contexts.get(context or "", {}).get(key))
        if key == "session" and found == _NO_NAME:
            return None
        if key == "tlsCa" and found:
            return str(self.path.parent / Path(found).expanduser())
        return found

    def chat_ai(self, key: str) -> str | None:
        """`redis.sessionName` or `redis.ttl`, the only members that are read of a file of chat.ai's."""
        redis = self.raw.get("redis")
        found = _text(redis.get(key)) if _is_object(redis) else None
        return None if key == "sessionName" and found == _NO_NAME else found

    def save(self) -> None:
        """Writes the file whole, readable by its owner only. CliError when it cannot, or would destroy what is there.

        A symbolic link stays one: what it points to is written.
        """
        if self.problem is not None:
            raise CliError(f"{self.problem}; repair or remove it first", ExitCode.USAGE)
        try:
            target = self.path.resolve()
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # mkstemp makes the file with mode 0600, so the token is at no moment readable by others.
            handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(self.raw, file, indent=2, ensure_ascii=False)
                file.write("\n")
            Path(temporary).replace(target)
        except OSError as error:
            raise CliError(f"cannot write {self.path}: {error.strerror}") from None


def load(path: Path) -> ConfigFile:
    """Reads a config file; one that is missing is empty, one that is no JSON object has a `problem`."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ConfigFile(path)
    except (OSError, UnicodeDecodeError) as error:
        return ConfigFile(path, exists=True, problem=f"{path} cannot be read: {_why(error)}")
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError) as error:
        return ConfigFile(path, exists=True, problem=f"{path} is not JSON: {error}")
    if not isinstance(raw, dict):
        return ConfigFile(path, exists=True, problem=f"{path} is not a JSON object")
    return ConfigFile(path, raw, exists=True)


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or "it is not UTF-8"


def _is_object(value: object) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, Mapping)


def _text(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None
