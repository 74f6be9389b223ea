"""Ids for messages whose writer gave none."""

from collections.abc import Sequence
from dataclasses import replace

from session_svc.domain.message import NewMessage
from session_svc.entropy import unique_id


def with_ids(messages: Sequence[NewMessage]) -> Sequence[NewMessage]:
    """Gives an id to each message without one: `<base>` to the first of the request, then `<base>-<place>`."""
    if all(message.id for message in messages):
        return messages
    base = unique_id()
    return [
        message if message.id else replace(message, id=f"{base}-{place}" if place else base)
        for place, message in enumerate(messages)
    ]
