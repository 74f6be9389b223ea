"""The page and its files, as a browser is served them."""

import mimetypes
from pathlib import Path
from typing import Final

import httpx
import pytest
from stream_gateway.http.credentials import Cookie
from stream_gateway.http.edge import VISITOR, Receive, Scope, Send
from stream_gateway.http.guard import Guard
from stream_gateway.http.page import WebPage
from stream_gateway.http.problems import Problem
from stream_gateway.http.visitor import Visitor
from stream_gateway.settings import GatewaySettings

FILES: Final = {
    "index.html": b'<base href="__BASE_HREF__"><i data-write="__WRITE_ENABLED__" data-stream="__STREAM_ENABLED__" '
    b'data-sign-in="__SIGN_IN_ENABLED__" data-grpc="__PUBLIC_GRPC_ADDRESS__"></i>',
    "app.js": b"1",
    "markup.mjs": b"2",
    "looks.css": b"3",
    "icon.svg": b"<svg/>",
    "words.woff2": b"4",
    "words.json": b"{}",
    "LICENSE": b"5",
    ".hidden": b"6",
    "__init__.py": b"7",
    "deep/er.js": b"8",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, body in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(body)
    return tmp_path


def at(folder: Path, host: str = "localhost", **settings: object) -> httpx.AsyncClient:
    """A browser that reaches the page by that name."""
    made = GatewaySettings.model_validate(settings)
    page = WebPage(made, Guard(made), Cookie(made), folder)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scope["path"] = scope["raw_path"].decode().removeprefix(made.path_prefix)
        scope[VISITOR] = Visitor("http", host, host, "127.0.0.1")
        try:
            await page(scope, receive, send)
        except Problem as problem:
            await problem.response()(scope, receive, send)

    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{host}")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("app.js", "text/javascript; charset=utf-8"),
        ("markup.mjs", "text/javascript; charset=utf-8"),
        ("looks.css", "text/css; charset=utf-8"),
        ("icon.svg", "image/svg+xml"),
        ("words.woff2", "font/woff2"),
        ("words.json", "application/json"),
        ("LICENSE", "text/plain; charset=utf-8"),
        ("deep/er.js", "text/javascript; charset=utf-8"),
    ],
)
async def test_each_file_is_of_the_kind_that_its_name_says_wherever_this_runs(
    monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, kind: str
) -> None:
    monkeypatch.setattr(mimetypes, "guess_type", lambda _: (None, None))  # As where the system knows of none.
    answer = await at(folder).get(f"/static/{name}")

    assert (answer.status_code, answer.headers["content-type"], answer.content) == (200, kind, FILES[name])


@pytest.mark.parametrize(
    "path",
    ["/index.html", "/static/index.html", "/static/.hidden", "/static/__init__.py", "/static/", "/static/deep",
     "/static/deep%2Fer.js", "/static/../app.js", "/s/a/b", "/app.js"],
)  # fmt: skip
async def test_no_other_path_leads_to_a_file(folder: Path, path: str) -> None:
    assert (await at(folder).get(path)).status_code == 404


@pytest.mark.parametrize("path", ["/s/", "/s/%FF", "/s/a%00b", "/s/a%7Fb", "/s/" + "x" * 257])
async def test_there_is_no_page_of_what_is_no_name(folder: Path, path: str) -> None:
    assert (await at(folder).get(path)).json()["reason"] == "INVALID_NAME"


@pytest.mark.parametrize("path", ["/", "/s/x", "/static/app.js"])
async def test_who_has_this_version_is_not_sent_it_again(folder: Path, path: str) -> None:
    browser = at(folder)
    first = await browser.get(path)
    tag = first.headers["etag"]

    for known in (tag, f"W/{tag}", f'"other", {tag}', f'"other",W/{tag}', "*"):
        again = await browser.get(path, headers={"if-none-match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert again.headers["cache-control"] == "no-cache"
    for other in ('"other"', "", tag.strip('"')):
        assert (await browser.get(path, headers={"if-none-match": other})).status_code == 200
    assert first.headers["cache-control"] == "no-cache"


async def test_a_head_says_what_a_get_would_and_nothing_else_is_possible(folder: Path) -> None:
    browser = at(folder)
    head, get, post = await browser.head("/"), await browser.get("/"), await browser.post("/")

    assert head.content == b""
    assert head.headers == get.headers
    assert head.headers["content-length"] == str(len(get.content))
    assert (post.status_code, post.headers["allow"]) == (405, "GET, HEAD")


async def test_the_policy_allows_the_page_its_own_files_and_nothing_else(folder: Path) -> None:
    for path in ("/", "/s/x", "/static/icon.svg"):
        headers = (await at(folder).get(path)).headers
        directives = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert directives == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self' data:",
            "font-src": "'self'",
            "connect-src": "'self'",
            "manifest-src": "'self'",
            "base-uri": "'self'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
            "require-trusted-types-for": "'script'",
            "trusted-types": "dompurify",
        }
        assert headers["cross-origin-opener-policy"] == "same-origin"


async def test_the_page_says_what_is_possible_here(folder: Path) -> None:
    plain = (await at(folder).get("/")).text
    other = at(folder, "chat.example.com", web_stream_enabled=False, public_grpc_address="&<'\">:1", gateway_token="g")
    team = (await other.get("/s/a", headers={"cookie": "ai-chat=t"})).text

    assert plain == (
        '<base href="./"><i data-write="true" data-stream="true" data-sign-in="false" data-grpc="localhost:50051"></i>'
    )
    assert team == (
        '<base href="../"><i data-write="true" data-stream="false" data-sign-in="true" '
        'data-grpc="&amp;&lt;&#x27;&quot;&gt;:1"></i>'
    )


async def test_it_says_to_each_whether_they_may_write(folder: Path) -> None:
    by_name = at(folder, "chat.example.com", gateway_hosts="chat.example.com, localhost")

    assert 'data-write="false"' in (await by_name.get("/")).text


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"cookie": "ai-chat="}, 303),
        ({"cookie": "ai-chat=no token"}, 303),
        ({"cookie": "ai-chat=token"}, 200),
        ({"authorization": "Bearer token"}, 200),
        ({"sec-fetch-site": "cross-site"}, 200),
        ({"sec-fetch-site": "same-site"}, 200),
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"sec-fetch-site": "none"}, 303),
    ],
)
async def test_who_brings_no_token_is_sent_to_sign_in_unless_the_browser_kept_it_back(
    folder: Path, headers: dict[str, str], status: int
) -> None:
    browser = at(folder, gateway_token="g")

    answers = [await browser.get(path, headers=headers) for path in ("/", "/s/a%2Fb")]
    assert [answer.status_code for answer in answers] == [status, status]
    if status == 303:
        assert [answer.headers["location"] for answer in answers] == ["sign-in", "../sign-in?next=s%2Fa%252Fb"]
        assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
    assert (await browser.get("/static/app.js", headers=headers)).status_code == 200


async def test_the_public_url_without_its_last_slash_leads_to_the_page(folder: Path) -> None:
    answer = await at(folder, public_url="https://chat.example.com/our/team/").get("/our/team")

    assert answer.status_code == 308
    assert answer.next_request is not None
    assert answer.next_request.url.path == "/our/team/"
