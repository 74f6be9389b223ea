"""Session names: which may be created, which may exist."""

import re
from typing import Final

from session_svc.domain.limits import EXISTING_NAME_CHARACTERS

_CREATABLE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-@:~]{0,127}", re.ASCII)
_NEVER: Final = re.compile(r"[\x00-\x1f\x7f-\x9f{}]")

RULE: Final = "1 to 128 characters: first a letter or digit, then letters, digits and . _ - @ : ~"


def is_creatable(name: str) -> bool:
    """Whether a session may be created under `name`."""
    return _CREATABLE.fullmatch(name) is not None


def may_exist(name: str) -> bool:
    """Whether a session may exist under `name`: ours, or one of chat.ai's, which allowed anything.

    Names that hold control characters or braces, or exceed 256 characters, are nobody's.
    """
    return 0 < len(name) <= EXISTING_NAME_CHARACTERS and _NEVER.search(name) is None


def generate(now_ms: int, suffix: str) -> str:
    """The name of a session created without one; `suffix` is 6 random characters of [0-9a-z]."""
    return f"session-{now_ms}-{suffix}"
