"""One answer, from the question's claim to the reply's end."""

import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from typing import Final

import structlog
from ai_chat_client import AsyncClient, ReplyWriter, Session
from ai_chat_client.errors import ConflictError, NotFoundError, ReplyLost, ReplyStopped

from ai_chat_assistant import conversation as talk
from ai_chat_assistant import metrics
from ai_chat_assistant.attributes import REASONING, attributes
from ai_chat_assistant.providers.base import Facts, ModelError, Piece, Reasoning, Text
from ai_chat_assistant.providers.choice import Providers
from ai_chat_assistant.settings import AssistantSettings
from ai_chat_assistant.system_prompts import SystemPrompts

ASSISTANT_LABEL: Final = "assistant"
NOBODY: Final = "none"

_PART_CHARACTERS: Final = 400
"""Reasoning is told in parts of about this size: each is a chunk of its own to everyone who watches."""

_log = structlog.get_logger(__name__)


class Answering:
    """Answers sessions, each question once, whoever else does."""

    def __init__(
        self,
        client: AsyncClient,
        providers: Providers,
        settings: AssistantSettings,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._providers = providers
        self._settings = settings
        self._now = now
        self._prompts = SystemPrompts(client, settings.assistant_system_prompt)

    def concerns(self, session: Session) -> bool:
        """Whether `session` waits for a reply, and for one of this assistant's."""
        wanted = session.labels.get(ASSISTANT_LABEL)
        mine = wanted is None or (wanted != NOBODY and wanted == self._settings.assistant_name)
        return mine and session.awaiting_reply and not session.HasField("reply")

    def is_recent(self, session: Session) -> bool:
        """Whether its last USER message may be young enough: nothing is more recent than the last activity."""
        return self._is_young(session.last_active_time.ToMilliseconds() / 1000)

    async def answer(self, name: str) -> None:
        """Answers the session if it still waits. Raises AiChatError when that could not be found out."""
        try:
            await self._answer(name)
        except (ReplyStopped, ReplyLost) as ended:
            metrics.replies.labels(ended.reason.lower()).inc()
            _log.info("reply ended by others", session=name, reason=ended.reason)
        except (ConflictError, NotFoundError) as gone:
            # Another assistant has it, or the session moved on: whatever it is now has been, or will be, heard of.
            _log.debug("not answered", session=name, reason=gone.reason)

    async def _answer(self, name: str) -> None:
        conversation = await talk.read(self._client, name, history=self._settings.assistant_history)
        asked_at = conversation.asked_at
        if not self.concerns(conversation.session) or asked_at is None or not self._is_young(asked_at):
            return
        prompt = await self._prompts.of(conversation)
        model, provider = self._providers.choose(conversation.session.labels)
        async with self._client.reply(
            name, author=self._settings.author, model=model, expected_position=conversation.position
        ) as reply:
            if not (await self._client.get_session(name)).awaiting_reply:
                # Since the session was read another one began, and was stopped before its first word: neither the
                # head nor the slot shows that. Nobody is to answer any more; this reply ends without a trace.
                await self._client.stop_reply(name, reply_id=reply.id)
                return
            _log.info("answering", session=name, model=model, reply_id=reply.id)
            with metrics.in_progress.track_inprogress():
                await self._write(reply, name, provider.answer(model, conversation.turns(prompt)))

    async def _write(self, reply: ReplyWriter, name: str, pieces: AsyncGenerator[Piece, None]) -> None:
        thoughts = _Thoughts(reply)
        facts: Facts = Facts({})
        began = time.monotonic()
        first = True
        async with contextlib.aclosing(pieces):
            try:
                async for piece in pieces:
                    if first:
                        metrics.first_token_seconds.observe(time.monotonic() - began)
                        first = False
                    match piece:
                        case Text():
                            await thoughts.tell()
                            await reply.write(piece.text)
                        case Reasoning():
                            await thoughts.add(piece.text)
                        case Facts():
                            facts = piece
            except ModelError as error:
                await thoughts.tell()
                await reply.fail(str(error), attributes=attributes(facts.values, thoughts.told))
                metrics.replies.labels("failed").inc()
                _log.warning("the model failed", session=name, reply_id=reply.id, reason=str(error))
                return
        await reply.finish(attributes=attributes(facts.values, thoughts.told))
        metrics.replies.labels("complete").inc()
        _log.info("answered", session=name, reply_id=reply.id, seconds=round(time.monotonic() - began, 3))

    def _is_young(self, asked_at: float) -> bool:
        return self._now() - asked_at <= self._settings.assistant_max_age


class _Thoughts:
    """Gathers reasoning into parts."""

    def __init__(self, reply: ReplyWriter) -> None:
        self._reply = reply
        self._waiting = ""
        self.told: list[str] = []

    async def add(self, text: str) -> None:
        self._waiting += text
        while len(self._waiting) >= _PART_CHARACTERS:
            await self._tell(self._waiting[:_PART_CHARACTERS])
            self._waiting = self._waiting[_PART_CHARACTERS:]

    async def tell(self) -> None:
        """Tells what is left."""
        if self._waiting:
            await self._tell(self._waiting)
            self._waiting = ""

    async def _tell(self, text: str) -> None:
        await self._reply.part(REASONING, {"text": text})
        self.told.append(text)
