"""What the JSON routes ask the session service for, and how they pass on what it says."""

import datetime as dt
from typing import Any, Final

import httpx
import pytest
from aichat.session.v1 import session_pb2 as model
from aichat.session.v1 import session_service_pb2 as api
from stream_gateway.http.app import json_api
from stream_gateway.http.edge import Receive, Scope, Send
from stream_gateway.http.quotas import Quotas
from stream_gateway.settings import GatewaySettings

SESSION: Final = model.Session(name="a/b", position="e.2")
MESSAGES: Final = [
    model.Message(id="m2", sequence=2, role=model.ROLE_ASSISTANT, content="two"),
    model.Message(id="m1", sequence=1, role=model.ROLE_USER, content="one"),
]
USER: Final = {"messages": [{"role": "user", "content": "x"}]}


class Service:
    """A session service that answers all in its way. `asked`: with what it was called last."""

    def __init__(self) -> None:
        self.asked: tuple[object, ...] = ()
        self.given: dict[str, Any] = {}
        self.answers: dict[str, object] = {
            "list_sessions": api.ListSessionsResponse(sessions=[SESSION], next_page_token="next"),
            "list_messages": api.ListMessagesResponse(messages=MESSAGES, next_page_token="older", position="e.2"),
            "append_messages": api.AppendMessagesResponse(messages=MESSAGES[:1], position="e.3", session=SESSION),
            "truncate_session": api.TruncateSessionResponse(removed=MESSAGES[:1], session=SESSION),
            "stop_reply": api.StopReplyResponse(message=MESSAGES[0]),
            "delete_session": None,
        }

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - Any call of the client.
        async def call(*args: object, **given: object) -> object:
            self.asked, self.given = (name, *args), given
            return self.answers.get(name, SESSION)

        return call


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def web(service: Service) -> httpx.AsyncClient:
    app = json_api(service, Quotas(GatewaySettings()))  # type: ignore[arg-type]  # It stands for a client.

    async def undecoded(scope: Scope, receive: Receive, send: Send) -> None:
        scope["path"] = scope["raw_path"].decode()
        await app(scope, receive, send)

    return httpx.AsyncClient(transport=httpx.ASGITransport(undecoded), base_url="http://localhost/api/")


async def test_the_link_to_the_next_sessions_asks_for_the_same(service: Service, web: httpx.AsyncClient) -> None:
    wanted = httpx.QueryParams([("limit", "7"), ("q", "ü b"), ("owner", "ada"), ("label", "a=b"), ("label", "c=d=e")])
    answer = await web.get("sessions", params=wanted)
    asked = service.given

    assert asked == {"page_size": 7, "page_token": "", "query": "ü b", "labels": {"a": "b", "c": "d=e"}, "owner": "ada"}
    await web.get(answer.url.join(answer.links["next"]["url"]))
    assert service.given == {**asked, "page_token": "next"}
    assert answer.headers["cache-control"] == "no-store"
    assert (await web.get("sessions", params={"label": "=b"})).json()["reason"] == "INVALID_FIELD"
    service.answers["list_sessions"] = api.ListSessionsResponse()
    assert "link" not in (await web.get("sessions")).headers


async def test_the_link_to_what_is_older_asks_for_as_much(service: Service, web: httpx.AsyncClient) -> None:
    answer = await web.get("sessions/a%2Fb/messages", params={"limit": 2})
    assert service.asked == ("list_messages", "a/b")
    assert service.given == {"page_size": 2, "page_token": "", "newest_first": True}
    await web.get(answer.url.join(answer.links["prev"]["url"]))

    assert service.given == {"page_size": 2, "page_token": "older", "newest_first": True}
    assert [message["content"] for message in answer.json()] == ["one", "two"]
    assert answer.headers["session-position"] == "e.2"


@pytest.mark.parametrize(("existing", "status"), [(False, 201), (True, 200)])
async def test_a_session_is_created_as_it_was_wanted(
    service: Service, web: httpx.AsyncClient, existing: bool, status: int
) -> None:
    body = {"name": "a/b", "title": "T", "ttl": 1500, "labels": {"c": "d"}, "allowExisting": existing}
    answer = await web.post("sessions", json=body)

    assert service.asked == ("create_session", "a/b")
    assert service.given == {
        "title": "T",
        "ttl": dt.timedelta(milliseconds=1500),
        "labels": {"c": "d"},
        "allow_existing": existing,
    }
    assert (answer.status_code, answer.headers["location"]) == (status, "sessions/a%2Fb")
    assert answer.headers["session-position"] == "e.2"


