"""What was answered, for those who ask again."""

from dataclasses import dataclass
from typing import Final

from session_svc.domain.errors import RateLimited
from session_svc.domain.limits import REQUEST_IDS_PER_DAY
from session_svc.domain.message import Receipt
from session_svc.domain.position import Position

_DAY: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered, and what identifies the question."""

    fingerprint: str
    receipts: tuple[Receipt, ...]
    position: Position


class AnsweredRequests:
    """Answers by unix day, session and id of a request or a reply: today's and yesterday's; older ones are dropped."""

    def __init__(self) -> None:
        self._days: dict[int, dict[str, dict[str, Answer]]] = {}

    def find(self, session: str, request_id: str) -> Answer | None:
        """The answer given before, if any."""
        for sessions in self._days.values():
            answer = sessions.get(session, {}).get(request_id)
            if answer is not None:
                return answer
        return None

    def check_room(self, session: str, now: int) -> None:
        """Raises RateLimited when the session has had all its request ids of today."""
        if len(self._days.get(now // _DAY, {}).get(session, {})) >= REQUEST_IDS_PER_DAY:
            raise RateLimited(
                f"a session remembers {REQUEST_IDS_PER_DAY} request ids a day and has them; append without one",
                retry_after=(_DAY - now % _DAY) / 1000,
            )

    def remember(self, session: str, request_id: str, answer: Answer, now: int) -> None:
        """Keeps an answer for at least a day."""
        self._days.setdefault(now // _DAY, {}).setdefault(session, {})[request_id] = answer

    def forget_session(self, session: str) -> None:
        """Drops every answer of a session."""
        for sessions in self._days.values():
            sessions.pop(session, None)

    def forget_old(self, now: int) -> None:
        """Drops what is older than yesterday."""
        for day in [day for day in self._days if day < now // _DAY - 1]:
            del self._days[day]
