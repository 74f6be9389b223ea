"""Programs that write to a deployment all the time, and remember what was acknowledged."""

import asyncio
import time
import uuid
from dataclasses import dataclass, field
from typing import Final

from ai_chat_client import ROLE_ASSISTANT, ROLE_USER, AiChatError, AsyncClient, Message

PASSING: Final = frozenset(
    {"UNREACHABLE", "TIMEOUT", "STORE_UNAVAILABLE", "DRAINING", "REPLY_IN_PROGRESS", "UNAVAILABLE"}
)
"""What a writer with patience tries again after: all that an outage can look like."""


@dataclass
class Acknowledged:
    """What one session must hold in the end.

    ids      of the messages whose writing was confirmed, in order
    texts    of the replies among them, by id
    unsure   ids of replies that ended without a word of confirmation: they may be there or not, whole or not
    retries  how often a writer had to try again by itself
    """

    session: str
    ids: list[str] = field(default_factory=list)
    texts: dict[str, str] = field(default_factory=dict)
    unsure: set[str] = field(default_factory=set)
    retries: int = 0


class Workload:
    """Writes to one session, appends and replies in turn, until told to stop.

    `patience`: for how many seconds a failed call is made again, with the same request id. 0: what our client does by
    itself has to do.
    """

    def __init__(self, client: AsyncClient, session: str, *, pause: float, words: int, patience: float = 0.0) -> None:
        self.written = Acknowledged(session)
        self._client = client
        self._pause = pause
        self._words = words
        self._patience = patience
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """Lets it finish what it is doing."""
        self._stop.set()

    async def run(self) -> None:
        """Returns after `stop`; raises what could not be written."""
        number = 0
        while not self._stop.is_set():
            number += 1
            await self._append(f"message {number}")
            await self._reply(number)
            await self._rest(self._pause)

    async def _append(self, content: str) -> None:
        identity = uuid.uuid4().hex  # The same for every attempt: an attempt whose answer was lost counts once.
        message = Message(id=identity, role=ROLE_USER, content=content)
        deadline = time.monotonic() + self._patience
        while True:
            try:
                await self._client.append_messages(self.written.session, [message], request_id=identity)
            except AiChatError as error:
                if error.reason not in PASSING or time.monotonic() > deadline:
                    raise
                self.written.retries += 1
                await asyncio.sleep(0.2)
            else:
                self.written.ids.append(identity)
                return

    async def _reply(self, number: int) -> None:
        words = [f"word {index} of {number} " for index in range(self._words)]
        deadline = time.monotonic() + self._patience
        while True:
            reply = self._client.reply(self.written.session, author="assistant")
            try:
                async with reply:
                    for word in words:
                        await reply.write(word)
                        await self._rest(0.02)
            except AiChatError as error:
                self.written.unsure.add(reply.id)
                if (error.reason not in {*PASSING, "REPLY_LOST"}) or time.monotonic() > deadline:
                    raise
                self.written.retries += 1
                await asyncio.sleep(0.2)
            else:
                self.written.ids.append(reply.id)
                self.written.texts[reply.id] = "".join(words)
                return

    async def _rest(self, seconds: float) -> None:
        if seconds:
            await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a session compares with what was acknowledged for it."""

    acknowledged: int
    lost: int
    doubled: int
    altered: int


def judge(written: Acknowledged, stored: list[Message]) -> Verdict:
    """Compares; `altered` are replies whose text is another, and messages out of order."""
    ids = [message.id for message in stored]
    texts = {message.id: message.content for message in stored if message.role == ROLE_ASSISTANT}
    held = set(ids)
    altered = sum(texts.get(identity, text) != text for identity, text in written.texts.items())
    known = set(written.ids)
    altered += [identity for identity in dict.fromkeys(ids) if identity in known] != [
        identity for identity in written.ids if identity in held
    ]
    unknown = held - known - written.unsure
    return Verdict(
        acknowledged=len(written.ids),
        lost=len(known - held),
        doubled=len(ids) - len(held) + len(unknown),
        altered=altered,
    )
