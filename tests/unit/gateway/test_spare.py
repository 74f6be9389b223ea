"""What requests hold in memory is bounded: for whoever is slow, at the cost of none but the slow."""

import asyncio
from typing import Any

import pytest
from aichat_runtime.memory import MemoryGuard
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from stream_gateway.budget import Budget
from stream_gateway.http import spare
from stream_gateway.http.edge import App, Message, Receive, Scope, Send
from stream_gateway.http.problems import Problem
from stream_gateway.http.spare import PIECE_BYTES, Spare

KIB = 1024


def answering(size: int) -> App:
    """Reads the whole body, and answers with so many bytes."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del scope
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * size})

    return app


class Peer:
    """A client: sends no body, or the beginning of one, and takes the answer's pieces while `takes` is set."""

    def __init__(self, *, takes: bool = True, body: bytes = b"") -> None:
        self.takes = asyncio.Event()
        if takes:
            self.takes.set()
        self.told: list[Message] = []
        self._body: asyncio.Queue[Message] = asyncio.Queue()
        self._body.put_nowait({"type": "http.request", "body": body, "more_body": bool(body)})

    @property
    def status(self) -> int | None:
        return self.told[0]["status"] if self.told else None

    @property
    def pieces(self) -> list[int]:
        return [len(message["body"]) for message in self.told if message["type"] == "http.response.body"]

    def asks(self, app: Spare, method: str = "GET") -> asyncio.Task[None]:
        scope: dict[str, Any] = {"type": "http", "method": method, "path": "/api/sessions"}
        return asyncio.create_task(app(scope, self._body.get, self._take))

    async def _take(self, message: Message) -> None:
        if message["type"] == "http.response.body":
            await self.takes.wait()
        self.told.append(message)


def new(size: int, limit: int = 100 * KIB) -> tuple[Spare, Budget]:
    budget = Budget(limit)
    return Spare(answering(size), MemoryGuard(0), budget), budget


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_large_answer_is_handed_over_piece_by_piece_and_whole() -> None:
    app, budget = new(150 * KIB, limit=1000 * KIB)
    peer = Peer()

    await peer.asks(app)

    assert peer.pieces == [PIECE_BYTES, PIECE_BYTES, 150 * KIB - 2 * PIECE_BYTES]
    assert [message.get("more_body") for message in peer.told[1:]] == [True, True, False]
    assert budget.used == 0


async def test_an_empty_answer_is_an_answer() -> None:
    app, _ = new(0)
    peer = Peer()

    await peer.asks(app)

    assert (peer.status, peer.pieces) == (200, [0])


async def test_while_too_much_is_held_what_is_new_is_refused_and_the_slow_are_broken_off(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spare, "LENIENT_SECONDS", 0.0)
    app, budget = new(120 * KIB)
    slow = Peer(takes=False)
    answer = slow.asks(app, "POST")
    await settled()
    assert budget.used == 120 * KIB

    with pytest.raises(Problem) as refusal:
        await Peer().asks(app)
    assert (refusal.value.status, refusal.value.reason) == (429, "RATE_LIMITED")
    assert int(refusal.value.headers["retry-after"]) >= 1

    with pytest.raises(ClientDisconnect):
        await answer
    assert budget.used == 0
    later = Peer()
    await later.asks(app, "POST")
    assert later.status == 200


async def test_whoever_has_waited_for_a_moment_only_is_not_broken_off() -> None:
    app, _ = new(120 * KIB)
    slow = Peer(takes=False)
    answer = slow.asks(app, "POST")
    await settled()
    with pytest.raises(Problem):
        await Peer().asks(app)

    slow.takes.set()
    await answer

    assert sum(slow.pieces) == 120 * KIB


async def test_a_large_answer_for_which_there_is_no_room_is_a_refusal() -> None:
    app, budget = new(120 * KIB)
    peer = Peer()

    await peer.asks(app)

    assert peer.status == 429
    assert budget.used == 0


async def test_the_answer_to_a_write_is_never_turned_into_a_refusal() -> None:
    app, _ = new(120 * KIB)
    peer = Peer()

    await peer.asks(app, "POST")

    assert (peer.status, sum(peer.pieces)) == (200, 120 * KIB)


async def test_bodies_that_do_not_come_to_an_end_are_counted_and_given_up_when_others_need_the_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(spare, "LENIENT_SECONDS", 0.0)
    app, budget = new(0)
    first, second = Peer(body=b"x" * 60 * KIB), Peer(body=b"y" * 60 * KIB)
    sending = first.asks(app, "POST")
    await settled()
    assert budget.used == 60 * KIB

    with pytest.raises(HTTPException) as refusal:
        await second.asks(app, "POST")
    with pytest.raises(TimeoutError):
        await sending

    assert refusal.value.status_code == 429
    assert budget.used == 0


async def test_while_the_process_is_short_of_memory_every_request_is_refused() -> None:
    app = Spare(answering(0), MemoryGuard(1, resident=lambda: 2, give_back=lambda: None), Budget())

    with pytest.raises(Problem):
        await Peer().asks(app)
