"""No body is larger than the API takes, or takes for ever."""

import asyncio
from typing import Final

import pytest
from starlette.exceptions import HTTPException
from stream_gateway.http.bodies import MAX_BODY_BYTES
from stream_gateway.http.body_limit import BODY_SECONDS, BodyLimit
from stream_gateway.http.credentials import Credential
from stream_gateway.http.edge import CREDENTIAL, VISITOR, Message, Receive, Scope, Send
from stream_gateway.http.problems import Problem
from stream_gateway.http.quotas import Quotas
from stream_gateway.http.visitor import Visitor
from stream_gateway.settings import GatewaySettings

PIECE: Final = 64 * 1024
NOBODY: Final = Visitor("http", "localhost", "localhost", "203.0.113.1")


class Sender:
    """Sends a body of that many bytes, or none that ends, and leaves; `asked` how often for a piece of it."""

    def __init__(self, size: int | None, stays: float = 0) -> None:
        self._left = size
        self._stays = stays
        self.asked = 0
        self.read = 0

    async def receive(self) -> Message:
        self.asked += 1
        if self._left is None:
            await asyncio.Event().wait()
        if self._left == 0 and self.asked > 1:
            await asyncio.sleep(self._stays)
            return {"type": "http.disconnect"}
        piece = min(self._left or 0, PIECE)
        self._left = (self._left or 0) - piece
        return {"type": "http.request", "body": b"x" * piece, "more_body": self._left > 0}

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Reads it."""
        del scope, send
        more = True
        while more:
            message = await receive()
            self.read += len(message["body"])
            more = message["more_body"]
        assert (await receive())["type"] == "http.disconnect"  # Once all is there, one may wait for that for ever.


async def sent(
    sender: Sender, declared: str | None = None, *, seconds: float = 60, limits: dict[str, object] | None = None
) -> int:
    """The status with which it is refused; 200: it is not. Raises KeyError for a 429 that says no time."""
    settings = GatewaySettings.model_validate({"limit_address_bytes": 0, "limit_token_bytes": 0, **(limits or {})})
    limit = BodyLimit(sender.app, Quotas(settings), seconds=seconds)
    headers = [] if declared is None else [(b"content-length", declared.encode())]
    scope = {"type": "http", "headers": headers, VISITOR: NOBODY, CREDENTIAL: Credential("t", ambient=False)}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    try:
        await limit(scope, sender.receive, send)
    except Problem as problem:
        return problem.status
    except HTTPException as error:
        return error.status_code if error.status_code != 429 else int((error.headers or {})["retry-after"]) and 429
    return 200


async def test_what_is_declared_too_large_is_refused_unread() -> None:
    sender = Sender(MAX_BODY_BYTES + 1)

    assert await sent(sender, str(MAX_BODY_BYTES + 1)) == 413
    assert await sent(sender, "9" * 100) == 413
    assert sender.asked == 0


async def test_what_becomes_too_large_is_refused_when_it_has() -> None:
    assert await sent(Sender(MAX_BODY_BYTES + 1)) == 413
    assert await sent(Sender(MAX_BODY_BYTES * 2), "5") == 413


async def test_as_much_as_there_may_be_is_taken() -> None:
    sender = Sender(MAX_BODY_BYTES)

    assert await sent(sender, str(MAX_BODY_BYTES)) == 200
    assert sender.read == MAX_BODY_BYTES


async def test_what_does_not_come_is_waited_for_so_long_and_no_longer() -> None:
    assert await sent(Sender(None), seconds=0.05) == 408
    assert BODY_SECONDS == 60


@pytest.mark.parametrize("limit", ["limit_address_bytes", "limit_token_bytes"])
async def test_each_piece_counts(limit: str) -> None:
    assert await sent(Sender(PIECE * 20), limits={limit: PIECE}) == 429
    assert await sent(Sender(PIECE * 5), limits={limit: PIECE}) == 200


async def test_once_all_is_there_an_answer_may_take_its_time() -> None:
    assert await sent(Sender(5, stays=0.1), seconds=0.05) == 200
