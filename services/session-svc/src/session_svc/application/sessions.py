"""Sessions: create, get, list, update, delete."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from session_svc.application.filters import SessionFilter
from session_svc.application.sizes import LISTED_BYTES, session_bytes
from session_svc.application.tokens import Request
from session_svc.domain import names
from session_svc.domain.errors import InvalidPageToken, SessionExists, SessionNotFound
from session_svc.domain.session import Activity, NewSession, Session, SessionChange
from session_svc.entropy import random_digits, system_clock
from session_svc.storage.base import Expected, SessionStore

EXAMINED: Final = 2000
"""How many sessions one call looks at for those that match; then the caller asks for the next page."""

_STEP: Final = 100
_NAME_ATTEMPTS: Final = 5
_SUFFIX_DIGITS: Final = 6


@dataclass(frozen=True, slots=True)
class SessionListing:
    """A page of sessions, latest activity first; it may be short or empty while there is a next one."""

    sessions: tuple[Session, ...]
    next_page_token: str


class Sessions:
    """The use cases of sessions as such."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store

    async def create(
        self, name: str, new: NewSession, *, allow_existing: bool, permitted: Callable[[str], None]
    ) -> Session:
        """Creates a session, under a generated name if `name` is empty, for which `permitted` is then asked.

        Raises SessionExists, InvalidName, and what `permitted` raises.
        """
        if name:
            return await self._store.create(name, new, allow_existing=allow_existing)
        for attempt in range(1, _NAME_ATTEMPTS + 1):
            generated = names.generate(system_clock(), random_digits(_SUFFIX_DIGITS))
            permitted(generated)
            try:
                return await self._store.create(generated, new, allow_existing=False)
            except SessionExists:
                if attempt == _NAME_ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    async def get(self, name: str) -> Session:
        """Reads one session. Raises SessionNotFound."""
        return await self._store.get(name)

    async def list(self, wanted: SessionFilter, *, page_size: int, page_token: str) -> SessionListing:
        """Reads the sessions that match, in bounded steps. Raises InvalidPageToken."""
        fields: tuple[object, ...] = (wanted.query, sorted(wanted.labels.items()), wanted.owner)
        request = Request("ListSessions", (*fields, wanted.visible.patterns) if wanted.visible else fields)
        after = _place(request.open(page_token)) if page_token else None
        found: list[Session] = []
        begin = after
        examined = size = 0
        while True:
            # Without a filter every session counts, so that no more are read than are asked for.
            limit = min(_STEP, page_size - len(found)) if wanted.is_empty else _STEP
            page = await self._store.page(after=after, limit=limit)
            for session in page.sessions:
                matches = wanted.is_empty or wanted.matches(session)
                size += session_bytes(session) if matches else 0
                if len(found) == page_size or size > LISTED_BYTES:
                    return SessionListing(tuple(found), _token(request, _tellable(after, found, begin, wanted)))
                if matches:
                    found.append(session)
                after = Activity(session.last_active_time, session.name)
            examined += limit
            after = page.next
            place = _tellable(after, found, begin, wanted)
            if place is None or len(found) == page_size or (examined >= EXAMINED and place != begin):
                return SessionListing(tuple(found), _token(request, place))

    async def update(self, name: str, change: SessionChange) -> Session:
        """Changes title, ttl or labels. Raises SessionNotFound."""
        return await self._store.update(name, change)

    async def delete(self, name: str, *, allow_missing: bool, expected: Expected) -> None:
        """Deletes a session. Raises PositionConflict; SessionNotFound unless `allow_missing`."""
        try:
            await self._store.delete(name, expected=expected)
        except SessionNotFound:
            if not allow_missing:
                raise


def _tellable(
    after: Activity | None, found: Sequence[Session], begin: Activity | None, wanted: SessionFilter
) -> Activity | None:
    """Where to go on after `after`, without the name of a session that is not to be known of.

    That is the last one found, if it is of the same moment; else the beginning of that moment, in which nothing was
    found yet: what is invisible there is passed over once more. Not before `begin`.
    """
    if after is None or wanted.shows(after.name):
        return after
    if found and found[-1].last_active_time == after.time:
        return Activity(after.time, found[-1].name)
    if begin is not None and begin.time == after.time:
        return begin
    return Activity(after.time + 1, "")


def _token(request: Request, after: Activity | None) -> str:
    return request.seal(f"{after.time}:{after.name}") if after else ""


def _place(text: str) -> Activity:
    time, colon, name = text.partition(":")
    if not (colon and time.isascii() and time.isdigit()):
        raise InvalidPageToken
    return Activity(int(time), name)
