"""One's own part in one session: what one writes, and whether it was received."""

import uuid

from ai_chat_client import AsyncClient
from aichat.session.v1 import session_pb2 as model


class Conversation:
    """Sends messages to one session, each once.

    `own`: the ids of messages that need not be shown when the session reports them. `unsent`: the text that could not
    be delivered, "" when there is none; sent again it is the same message, so that it cannot arrive twice.
    """

    def __init__(self, client: AsyncClient, session: str, author: str) -> None:
        self._client = client
        self._session = session
        self._author = author
        self._failed: model.Message | None = None
        self.own: set[str] = set()

    @property
    def unsent(self) -> str:
        return self._failed.content if self._failed is not None else ""

    async def send(self, text: str) -> None:
        """Appends the text as a message of the user. AiChatError when it is unknown whether it arrived, or refused."""
        message = self._failed
        if message is None or message.content != text:
            message = model.Message(id=uuid.uuid4().hex, role=model.ROLE_USER, content=text, author=self._author)
        self._failed = message
        self.own.add(message.id)
        await self._client.append_messages(self._session, [message], request_id=message.id)
        self._failed = None
