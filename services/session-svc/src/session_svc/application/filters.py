"""Which sessions a caller asks for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from session_svc.domain.access import NamePatterns
from session_svc.domain.session import Session


@dataclass(frozen=True)
class SessionFilter:
    """Every condition must hold; an empty one always does.

    query    part of the name or the title, in any case
    labels   all of these, with these values
    owner    exactly this one
    visible  names of these patterns; None: any
    """

    query: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    visible: NamePatterns | None = None

    @property
    def is_empty(self) -> bool:
        """Whether every session matches."""
        return not (self.query or self.labels or self.owner or self.visible)

    def shows(self, name: str) -> bool:
        """Whether whoever asks may know of the session of this name."""
        return self.visible is None or self.visible.match(name)

    def matches(self, session: Session) -> bool:
        """Whether `session` is one of those asked for."""
        return (
            (not self.owner or session.owner == self.owner)
            and all(session.labels.get(key) == value for key, value in self.labels.items())
            and self.shows(session.name)
            and (not self.query or self._folded in session.name.casefold() or self._folded in session.title.casefold())
        )

    @cached_property
    def _folded(self) -> str:
        return self.query.casefold()
