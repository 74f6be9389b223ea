"""Which session was used last at which server, so that `-c` finds it."""

import contextlib
import json
from pathlib import Path

_SERVERS = 50


def path() -> Path:
    """Where it is remembered."""
    return Path.home() / ".local" / "state" / "ai-chat" / "last.json"


def remember(server: str, session: str) -> None:
    """Makes `session` the last used one; silently not, where nothing can be written: it is a convenience."""
    known = _load()
    known.pop(server, None)
    known[server] = session
    kept = dict(list(known.items())[-_SERVERS:])
    with contextlib.suppress(OSError):
        path().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path().with_suffix(".new")
        temporary.write_text(json.dumps(kept), encoding="utf-8")
        temporary.replace(path())


def recall(server: str) -> str | None:
    """The last used session of a server; None when it is unknown."""
    return _load().get(server)


def _load() -> dict[str, str]:
    try:
        known = json.loads(path().read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {server: name for server, name in known.items() if isinstance(server, str) and isinstance(name, str)}
