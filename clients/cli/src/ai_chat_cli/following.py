"""Watching a session for as long as it is looked at."""

import contextlib
from collections.abc import AsyncGenerator

from ai_chat_client import AsyncClient
from ai_chat_client.reconnect import LossHandler
from aichat.session.v1 import session_service_pb2 as api


async def follow(
    client: AsyncClient,
    session: str,
    *,
    after_position: str | None = None,
    give_up_after: float | None = None,
    on_loss: LossHandler | None = None,
) -> AsyncGenerator[api.WatchSessionResponse, None]:
    """As AsyncClient.watch_session, but goes on when the session is deleted: whoever writes to it begins it again."""
    while True:
        watch = client.watch_session(
            session, after_position=after_position, give_up_after=give_up_after, on_loss=on_loss
        )
        async with contextlib.aclosing(watch) as events:
            async for event in events:
                yield event
        # Deleted: all that is written to it from now on is news.
        after_position = ""
