"""A deployment with tokens: who is let in, what each may see, and what happens when a token is no longer good."""

import asyncio
import datetime as dt
import itertools
import json
import re
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
from ai_chat_client import ROLE_USER, AsyncClient, Message
from integration.gateway.conftest import Secured
from session_svc.identity import token_file
from support.until import until
from support.web_viewer import WebViewer

_numbers = itertools.count(1)


@pytest.fixture
def team() -> str:
    """The name of a session that ada may use, and that is not there yet."""
    return f"team-{next(_numbers)}"


@pytest.fixture
def secret() -> str:
    """The name of a session that ada may not use, and that is not there yet."""
    return f"secret-{next(_numbers)}"


@pytest.fixture
async def root(secured: Secured) -> AsyncIterator[AsyncClient]:
    """Somebody who may everything, past the gateway."""
    async with AsyncClient(secured.session_svc.address, token=secured.root) as client:
        yield client


@pytest.fixture
async def ada(secured: Secured) -> AsyncIterator[httpx.AsyncClient]:
    """Ada's browser."""
    async with secured.browser(secured.ada) as client:
        yield client


@pytest.fixture
async def stranger(secured: Secured) -> AsyncIterator[httpx.AsyncClient]:
    """The browser of somebody who has not signed in."""
    async with secured.browser(None) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    """The header of a program that has a token."""
    return {"authorization": f"Bearer {token}"}


async def added(secured: Secured, name: str) -> str:
    """A new token, once session-svc knows it."""
    token = secured.tokens.add(name)

    def is_known() -> bool:
        return httpx.get(f"{secured.base}/api/sessions", headers=bearer(token)).status_code != 401

    await asyncio.to_thread(until, is_known, what="the new token")
    return token


def change(secured: Secured, name: str, **changes: object) -> None:
    """Changes the tokens of `name` in the file."""
    with token_file.editing(secured.tokens.path) as entries:
        entries[:] = [entry.model_copy(update=changes) if entry.name == name else entry for entry in entries]


# Signing in


async def test_without_a_token_a_page_leads_to_signing_in_and_from_there_back(
    secured: Secured, stranger: httpx.AsyncClient
) -> None:
    page = await stranger.get("/s/team-a%2Fb")
    form = await stranger.get(str(page.next_request.url if page.next_request else ""))
    wanted = re.search(r'name="next" value="([^"]*)"', form.text)
    assert page.status_code == 303
    assert wanted
    answer = await stranger.post("/sign-in", data={"token": f" {secured.ada}\n", "next": wanted[1]})

    assert answer.status_code == 303
    assert answer.next_request is not None
    assert answer.next_request.url.raw_path == b"/s/team-a%2Fb"
    assert (await stranger.get("/s/team-a%2Fb")).status_code == 200
    assert (await stranger.get("/api/sessions")).status_code == 200
    kept = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(kept.split("; "))

    await stranger.post("/sign-out")
    assert (await stranger.get("/")).headers["location"] == "sign-in"


async def test_another_sites_link_leads_to_the_page_though_the_browser_keeps_the_cookie_back(
    stranger: httpx.AsyncClient,
) -> None:
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}

    assert (await stranger.get("/s/team-x", headers=headers)).status_code == 200
    assert (await stranger.get("/api/sessions/team-x", headers={})).status_code == 401


@pytest.mark.parametrize("token", ["", "wrong", "aichat_" + "A" * 43, "Zoë", "a b", "x" * 5000, "a\r\nset-cookie: b=c"])
async def test_a_token_that_is_none_is_not_kept_and_not_repeated(stranger: httpx.AsyncClient, token: str) -> None:
    answer = await stranger.post("/sign-in", data={"token": token, "next": "s/x"})

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "set-cookie" not in answer.headers
    assert ("too long" if len(token) > 3800 else "not known here") in answer.text
    assert 'value="s/x"' in answer.text
    assert len(token) < 6 or token not in answer.text


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example", "//evil.example", "/\\evil.example", "s/../../x", "s/x?y", "s/x\r\nx: y", "javascript:x",
     "s/é", "s/x#y", "../x", "s//evil.example", "s/" + "x" * 2000, '"><script>'],
)  # fmt: skip
async def test_signing_in_leads_nowhere_else(secured: Secured, stranger: httpx.AsyncClient, wanted: str) -> None:
    form = await stranger.get("/sign-in", params={"next": wanted})
    answer = await stranger.post("/sign-in", data={"token": secured.ada, "next": wanted})

    assert 'name="next" value=""' in form.text
    assert (answer.status_code, answer.headers["location"]) == (303, "./")


