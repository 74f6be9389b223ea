"""The JSON routes: lists, history and writes."""

import asyncio
import json
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import pytest
import redis
from ai_chat_client import AsyncClient
from integration.gateway.conftest import Deployment
from support import chat_ai
from support.until import until

PROBLEM = "application/problem+json"


def user(content: str) -> dict[str, str]:
    """A message as a page sends it."""
    return {"role": "user", "content": content}


def reason(answer: httpx.Response) -> tuple[int, str]:
    """The status and the reason of a refusal."""
    assert answer.headers["content-type"] == PROBLEM, answer.text
    body = answer.json()
    assert body["status"] == answer.status_code
    return answer.status_code, body["reason"]


async def test_a_session_is_created_shown_changed_and_deleted(web: httpx.AsyncClient, name: str) -> None:
    created = await web.post("/api/sessions", json={"name": name, "title": "T", "labels": {"a": "b"}, "ttl": 60_000})
    shown = await web.get(created.headers["location"].replace("sessions/", "/api/sessions/"))
    changed = await web.patch(f"/api/sessions/{name}", json={"title": "U", "ttl": None})
    deleted = await web.delete(f"/api/sessions/{name}")

    assert created.status_code == 201
    assert (shown.json()["title"], shown.json()["labels"], shown.json()["ttl"]) == ("T", {"a": "b"}, 60_000)
    assert shown.json()["expiresAt"] > shown.json()["createdAt"]
    assert changed.json()["title"] == "U"
    assert "ttl" not in changed.json()
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert reason(await web.get(f"/api/sessions/{name}")) == (404, "SESSION_NOT_FOUND")


async def test_a_session_without_a_name_is_given_one(web: httpx.AsyncClient) -> None:
    created = await web.post("/api/sessions", json={})

    assert created.json()["name"].startswith("session-")


async def test_create_or_resume_answers_200_and_a_taken_name_409(web: httpx.AsyncClient, name: str) -> None:
    await web.post("/api/sessions", json={"name": name})

    assert (await web.post("/api/sessions", json={"name": name, "allowExisting": True})).status_code == 200
    assert reason(await web.post("/api/sessions", json={"name": name})) == (409, "SESSION_EXISTS")


async def test_sessions_are_listed_page_by_page_along_the_links(web: httpx.AsyncClient, name: str) -> None:
    for number in range(5):
        await web.post("/api/sessions", json={"name": f"{name}-{number}", "labels": {"test": name}})

    seen: list[str] = []
    url = httpx.URL("/api/sessions", params={"limit": 2, "label": f"test={name}"})
    while True:
        page = await web.get(url)
        seen += [session["name"] for session in page.json()]
        if "next" not in page.links:
            break
        url = page.url.join(page.links["next"]["url"])

    assert seen == [f"{name}-{number}" for number in (4, 3, 2, 1, 0)]


async def test_sessions_are_found_by_part_of_their_title(web: httpx.AsyncClient, name: str) -> None:
    await web.post("/api/sessions", json={"name": name, "title": f"About Übermut in {name}"})

    found = await web.get("/api/sessions", params={"q": f"übermut in {name}"})

    assert [session["name"] for session in found.json()] == [name]


async def test_history_is_read_backwards_along_the_links(web: httpx.AsyncClient, name: str) -> None:
    appended = await web.post(
        f"/api/sessions/{name}/messages", json={"messages": [user(str(number)) for number in range(5)]}
    )

    newest = await web.get(f"/api/sessions/{name}/messages", params={"limit": 2})
    older = await web.get(newest.url.join(newest.links["prev"]["url"]))

    assert [message["content"] for message in newest.json()] == ["3", "4"]
    assert [message["content"] for message in older.json()] == ["1", "2"]
    assert newest.headers["session-position"] == appended.json()["position"] == appended.headers["session-position"]


async def test_the_history_of_no_session_has_an_empty_position(web: httpx.AsyncClient, name: str) -> None:
    answer = await web.get(f"/api/sessions/{name}/messages")

    assert reason(answer) == (404, "SESSION_NOT_FOUND")
    assert answer.headers["session-position"] == ""


async def test_attributes_come_back_as_they_were_written_byte_for_byte(web: httpx.AsyncClient, name: str) -> None:
    attributes = '{"big":123456789012345678901234567890,"small":1.50e-3,"again":1,"again":2}'
    body = f'{{"messages":[{{"role":"user","content":"","attributes":{attributes}}}]}}'
    await web.post(
        f"/api/sessions/{name}/messages", content=body, headers={"content-type": "application/json; charset=utf-8"}
    )

    assert attributes in (await web.get(f"/api/sessions/{name}/messages")).text


