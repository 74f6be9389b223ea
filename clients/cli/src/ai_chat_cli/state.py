"""Small things remembered between runs, each in a file of its own that only its user can read."""

import contextlib
import json
import os
import tempfile
from pathlib import Path


def path(name: str) -> Path:
    """Where `name` is remembered."""
    return Path.home() / ".local" / "state" / "ai-chat" / f"{name}.json"


def load(name: str) -> dict[str, str]:
    """What is remembered; empty when nothing is, or nothing that can be read."""
    try:
        known = json.loads(path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {key: value for key, value in known.items() if isinstance(key, str) and isinstance(value, str)}


def save(name: str, known: dict[str, str]) -> None:
    """Replaces what is remembered; silently not, where nothing can be written: it is a convenience."""
    target = path(name)
    with contextlib.suppress(OSError):
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes the file with mode 0600.
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(known, file, ensure_ascii=False)
        Path(temporary).replace(target)
