"""A question taken out of a session to be asked anew, until it has been: not lost, though this program dies."""

from collections.abc import Iterable

from ai_chat_client import JsonError, Message, message_to_json, messages_from_json

from ai_chat_cli import state

_FILE = "unasked"
_SESSIONS = 20


def remember(server: str, session: str, messages: Iterable[Message]) -> None:
    """Keeps the messages on this machine."""
    known = state.load(_FILE)
    known[_key(server, session)] = f"[{','.join(message_to_json(message) for message in messages)}]"
    state.save(_FILE, dict(list(known.items())[-_SESSIONS:]))


def forget(server: str, session: str) -> None:
    """They are where they belong, or their author has them in view."""
    known = state.load(_FILE)
    if known.pop(_key(server, session), None) is not None:
        state.save(_FILE, known)


def recall(server: str, session: str) -> list[Message]:
    """The messages; empty when there are none."""
    try:
        return messages_from_json(state.load(_FILE).get(_key(server, session), "[]"))
    except JsonError:
        return []


def _key(server: str, session: str) -> str:
    return f"{server} {session}"
