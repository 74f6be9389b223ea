"""Which session was used last at which server, so that `-c` finds it."""

from ai_chat_cli import state

_FILE = "last"
_SERVERS = 50


def remember(server: str, session: str) -> None:
    """Makes `session` the last used one."""
    known = state.load(_FILE)
    known.pop(server, None)
    known[server] = session
    state.save(_FILE, dict(list(known.items())[-_SERVERS:]))


def recall(server: str) -> str | None:
    """The last used session of a server; None when it is unknown."""
    return state.load(_FILE).get(server)