async def test_the_same_idempotency_key_appends_once(web: httpx.AsyncClient, name: str) -> None:
    url = f"/api/sessions/{name}/messages"

    first = await web.post(url, json={"messages": [user("once")]}, headers={"idempotency-key": '"key-1"'})
    again = await web.post(url, json={"messages": [user("once")]}, headers={"idempotency-key": "key-1"})
    other = await web.post(url, json={"messages": [user("more")]}, headers={"idempotency-key": "key-1"})

    assert first.json()["messages"] == again.json()["messages"]
    assert len((await web.get(url)).json()) == 1
    assert reason(other) == (400, "REQUEST_ID_REUSED")


async def test_if_match_writes_only_at_that_head(web: httpx.AsyncClient, name: str) -> None:
    url = f"/api/sessions/{name}/messages"
    head = (await web.post(url, json={"messages": [user("one")]}, headers={"if-match": '""'})).json()["position"]

    conflict = await web.post(url, json={"messages": [user("two")]}, headers={"if-match": '""'})
    appended = await web.post(url, json={"messages": [user("two")]}, headers={"if-match": f'"{head}"'})

    assert reason(conflict) == (412, "POSITION_CONFLICT")
    assert conflict.headers["session-position"] == conflict.json()["position"] == head
    assert appended.status_code == 201


async def test_if_match_star_does_not_create_a_session(web: httpx.AsyncClient, name: str) -> None:
    answer = await web.post(f"/api/sessions/{name}/messages", json={"messages": [user("x")]}, headers={"if-match": "*"})

    assert reason(answer) == (404, "SESSION_NOT_FOUND")


async def test_clear_and_truncate_answer_with_what_is_left(web: httpx.AsyncClient, name: str) -> None:
    await web.post(f"/api/sessions/{name}/messages", json={"messages": [user("one"), user("two"), user("three")]})

    truncated = await web.post(f"/api/sessions/{name}/truncate", json={"removeLast": 2})
    cleared = await web.post(f"/api/sessions/{name}/clear", headers={"content-type": "application/json"})

    assert [message["content"] for message in truncated.json()["removed"]] == ["two", "three"]
    assert truncated.json()["session"]["messageCount"] == 1
    assert cleared.json()["messageCount"] == 0
    assert cleared.headers["session-position"].endswith(".0")


@pytest.mark.parametrize("wrong", ["a b", "a/b", "{x}", "../x", "ü", "x" * 129, "%41%"])
async def test_no_session_is_created_under_a_name_against_the_rule(web: httpx.AsyncClient, wrong: str) -> None:
    answers = [
        await web.post("/api/sessions", json={"name": wrong}),
        await web.post(f"/api/sessions/{quote(wrong, safe='')}/messages", json={"messages": [user("x")]}),
    ]

    assert [reason(answer) for answer in answers] == [(400, "INVALID_NAME")] * 2


@pytest.mark.parametrize("wrong", ["%FF", "%0A", "x" * 257, "a%00b"])
async def test_a_segment_that_is_no_name_at_all_is_refused(web: httpx.AsyncClient, wrong: str) -> None:
    assert reason(await web.get(f"/api/sessions/{wrong}")) == (400, "INVALID_NAME")


@pytest.mark.parametrize("odd", ["a b", "a/b", "naïve ✓ 漢字", "../up", "100%", "a?b#c", "-dash"])
async def test_sessions_that_chat_ai_named_oddly_are_read_and_written_percent_encoded(
    on_redis: Deployment, raw: redis.Redis, odd: str
) -> None:
    chat_ai.say(raw, odd, "user", "hello")
    base = f"http://{on_redis.address}"
    async with httpx.AsyncClient(base_url=base, headers={"origin": base}) as web:
        path = f"/api/sessions/{quote(odd, safe='')}"
        shown = await web.get(path)
        await web.post(f"{path}/messages", json={"messages": [user("again")]})
        history = await web.get(f"{path}/messages")
        page = await web.get(f"/s/{quote(odd, safe='')}")
        deleted = await web.delete(path)

    assert shown.json()["name"] == odd
    assert [message["content"] for message in history.json()] == ["hello", "again"]
    assert page.status_code == 200
    assert deleted.status_code == 204


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("messages", '{"messages": [}'),
        ("messages", '{"messages": []}'),
        ("messages", '{"messages": {"role": "user"}}'),
        ("messages", '{"messages": [{"role": "robot", "content": "x"}]}'),
        ("messages", '{"messages": [{"role": "user", "content": 7}]}'),
        ("messages", '{"messages": [{"role": "user", "content": "\\ud800"}]}'),
        ("messages", '{"messages": [{"role": "user", "content": "x", "attributes": [1]}]}'),
        ("messages", '{"messages": [{"role": "user", "content": "x", "timestamp": -1}]}'),
        ("messages", json.dumps({"messages": [user("x")] * 1001})),
        ("messages", '{"message": []}'),
        ("messages", "[" * 100_000),
        ("messages", ""),
        ("truncate", "{}"),
        ("truncate", '{"keep": 1, "removeLast": 1}'),
        ("truncate", '{"keep": NaN}'),
        ("truncate", "[" * 100_000),
        ("truncate", '{"keep": ' + "9" * 5000 + "}"),
        ("truncate", '{"keep": 9223372036854775808}'),
        ("clear", '{"keep": 1}'),
        ("clear", '"text"'),
    ],
)
async def test_a_bad_body_is_a_clear_error_and_changes_nothing(
    web: httpx.AsyncClient, name: str, path: str, body: str
) -> None:
    await web.post(f"/api/sessions/{name}/messages", json={"messages": [user("kept")]})

    answer = await web.post(f"/api/sessions/{name}/{path}", content=body, headers={"content-type": "application/json"})

    assert reason(answer) == (400, "INVALID_FIELD")
    assert answer.json()["detail"]
    assert [message["content"] for message in (await web.get(f"/api/sessions/{name}/messages")).json()] == ["kept"]