@pytest.mark.parametrize("origin", [None, "null", "http://evil.example", "http://localhost:1"])
@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
async def test_nobody_is_signed_in_or_out_by_another_site(secured: Secured, path: str, origin: str | None) -> None:
    headers = {} if origin is None else {"origin": origin}
    async with httpx.AsyncClient(base_url=secured.base, headers=headers) as client:
        answer = await client.post(path, data={"token": secured.ada})

    assert (answer.status_code, answer.json()["reason"]) == (403, "ORIGIN_NOT_ALLOWED")
    assert "set-cookie" not in answer.headers


async def test_a_form_that_is_none_is_refused(stranger: httpx.AsyncClient) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    for content, headers, status in (
        (b"{}", {"content-type": "application/json"}, 415),
        (b"token=" + b"x" * 20_000, form, 413),
        (b"token=%ff%fe", form, 400),
        (b"&".join(b"a=b" for _ in range(99)), form, 400),
    ):
        assert (await stranger.post("/sign-in", content=content, headers=headers)).status_code == status


async def test_the_sign_in_page_runs_no_script_and_is_framed_by_nobody(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.get("/sign-in")

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "<script" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "same-origin"


# Who asks


async def test_a_program_writes_without_an_origin_and_a_cookie_does_not(secured: Secured, team: str) -> None:
    async with httpx.AsyncClient(base_url=secured.base) as program:
        written = await program.post("/api/sessions", json={"name": team}, headers=bearer(secured.ada))
        program.cookies.set("ai-chat", secured.ada)
        by_cookie = await program.post("/api/sessions", json={"name": team})

    assert written.status_code == 201
    assert written.json()["owner"] == "ada"
    assert (by_cookie.status_code, by_cookie.json()["reason"]) == (403, "ORIGIN_NOT_ALLOWED")


@pytest.mark.parametrize("headers", [{"origin": "http://evil.example"}, {"sec-fetch-site": "same-site"}])
async def test_another_sites_page_opens_no_stream_in_its_visitors_name(
    secured: Secured, ada: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    for path in ("/api/stream?list=1", "/api/sessions"):
        answer = await ada.get(path, headers=headers)
        assert (answer.status_code, answer.json()["reason"]) == (403, "ORIGIN_NOT_ALLOWED")
    assert (await ada.get("/api/sessions", headers={**headers, **bearer(secured.ada)})).status_code == 200


@pytest.mark.parametrize("value", ["Bearer", "Bearer a b", "bearer é", "Bearer " + "x" * 9000])
async def test_what_cannot_be_a_token_is_refused_as_one(stranger: httpx.AsyncClient, value: str) -> None:
    answer = await stranger.get("/api/sessions", headers=[(b"authorization", value.encode("latin-1"))])

    assert (answer.status_code, answer.json()["reason"]) == (401, "TOKEN_INVALID")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_another_scheme_of_authorization_is_a_proxys_matter(ada: httpx.AsyncClient) -> None:
    assert (await ada.get("/api/sessions", headers={"authorization": "Basic eDp5"})).status_code == 200


def test_a_token_serves_no_other_request_of_its_connection(secured: Secured) -> None:
    with_token = f"GET /api/sessions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {secured.root}\r\n\r\n"
    without = "GET /api/sessions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    host, _, port = secured.gateway.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall((with_token + without).encode())
        answers = b"".join(iter(lambda: connection.recv(65536), b""))

    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"401"]


async def test_no_token_is_in_the_log(secured: Secured, stranger: httpx.AsyncClient) -> None:
    await stranger.post("/sign-in", data={"token": secured.root})
    await stranger.get("/api/sessions", headers=bearer(secured.root))
    await stranger.get("/api/stream?session=a%00", headers=bearer(secured.root))

    until(lambda: "/api/stream" in secured.gateway.log, what="the log")
    for log in (secured.gateway.log, secured.session_svc.log):
        assert secured.root not in log
        assert secured.ada not in log


# What each may see


async def test_a_viewer_sees_nothing_of_sessions_outside_its_patterns(
    root: AsyncClient, ada: httpx.AsyncClient, team: str, secret: str
) -> None:
    for name in (team, secret):
        await root.append_messages(name, [Message(role=ROLE_USER, content=f"said in {name}")])

    assert secret not in (await ada.get("/api/sessions", params={"limit": 1000})).text
    assert (await ada.get("/api/sessions", params={"q": secret})).json() == []
    for path in (f"/api/sessions/{secret}", f"/api/sessions/{secret}/messages", f"/api/stream?session={secret}&after="):
        answer = await ada.get(path)
        assert (answer.status_code, answer.json()["reason"]) == (403, "SESSION_FORBIDDEN"), path
        assert "said in" not in answer.text
    assert (await ada.get(f"/api/sessions/{team}/messages")).json()[0]["content"] == f"said in {team}"


async def test_the_list_tells_a_viewer_only_of_what_it_may_see(
    secured: Secured, root: AsyncClient, team: str, secret: str
) -> None:
    async with (
        WebViewer(secured.gateway.address, list="1", token=secured.ada) as hers,
        WebViewer(secured.gateway.address, list="1", token=secured.root) as all_of_it,
    ):
        await root.create_session(secret)
        await root.delete_session(secret)
        await root.create_session(team)
        await hers.until(lambda: team in json.dumps(hers.events), "the session that she may see")
        await all_of_it.until(lambda: team in json.dumps(all_of_it.events), "both")

    assert secret not in json.dumps(hers.events)
    assert secret in json.dumps(all_of_it.events)


async def test_a_session_that_does_not_exist_is_followed_by_whoever_may_see_its_name(
    secured: Secured, root: AsyncClient, team: str, secret: str
) -> None:
    async with (
        WebViewer(secured.gateway.address, team, token=secured.ada) as allowed,
        WebViewer(secured.gateway.address, secret, token=secured.ada) as forbidden,
    ):
        assert forbidden.response is not None
        assert forbidden.response.status_code == 403
        await root.append_messages(team, [Message(role=ROLE_USER, content="the first")])
        await allowed.until_contents("the first")


# When a token is no longer good


@pytest.mark.parametrize("end", ["revoked", "expired"])
async def test_the_open_streams_of_a_token_end_with_it_and_nobody_elses(
    secured: Secured, root: AsyncClient, team: str, end: str
) -> None:
    token = await added(secured, f"bob-{team}")
    async with (
        WebViewer(secured.gateway.address, team, token=token) as following,
        WebViewer(secured.gateway.address, list="1", token=token) as listing,
        WebViewer(secured.gateway.address, team, list="1", token=secured.ada) as hers,
    ):
        if end == "revoked":
            secured.tokens.revoke(f"bob-{team}")
        else:
            change(secured, f"bob-{team}", expires=dt.datetime.now(dt.UTC))
        for viewer in (following, listing):
            await viewer.until_ended()
            assert viewer.ended
            assert viewer.states == ["signed-out"]
        await root.append_messages(team, [Message(role=ROLE_USER, content="after it")])
        await hers.until_contents("after it")
        assert not hers.ended
        assert following.contents == []
    async with secured.browser(token) as browser:
        for path in ("/api/sessions", f"/api/stream?session={team}"):
            answer = await browser.get(path)
            assert (answer.status_code, answer.json()["reason"]) == (401, "TOKEN_INVALID")


async def test_a_token_that_may_see_less_from_now_on_loses_the_streams_of_the_rest(
    secured: Secured, team: str, secret: str
) -> None:
    token = await added(secured, f"eve-{team}")
    async with (
        WebViewer(secured.gateway.address, team, list="1", token=token) as kept,
        WebViewer(secured.gateway.address, secret, token=token) as lost,
    ):
        change(secured, f"eve-{team}", sessions=("team-*",))
        await lost.until_ended()
        await kept.until(lambda: "live" in kept.states, "that the list is to be read again")
        assert lost.states == []
        assert not kept.ended
    secured.tokens.revoke(f"eve-{team}")


async def test_streams_outlive_a_session_service_that_is_away_for_a_moment(secured: Secured, team: str) -> None:
    async with (
        AsyncClient(secured.session_svc.address, token=secured.ada) as chat,
        WebViewer(secured.gateway.address, team, list="1", token=secured.ada) as viewer,
    ):
        secured.session_svc.kill()
        await secured.session_svc.start_again()
        await chat.append_messages(team, [Message(role=ROLE_USER, content="back")])
        await viewer.until_contents("back")
        assert not viewer.ended
        other = await added(secured, f"late-{team}")
        async with WebViewer(secured.gateway.address, team, token=other) as late:
            secured.tokens.revoke(f"late-{team}")
            await late.until_ended()
            assert late.states[-1] == "signed-out"
