"""Who may open a stream: whoever session-svc shows the session to, while there is memory for it."""

import random
from typing import Final

from ai_chat_client.errors import AiChatError
from aichat_runtime.memory import MemoryGuard

from stream_gateway import metrics
from stream_gateway.http.edge import CREDENTIAL, VISITOR, Scope
from stream_gateway.http.problems import from_error, too_many, unavailable
from stream_gateway.http.quotas import Quotas
from stream_gateway.viewer import Viewer
from stream_gateway.watches import TooManyTokensError, Watch, Watches

RETRY_SECONDS: Final = 15.0


class Admission:
    """Asks session-svc, with the viewer's own token, before the viewer joins what all viewers share."""

    def __init__(self, watches: Watches, quotas: Quotas, guard: MemoryGuard) -> None:
        self._guard = guard
        self._quotas = quotas
        self._watches = watches

    def enter(self, scope: Scope, viewer: Viewer) -> Watch | None:
        """Counts the viewer's stream until its end. Returns the watch that tells it the list, and ends its stream.

        None where nobody needs a token. Raises Problem when there are too many streams, or too little memory.
        """
        if self._guard.exceeded:
            metrics.REFUSED.labels("memory").inc()
            detail = "this gateway has no memory to spare for another stream now; try again"
            raise too_many("TOO_MANY_STREAMS", detail, random.uniform(5, 30))  # noqa: S311 - Spreads load only.
        credential = scope[CREDENTIAL]
        self._quotas.stream(scope[VISITOR], credential, viewer)
        if credential is None:
            return None
        try:
            return self._watches.visit(credential.token, viewer)
        except TooManyTokensError:
            metrics.REFUSED.labels("tokens").inc()
            detail = "viewers with as many different tokens as this gateway takes are here; try again"
            raise too_many("TOO_MANY_STREAMS", detail, RETRY_SECONDS) from None

    async def check(self, watch: Watch, name: str | None) -> None:
        """Returns if the watch's token is good, and may see the session, or the name that one may come to have.

        Raises Problem.
        """
        try:
            await self._watches.opened(watch)
            if name is not None:
                await self._watches.check(watch, name)
        except AiChatError as error:
            raise from_error(error) from None
        except TimeoutError:
            raise unavailable("STORE_UNAVAILABLE", "the session service does not answer; try again") from None
