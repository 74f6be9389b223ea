"""Names of sessions that look like one that does not exist."""

import difflib
from collections.abc import Iterable

LOOKED_AT = 500
"""How many of the latest sessions are compared."""


def close_matches(name: str, names: Iterable[str]) -> list[str]:
    """Up to three of `names` that `name` may have been meant for, the likeliest first; any case."""
    by_folded = {other.casefold(): other for other in names if other != name}
    found = difflib.get_close_matches(name.casefold(), by_folded, n=3, cutoff=0.6)
    return [by_folded[match] for match in found]


def suggestion(matches: list[str]) -> str:
    """`did you mean 'a' or 'b'?`, or nothing."""
    return f"did you mean {' or '.join(repr(match) for match in matches)}?" if matches else ""
