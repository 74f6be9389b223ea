"""No body larger than the API takes, whether it says so beforehand or not."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from stream_gateway.http.bodies import MAX_BODY_BYTES
from stream_gateway.http.edge import App, Message, Receive, Scope, Send
from stream_gateway.http.problems import Problem

TOO_LARGE = 413


class BodyLimit:
    """Refuses what is declared too large before it is read, and the rest as soon as it has become so."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        declared = Headers(scope=scope).get("content-length", "0")
        if declared.isdecimal() and int(declared) > MAX_BODY_BYTES:
            raise Problem(TOO_LARGE, "TOO_LARGE", f"the body is larger than {MAX_BODY_BYTES} bytes")
        read = 0

        async def receive_within_limit() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MAX_BODY_BYTES:
                # Starlette's own type: FastAPI takes anything else for a body that cannot be parsed.
                raise HTTPException(TOO_LARGE)
            return message

        await self._app(scope, receive_within_limit, send)
