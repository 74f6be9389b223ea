"""No body larger than the API takes, whether it says so beforehand or not, and none that takes for ever to come."""

import asyncio
from typing import Final

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from stream_gateway.http.bodies import MAX_BODY_BYTES
from stream_gateway.http.edge import CREDENTIAL, VISITOR, App, Message, Receive, Scope, Send
from stream_gateway.http.problems import Problem
from stream_gateway.http.quotas import Quotas

TOO_SLOW: Final = 408
TOO_LARGE: Final = 413
BODY_SECONDS: Final = 60.0
"""How long a body may take: 4 MiB at half a Mbit/s."""


class BodyLimit:
    """Refuses what is declared too large before it is read, and the rest as soon as it has become so.

    What comes is counted by `quotas`.
    """

    def __init__(self, app: App, quotas: Quotas, *, seconds: float = BODY_SECONDS) -> None:
        self._app = app
        self._quotas = quotas
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
            raise Problem(TOO_LARGE, "TOO_LARGE", f"the body is larger than {MAX_BODY_BYTES} bytes")
        body = _Body(scope, receive, self._quotas, asyncio.get_running_loop().time() + self._seconds)
        await self._app(scope, body.receive, send)


class _Body:
    """One request's body as it comes."""

    def __init__(self, scope: Scope, receive: Receive, quotas: Quotas, until: float) -> None:
        self._visitor = scope.get(VISITOR)
        self._credential = scope.get(CREDENTIAL)
        self._receive = receive
        self._quotas = quotas
        self._until: float | None = until
        self._read = 0

    async def receive(self) -> Message:
        """ASGI's `receive`. Raises starlette's own exception: FastAPI takes others for a body that cannot be parsed."""
        try:
            async with asyncio.timeout_at(self._until):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(TOO_SLOW, "the body did not come in time") from None
        chunk = message.get("body", b"")
        self._read += len(chunk)
        if self._read > MAX_BODY_BYTES:
            raise HTTPException(TOO_LARGE)
        if chunk and self._visitor is not None:
            try:
                self._quotas.body(self._visitor, self._credential, len(chunk))
            except Problem as problem:
                raise HTTPException(problem.status, problem.detail, problem.headers) from None
        if not message.get("more_body", False):
            self._until = None
        return message
