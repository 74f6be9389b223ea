"""What probes are told."""

import httpx
import pytest
from stream_gateway.http.edge import Receive, Scope, Send
from stream_gateway.http.health import Health
from stream_gateway.http.problems import Problem
from stream_gateway.reach import Reach


async def probe(path: str, *, up: bool = True, draining: bool = False, method: str = "GET") -> httpx.Response:
    """The answer of a gateway with one source."""
    reach = Reach(["session-svc"])
    reach.report("session-svc", up=up)
    health = Health(reach, lambda: draining)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await health(scope, receive, send)
        except Problem as problem:
            await problem.response()(scope, receive, send)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        return await client.request(method, path)


@pytest.mark.parametrize(
    ("up", "draining", "status", "said"),
    [(True, False, 200, "ready"), (False, False, 503, "not ready"), (True, True, 503, "draining"),
     (False, True, 503, "draining")],
)  # fmt: skip
async def test_it_is_ready_while_its_sources_are_in_reach_and_it_is_not_stopping(
    up: bool, draining: bool, status: int, said: str
) -> None:
    answer = await probe("/readyz", up=up, draining=draining)

    assert (answer.status_code, answer.json()["status"]) == (status, said)
    assert answer.json()["sources"] == {"session-svc": "up" if up else "down"}
    assert answer.headers["cache-control"] == "no-store"
    assert (await probe("/healthz", up=up, draining=draining)).json() == {"status": "live"}


async def test_nothing_but_a_look_is_possible() -> None:
    assert (await probe("/healthz", method="HEAD")).status_code == 200
    refused = await probe("/readyz", method="POST")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
