"""Having the last question of a session answered again, for clients in front of people."""

import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from aichat.session.v1 import session_pb2 as model
from aichat.session.v1 import session_service_pb2 as api

FRESH_SECONDS = 60.0
"""A question this young is answered where it stands; who answers leaves older ones alone (600 s by default)."""


@dataclass(frozen=True, slots=True)
class AskAgain:
    """What has the last question answered again: shorten the session, then append what was taken out of it.

    TruncateSession to `keep` with `expected_position=position` removes the answer. A young question stays: `messages`
    is empty, and it waits for an answer once more. An old one is taken out too, with the user's messages directly
    before it, so that at no moment one of these seems to be waiting; `messages` are the same as new ones, to be
    appended in one request with a request id, wherever the head is then.

    Between the two calls the question is nowhere but with the caller: write `messages` down before the first call.
    """

    position: str
    keep: int
    messages: tuple[model.Message, ...] = ()

    @classmethod
    def of(cls, snapshot: api.GetSnapshotResponse, *, as_caller: bool = False, now: float | None = None) -> Self | None:
        """The plan for what `snapshot` shows; None when there is no question among its messages.

        `as_caller`: the new messages name no author, as callers with a token must. `now`: seconds since 1970; a
        question that seems to come from the future counts as old: one of the clocks is wrong.
        """
        messages = snapshot.messages
        last = next((at for at in reversed(range(len(messages))) if messages[at].role == model.ROLE_USER), None)
        if last is None:
            return None
        question = messages[last]
        age = (time.time() if now is None else now) - question.create_time.ToMilliseconds() / 1000
        # Shortening to where the session ends already changes nothing, so that the question must still be waiting.
        reopens = last + 1 < len(messages) or snapshot.session.awaiting_reply
        if question.HasField("create_time") and 0 <= age < FRESH_SECONDS and reopens:
            return cls(snapshot.position, question.sequence)
        first = last
        while first and messages[first - 1].role == model.ROLE_USER:
            first -= 1
        return cls(snapshot.position, messages[first].sequence - 1, _anew(messages[first : last + 1], as_caller))


def _anew(messages: Sequence[model.Message], as_caller: bool) -> tuple[model.Message, ...]:
    return tuple(
        model.Message(
            id=uuid.uuid4().hex,
            role=message.role,
            content=message.content,
            author="" if as_caller else message.author,
            model=message.model,
            attributes=message.attributes,
        )
        for message in messages
    )