@pytest.mark.parametrize(
    "body",
    [
        {"nmae": "x"},
        {"title": 7},
        {"title": "x" * 201},
        {"title": "\ud800"},
        {"ttl": -1},
        {"ttl": 10},
        {"ttl": 1e30},
        {"labels": {"": "x"}},
        {"labels": {"a": "x" * 257}},
        {"labels": {f"l{number}": "x" for number in range(65)}},
        [],
        None,
    ],
)
async def test_a_session_that_cannot_be_is_not_created(web: httpx.AsyncClient, body: object) -> None:
    answer = await web.post("/api/sessions", content=json.dumps(body), headers={"content-type": "application/json"})

    assert reason(answer) == (400, "INVALID_FIELD")


@pytest.mark.parametrize("parameters", [{"limit": 0}, {"limit": "x"}, {"limit": 1001}, {"label": "x"}])
async def test_a_bad_parameter_is_named(web: httpx.AsyncClient, parameters: dict[str, str]) -> None:
    answer = await web.get("/api/sessions", params=parameters)

    assert reason(answer) == (400, "INVALID_FIELD")
    assert next(iter(parameters)) in answer.json()["detail"]


async def test_a_cursor_of_another_request_is_refused(web: httpx.AsyncClient, name: str) -> None:
    await web.post(f"/api/sessions/{name}/messages", json={"messages": [user("one"), user("two")]})
    page = await web.get(f"/api/sessions/{name}/messages", params={"limit": 1})
    before = httpx.URL(page.links["prev"]["url"]).params["before"]

    assert reason(await web.get("/api/sessions", params={"cursor": before})) == (400, "INVALID_PAGE_TOKEN")
    await web.post(f"/api/sessions/{name}/clear", json={})
    stale = await web.get(f"/api/sessions/{name}/messages", params={"limit": 1, "before": before})
    assert reason(stale) == (412, "POSITION_CONFLICT")


async def test_too_much_is_refused_before_it_is_read(web: httpx.AsyncClient, name: str) -> None:
    url = f"/api/sessions/{name}/messages"

    content = await web.post(url, json={"messages": [user("x" * (1024 * 1024 + 1))]})
    body = await web.post(url, json={"messages": [user("x" * 1024 * 1024)] * 5})

    assert [reason(answer) for answer in (content, body)] == [(413, "TOO_LARGE")] * 2


async def test_a_body_without_an_end_is_cut_off(web: httpx.AsyncClient, name: str) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 65536
            yield b" " * 65536

    try:
        answer = await web.post(
            f"/api/sessions/{name}/messages", content=endless(), headers={"content-type": "application/json"}
        )
        assert reason(answer) == (413, "TOO_LARGE")
    except httpx.TransportError:
        pass  # The connection was closed while the body was still being sent.
    assert sent < 64 * 1024 * 1024


async def test_a_reply_that_is_not_there_cannot_be_stopped(web: httpx.AsyncClient, name: str) -> None:
    await web.post("/api/sessions", json={"name": name})

    status, why = reason(await web.post(f"/api/sessions/{name}/stop", json={}))

    assert (status, why) == (404, "REPLY_NOT_FOUND")


async def test_a_request_id_is_passed_on_to_the_store_and_back(
    deployment: Deployment, web: httpx.AsyncClient, name: str
) -> None:
    answer = await web.get(f"/api/sessions/{name}", headers={"x-request-id": f"trace-{name}"})
    made_up = await web.get(f"/api/sessions/{name}", headers={"x-request-id": "bad id"})

    assert answer.headers["x-request-id"] == f"trace-{name}"
    assert len(made_up.headers["x-request-id"]) == 32
    told = f'"request_id": "trace-{name}"'
    logs = [deployment.gateway, deployment.session_svc]
    await asyncio.to_thread(until, lambda: all(told in service.log for service in logs), what=f"{told} in both logs")


async def test_no_content_of_a_message_is_in_the_log(
    deployment: Deployment, web: httpx.AsyncClient, chat: AsyncClient, name: str
) -> None:
    await web.post(f"/api/sessions/{name}/messages", json={"messages": [user("a-secret-word")]})
    await web.get(f"/api/sessions/{name}/messages")
    del chat

    assert "a-secret-word" not in deployment.gateway.log
