"""Picking a session from a list."""

from datetime import UTC, datetime

from ai_chat_client import AsyncClient
from aichat.session.v1 import session_pb2 as model

from ai_chat_cli.chat.screen import Screen
from ai_chat_cli.render import SessionList

_SHOWN = 20


async def pick(client: AsyncClient, screen: Screen, text: str) -> str | None:
    """Lets the user pick one of the latest sessions with `text` in name or title; None when none is picked.

    A single one that matches a `text` is picked without a question.
    """
    page = await client.list_sessions(query=text, page_size=_SHOWN)
    sessions = list(page.sessions)
    if not sessions:
        screen.note(f"no session has {text!r} in its name or title" if text else "there are no sessions yet")
        return None
    if text and len(sessions) == 1:
        return sessions[0].name
    screen.show(SessionList(sessions, datetime.now(UTC), numbered=True))
    while answer := (await screen.ask("which one (number or name; nothing: none)? ") or "").strip():
        name = _chosen(sessions, answer)
        if name is not None:
            return name
        screen.note(f"{answer!r} is not in the list")
    return None


def _chosen(sessions: list[model.Session], answer: str) -> str | None:
    if answer.isascii() and answer.isdigit() and 1 <= int(answer) <= len(sessions):
        return sessions[int(answer) - 1].name
    return next((session.name for session in sessions if session.name == answer), None)