async def test_only_what_is_named_is_changed(service: Service, web: httpx.AsyncClient) -> None:
    answer = await web.patch("sessions/x", json={"title": "", "ttl": None})

    assert service.given == {"title": "", "ttl": None, "labels": None, "update_mask": ["title", "ttl"]}
    assert answer.headers["session-position"] == "e.2"


@pytest.mark.parametrize(
    ("given", "position", "must_exist"),
    [(None, None, False), ("e.2", "e.2", False), ('"e.2"', "e.2", False), ('""', "", False), ("*", None, True)],
)
async def test_if_match_says_at_which_position(
    service: Service, web: httpx.AsyncClient, given: str | None, position: str | None, must_exist: bool
) -> None:
    headers = {} if given is None else {"if-match": given}
    answers = []
    for method, path, body in (
        ("POST", "messages", USER),
        ("POST", "clear", None),
        ("POST", "truncate", {"keep": 1}),
        ("DELETE", "", None),
    ):
        answers.append(await web.request(method, f"sessions/x/{path}".rstrip("/"), json=body, headers=headers))
        assert service.given["expected_position"] == position
        assert service.given.get("require_existing") is (must_exist if path == "messages" else None)

    assert [answer.status_code for answer in answers] == [201, 200, 200, 204]
    assert [answer.headers.get("session-position") for answer in answers] == ["e.3", "e.2", "e.2", None]


async def test_a_key_of_idempotency_is_the_request_id(service: Service, web: httpx.AsyncClient) -> None:
    for key, request_id in ((None, None), ("k-1", "k-1"), ('"k-1"', "k-1"), ('""', None)):
        answer = await web.post(
            "sessions/x/messages", json=USER, headers={} if key is None else {"idempotency-key": key}
        )
        assert service.given["request_id"] == request_id
    assert answer.json()["messages"] == [{"id": "m2", "sequence": 2, "timestamp": 0}]
    assert answer.json()["position"] == "e.3"


async def test_the_reply_that_is_meant_is_stopped(service: Service, web: httpx.AsyncClient) -> None:
    kept = await web.post("sessions/x/stop", json={"replyId": "r1"})
    assert service.given == {"reply_id": "r1"}
    service.answers["stop_reply"] = api.StopReplyResponse()
    nothing = await web.post("sessions/x/stop")

    assert service.given == {"reply_id": ""}
    assert kept.json()["message"]["content"] == "two"
    assert nothing.json() == {}


@pytest.mark.parametrize(
    ("body", "asked"),
    [
        ({"keep": 0}, (0, None)),
        ({"keep": None, "removeLast": 1000}, (None, 1000)),
        ({"removeLast": 1, "keep": None}, (None, 1)),
        ({"keep": -1}, None),
        ({"keep": 2**53}, None),
        ({"keep": "1"}, None),
        ({"keep": 1.0}, None),
        ({"keep": True}, None),
        ({"removeLast": 0}, None),
        ({"removeLast": 1001}, None),
        ({"keep": 1, "removeLast": 1}, None),
        ({"keep": None}, None),
        ({}, None),
    ],
)
async def test_truncating_takes_one_of_both(
    service: Service, web: httpx.AsyncClient, body: object, asked: tuple[int | None, int | None] | None
) -> None:
    answer = await web.post("sessions/x/truncate", json=body)

    assert answer.status_code == (400 if asked is None else 200)
    assert not service.asked if asked is None else (service.given["keep"], service.given["remove_last"]) == asked


@pytest.mark.parametrize(
    "body",
    ['{"title": 1}', '{"titel": ""}', '{"title": "\\ud800"}', '{"labels": {"\\ud800": ""}}', '{"ttl": -1}', "[]",
     '{"ttl": 1.5}', '{"ttl": "1"}', '{"ttl": 316224000001}'],
)  # fmt: skip
async def test_what_is_not_understood_asks_for_nothing(service: Service, web: httpx.AsyncClient, body: str) -> None:
    for method, path in (("POST", "sessions"), ("PATCH", "sessions/x")):
        answer = await web.request(method, path, content=body, headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["reason"]) == (400, "INVALID_FIELD")
    both = await web.post("sessions/x/messages", json={**USER, "more": 1})
    assert both.json()["reason"] == "INVALID_FIELD"
    assert (await web.get("sessions", params={"limit": 1001})).status_code == 400
    assert service.asked == ()
