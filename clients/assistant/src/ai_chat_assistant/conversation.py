"""What a session says to a model: its last messages."""

from dataclasses import dataclass
from typing import Final

from ai_chat_client import (
    MESSAGE_STATUS_UNREADABLE,
    ROLE_ASSISTANT,
    ROLE_SYSTEM,
    ROLE_USER,
    AsyncClient,
    Message,
    Session,
)

from ai_chat_assistant.providers.base import Role, Turn

_ROLES: Final[dict[int, Role]] = {ROLE_USER: "user", ROLE_ASSISTANT: "assistant", ROLE_SYSTEM: "system"}


@dataclass(frozen=True, slots=True)
class Conversation:
    """A session at one moment, `position`."""

    session: Session
    position: str
    messages: tuple[Message, ...]

    @property
    def asked_at(self) -> float | None:
        """When the last USER message was written, in seconds since 1970; None: there is none that says."""
        for message in reversed(self.messages):
            if message.role == ROLE_USER:
                return message.create_time.ToMilliseconds() / 1000 if message.HasField("create_time") else None
        return None

    def turns(self, system_prompt: str) -> list[Turn]:
        """For the model; without what is no talk: tools' results, unreadable and empty messages."""
        said = [Turn("system", system_prompt)] if system_prompt else []
        for message in self.messages:
            role = _ROLES.get(message.role)
            if role and message.content and message.status != MESSAGE_STATUS_UNREADABLE:
                said.append(Turn(role, message.content))
        return said


async def read(client: AsyncClient, name: str, *, history: int) -> Conversation:
    """The last `history` messages of a session. Raises AiChatError."""
    snapshot = await client.get_snapshot(name, tail=history)
    return Conversation(snapshot.session, snapshot.position, tuple(snapshot.messages))
