"""The system prompts of sessions: each session is searched for its own once, not once for each answer."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from ai_chat_client import ROLE_SYSTEM, AsyncClient
from ai_chat_client.position import Position

from ai_chat_assistant.conversation import Conversation

SESSIONS: Final = 1000
"""So many sessions' places are remembered, those answered last; the texts are not, they may be long."""

_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the first SYSTEM message of one log is. `searched`: up to there; `found`: its sequence, or None."""

    epoch: str
    searched: int = 0
    found: int | None = None


class SystemPrompts:
    """Knows what to put before the messages of a conversation. `default`: for sessions without a SYSTEM message."""

    def __init__(self, client: AsyncClient, default: str) -> None:
        self._client = client
        self._default = default
        self._places: OrderedDict[str, _Place] = OrderedDict()

    async def of(self, conversation: Conversation) -> str:
        """The session's first SYSTEM message; "" when it is among the conversation's messages anyway.

        Raises AiChatError, POSITION_CONFLICT when the session is cleared or shortened meanwhile.
        """
        name, at = conversation.session.name, Position.parse(conversation.position)
        begins = conversation.messages[0].sequence if conversation.messages else 1
        prompt = await self._before(name, at.epoch, begins) if at is not None and begins > 1 else None
        if prompt is not None:
            return prompt
        return "" if any(message.role == ROLE_SYSTEM for message in conversation.messages) else self._default

    async def _before(self, name: str, epoch: str, begins: int) -> str | None:
        """The first SYSTEM message before the one whose sequence is `begins`."""
        place = self._places.pop(name, None)
        if place is None or place.epoch != epoch:
            place = _Place(epoch)
        text: str | None = None
        if place.found is None and place.searched < begins - 1:
            place, text = await self._search(name, place, begins)
        elif place.found is not None and place.found < begins:
            text = await self._read(name, place.epoch, place.found)
        self._places[name] = place
        if len(self._places) > SESSIONS:
            self._places.popitem(last=False)
        return text

    async def _search(self, name: str, place: _Place, begins: int) -> tuple[_Place, str | None]:
        after = str(Position(place.epoch, place.searched))
        earlier = self._client.messages(name, after_position=after, page_size=_PAGE)
        try:
            async for message in earlier:
                if message.sequence >= begins:
                    break
                if message.role == ROLE_SYSTEM:
                    return _Place(place.epoch, message.sequence, message.sequence), message.content
        finally:
            await earlier.aclose()
        return _Place(place.epoch, begins - 1), None

    async def _read(self, name: str, epoch: str, sequence: int) -> str | None:
        page = await self._client.list_messages(name, after_position=str(Position(epoch, sequence - 1)), page_size=1)
        return page.messages[0].content if page.messages else None
