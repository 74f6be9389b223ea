"""What a token permits."""

import fnmatch
import re
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Final

PATTERNS: Final = 100
"""How many patterns of session names one token may have."""


class Scope(IntEnum):
    """What its bearer may do; each includes those below it. NONE: nothing."""

    NONE = 0
    READ = 1
    WRITE = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        """Its name where people write it."""
        return self.name.lower()


@dataclass(frozen=True)
class NamePatterns:
    """Session names by shell patterns: `*` any characters, `?` one, `[...]` one of these; case counts."""

    patterns: tuple[str, ...]

    def match(self, name: str) -> bool:
        """Whether `name` is one of those meant."""
        return self._expression.fullmatch(name) is not None

    def __str__(self) -> str:
        return ", ".join(self.patterns)

    @cached_property
    def _expression(self) -> re.Pattern[str]:
        return re.compile("|".join(map(fnmatch.translate, self.patterns)))


@dataclass(frozen=True, slots=True)
class Grant:
    """Who bears a token, and what it permits.

    name      stands as author of what it writes, and as owner of what it creates
    sessions  None: every session
    expires   seconds since 1970; None: never
    """

    name: str
    scope: Scope
    sessions: NamePatterns | None = field(default=None)
    expires: float | None = None

    def covers(self, session: str) -> bool:
        """Whether the session of this name may be touched at all."""
        return self.sessions is None or self.sessions.match(session)
