"""The sessions themselves, in memory."""

from session_svc.domain.errors import SessionExists
from session_svc.domain.excerpts import automatic_title
from session_svc.domain.session import Activity, Keep, NewSession, Session, SessionChange, SessionPage, TitleSource
from session_svc.storage.base import Expected, SessionStore
from session_svc.storage.memory.replies import InMemoryReplyBuffer
from session_svc.storage.memory.state import Record, State, check_expected


class InMemorySessionStore(SessionStore):
    """SessionStore over the state it shares with InMemoryMessageHistory."""

    def __init__(self, state: State, replies: InMemoryReplyBuffer) -> None:
        self._state = state
        self._replies = replies

    async def create(self, name: str, new: NewSession, *, allow_existing: bool) -> Session:
        now = self._state.begin()
        record = self._state.find(name)
        if record is None:
            return self._state.save(self._state.create(name, new, now), now)
        if not allow_existing:
            raise SessionExists(name)
        self._state.restart_clock(record, now)
        return record.session()

    async def get(self, name: str) -> Session:
        self._state.begin()
        return self._state.existing(name).session()

    async def page(self, *, after: Activity | None, limit: int) -> SessionPage:
        self._state.begin()
        places = self._state.activity.descending(after, limit + 1)
        sessions = tuple(self._state.existing(place.name).session() for place in places[:limit])
        return SessionPage(sessions, next=places[limit - 1] if len(places) > limit else None)

    async def update(self, name: str, change: SessionChange) -> Session:
        now = self._state.begin()
        record = self._state.existing(name)
        if not isinstance(change.title, Keep):
            _retitle(record, change.title)
        if not isinstance(change.ttl, Keep):
            record.ttl = change.ttl
        if not isinstance(change.labels, Keep):
            record.labels = dict(change.labels)
        return self._state.save(record, now)

    async def delete(self, name: str, *, expected: Expected = None) -> None:
        now = self._state.begin()
        record = self._state.existing(name)
        check_expected(expected, record)
        self._state.drop(record, now)

    async def settle_due(self) -> None:
        self._replies.settle()

    async def adopt(self) -> int | None:
        return 0

    async def is_listed(self) -> bool:
        return True

    async def ping(self) -> None:
        return None


def _retitle(record: Record, title: str) -> None:
    """The user's title, or the automatic one when it is empty."""
    record.title = title or automatic_title(record.log)
    if title:
        record.title_source = TitleSource.USER
    else:
        record.title_source = TitleSource.AUTO if record.title else TitleSource.NONE
