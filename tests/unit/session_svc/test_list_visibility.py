"""Whoever may see some sessions only pages through those, and learns no other name."""

import base64
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from session_svc.application import sessions as module
from session_svc.application.filters import SessionFilter
from session_svc.application.sessions import Sessions
from session_svc.bus.memory import InMemoryStreamBus
from session_svc.domain.access import NamePatterns
from session_svc.domain.session import NewSession
from session_svc.storage.memory import InMemoryStorage

TEAM = SessionFilter(visible=NamePatterns(("team-*",)))


async def pages(sessions: Sessions, size: int) -> tuple[list[str], list[str]]:
    """Every name in order, and every token, decoded."""
    names: list[str] = []
    tokens: list[str] = []
    token = ""
    for _ in range(1000):
        page = await sessions.list(TEAM, page_size=size, page_token=token)
        names += [session.name for session in page.sessions]
        token = page.next_page_token
        if not token:
            return names, tokens
        tokens.append(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode("latin-1"))
    raise AssertionError("paging does not end")


@settings(max_examples=60, deadline=None)
@given(
    kinds=st.lists(st.tuples(st.booleans(), st.integers(0, 1)), max_size=60),
    size=st.integers(1, 7),
    examined=st.integers(1, 10),
)
async def test_every_visible_session_comes_once_and_no_token_holds_another_name(
    kinds: list[tuple[bool, int]], size: int, examined: int
) -> None:
    now = itertools.count(1_000)
    at = [next(now)]
    storage = InMemoryStorage(InMemoryStreamBus(), default_ttl_ms=None, clock=lambda: at[0])
    for number, (visible, pause) in enumerate(kinds):
        at[0] += pause
        name = f"team-{number:02}" if visible else f"secret-{number:02}"
        await storage.store.create(name, NewSession(), allow_existing=False)
    before = module.EXAMINED, module._STEP
    module.EXAMINED, module._STEP = examined, 3  # type: ignore[misc]  # Small ones, so that few sessions fill many pages.
    try:
        names, tokens = await pages(Sessions(storage.store), size)
    finally:
        module.EXAMINED, module._STEP = before  # type: ignore[misc]  # As above.
    assert sorted(names) == sorted(f"team-{number:02}" for number, (visible, _) in enumerate(kinds) if visible)
    assert not any("secret" in token for token in tokens)
