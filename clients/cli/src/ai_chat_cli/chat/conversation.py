"""One's own part in one session: what one asks, whether it was received, and who answers."""

import uuid
from collections.abc import Sequence
from enum import Enum, auto

from ai_chat_client import AskAgain, AsyncClient
from ai_chat_client.errors import AiChatError, UnavailableError
from aichat.session.v1 import session_pb2 as model
from aichat.session.v1 import session_service_pb2 as api

from ai_chat_cli.chat import unasked
from ai_chat_cli.exchange import Exchange
from ai_chat_cli.settings import Settings

_LOOKED_AT = 1000


class Retried(Enum):
    """What came of having a question answered again."""

    YES = auto()
    NO_QUESTION = auto()
    IS_BEING_ANSWERED = auto()


class Conversation:
    """Sends messages to one session, each once.

    `exchange`: the answer to the last of them. `own`: the ids of messages that need not be shown when the session
    reports them. `unsent`: the text that could not be delivered, "" when there is none; sent again it is the same
    message, so that it cannot arrive twice.
    """

    def __init__(self, client: AsyncClient, session: str, settings: Settings) -> None:
        self._client = client
        self._session = session
        self._settings = settings
        self._failed: model.Message | None = None
        self.exchange = Exchange()
        self.own: set[str] = set()

    @property
    def unsent(self) -> str:
        return self._failed.content if self._failed is not None else ""

    def take_up(self, snapshot: api.GetSnapshotResponse) -> bool:
        """Whether an earlier run ended with a question taken out of the session, which is `unsent` now."""
        left = self._taken_out(snapshot)
        if left:
            self._failed = _joined(left)
        return bool(left)

    async def send(self, text: str) -> None:
        """Appends the text as a message of the user. AiChatError when it is unknown whether it arrived, or refused."""
        message = self._failed
        if message is None or message.content != text:
            author = self._settings.author
            message = model.Message(id=uuid.uuid4().hex, role=model.ROLE_USER, content=text, author=author)
        had_failed = self._failed is not None
        self._failed = message
        await self._append([message])
        self._failed = None
        if had_failed:
            self._forget()

    async def retry(self) -> Retried:
        """Has the last question answered again. AiChatError as `send`; ConflictError when others were faster."""
        snapshot = await self._client.get_snapshot(self._session, tail=_LOOKED_AT)
        if snapshot.HasField("reply"):
            return Retried.IS_BEING_ANSWERED
        messages: Sequence[model.Message] = self._taken_out(snapshot)
        if not messages:
            plan = AskAgain.of(snapshot, as_caller=self._settings.token is not None)
            if plan is None:
                return Retried.NO_QUESTION
            if not plan.messages:
                await self._reopen(plan, waits=plan.keep == snapshot.session.message_count)
                return Retried.YES
            messages = plan.messages
            unasked.remember(self._settings.server, self._session, messages)
            await self._take_out(plan)
        self._failed = _joined(messages)
        await self._append(messages)
        self._failed = None
        self._forget()
        return Retried.YES

    async def _reopen(self, plan: AskAgain, *, waits: bool) -> None:
        if waits:
            self.exchange.waits(plan.keep)
            return
        self.exchange.ask_again(plan.keep)
        try:
            await self._truncate(plan)
        except BaseException:
            self.exchange.withdraw()
            raise

    def _taken_out(self, snapshot: api.GetSnapshotResponse) -> list[model.Message]:
        """The messages of a question that was to be asked anew and is neither here nor there."""
        left = unasked.recall(self._settings.server, self._session)
        there = {message.content for message in snapshot.messages}
        if any(message.content in there for message in left):
            self._forget()
            return []
        return left

    async def _take_out(self, plan: AskAgain) -> None:
        try:
            await self._truncate(plan)
        except UnavailableError:
            raise  # It may have been: what is remembered stays.
        except AiChatError:
            self._forget()
            raise

    def _forget(self) -> None:
        unasked.forget(self._settings.server, self._session)

    async def _append(self, messages: Sequence[model.Message]) -> None:
        last = messages[-1].id
        self.own.update(message.id for message in messages)
        self.exchange.ask(last)
        try:
            self.exchange.sent(await self._client.append_messages(self._session, messages, request_id=last))
        except BaseException:
            self.exchange.withdraw()
            raise

    async def _truncate(self, plan: AskAgain) -> None:
        """Shortens the session. It is never repeated: when the answer was lost, what became of it is looked up."""
        try:
            await self._client.truncate_session(self._session, keep=plan.keep, expected_position=plan.position)
        except UnavailableError:
            session = await self._client.get_session(self._session)
            if session.position == plan.position or session.message_count != plan.keep:
                raise


def _joined(messages: Sequence[model.Message]) -> model.Message:
    """One message to be edited and sent, in place of several."""
    if len(messages) == 1:
        return messages[0]
    joined = model.Message(id=uuid.uuid4().hex, role=model.ROLE_USER, author=messages[-1].author)
    joined.content = "\n\n".join(message.content for message in messages)
    return joined
