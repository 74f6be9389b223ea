"""The JSON part, with a session service that does what a test wants it to."""

from typing import Any, Final

import grpc
import httpx
import pytest
from ai_chat_client.errors import AiChatError
from starlette.exceptions import HTTPException
from stream_gateway.http.app import json_api
from stream_gateway.http.edge import Receive, Scope, Send
from stream_gateway.http.quotas import Quotas
from stream_gateway.settings import GatewaySettings

PROBLEM: Final = "application/problem+json"


class Failing:
    """A session service every call of which fails in the same way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - Any call of the client.
        async def call(*_: object, **__: object) -> None:
            raise self._error

        return call


def at(error: Exception) -> httpx.AsyncClient:
    """A client of the API over a session service that fails."""
    app = json_api(Failing(error), Quotas(GatewaySettings()))  # type: ignore[arg-type]  # It stands for a client.

    async def undecoded(scope: Scope, receive: Receive, send: Send) -> None:
        scope["path"] = scope["raw_path"].decode()
        await app(scope, receive, send)

    transport = httpx.ASGITransport(undecoded, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


def refused(reason: str, **facts: Any) -> AiChatError:  # noqa: ANN401 - Whatever an error takes.
    """What session-svc says."""
    return AiChatError("a sentence", reason=reason, code=grpc.StatusCode.UNKNOWN, **facts)


async def test_a_defect_is_a_problem_and_tells_nothing_of_itself() -> None:
    answer = await at(RuntimeError("a secret")).get("/api/sessions/x")

    assert (answer.status_code, answer.headers["content-type"]) == (500, PROBLEM)
    assert answer.json()["reason"] == "INTERNAL"
    assert "secret" not in answer.text


@pytest.mark.parametrize("reason", ["RATE_LIMITED", "STORE_UNAVAILABLE"])
async def test_what_the_session_service_refuses_for_now_says_until_when(reason: str) -> None:
    answer = await at(refused(reason, retry_after=7)).get("/api/sessions")

    assert (answer.json()["reason"], answer.headers["retry-after"]) == (reason, "7")


async def test_a_history_that_is_not_there_has_an_empty_position_and_nothing_else_has() -> None:
    client = at(refused("SESSION_NOT_FOUND"))

    assert (await client.get("/api/sessions/x/messages")).headers["session-position"] == ""
    assert "session-position" not in (await client.get("/api/sessions/x")).headers
    assert "session-position" not in (await client.get("/api/nothing")).headers


async def test_what_is_wrong_with_a_request_is_said_field_by_field() -> None:
    client = at(RuntimeError())

    body = (await client.post("/api/sessions", json={"name": 1, "nmae": "x"})).json()
    assert {item["field"] for item in body["errors"]} == {"name", "nmae"}
    assert "name" in body["detail"]
    query = (await client.get("/api/sessions", params={"limit": 0})).json()
    assert [item["field"] for item in query["errors"]] == ["limit"]


@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("GET", "/api/nothing", 404, "NOT_FOUND"),
        ("GET", "/docs", 404, "NOT_FOUND"),
        ("GET", "/redoc", 404, "NOT_FOUND"),
        ("GET", "/api/sessions/", 404, "NOT_FOUND"),
        ("PUT", "/api/sessions", 405, "METHOD_NOT_ALLOWED"),
    ],
)
async def test_what_is_not_there_is_a_problem(method: str, path: str, status: int, reason: str) -> None:
    answer = await at(RuntimeError()).request(method, path)

    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    assert answer.json()["reason"] == reason
    assert ("allow" in answer.headers) == (status == 405)
    assert (answer.json()["detail"] == "there is nothing here") == (status == 404)


@pytest.mark.parametrize(
    ("status", "reason"), [(404, "NOT_FOUND"), (408, "TOO_SLOW"), (413, "TOO_LARGE"), (429, "RATE_LIMITED")]
)
async def test_what_is_wrong_with_a_body_as_it_comes_has_a_reason(status: int, reason: str) -> None:
    client = at(HTTPException(status, "a sentence", {"retry-after": "3"}))
    answer = await client.get("/api/sessions")

    assert (answer.status_code, answer.json()["reason"], answer.headers["retry-after"]) == (status, reason, "3")
