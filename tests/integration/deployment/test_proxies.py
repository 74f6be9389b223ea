"""The proxies whose files are in deploy/proxy, with those files, in front of real services."""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest
from ai_chat_client import ROLE_USER, AiChatError, AsyncClient, Message
from support.event_stream import EventStream
from support.processes import Service, gateway, session_svc
from support.proxies import Proxy
from support.until import until

CLIENT = "127.0.0.2"
"""Where the tests' browser comes from, so that it is not the proxy's own address."""


@dataclass(frozen=True)
class Site:
    """A proxy with services behind it. `page` is the page's address, `name` of the file that the proxy runs with."""

    proxy: Proxy
    page: str
    svc: Service
    web: Service

    @property
    def tls(self) -> ssl.SSLContext:
        return self.proxy.authority.context

    def browser(self) -> httpx.Client:
        """A client at CLIENT."""
        return httpx.Client(transport=httpx.HTTPTransport(verify=self.tls, local_address=CLIENT), timeout=60)


def _nginx(proxy: Proxy, svc: Service, web: Service) -> dict[str, str]:
    return {
        "443 ssl": f"127.0.0.1:{proxy.port} ssl",
        "chat.example.com;": "localhost;",
        "/etc/ssl/chat.example.com/fullchain.pem": str(proxy.authority.cert),
        "/etc/ssl/chat.example.com/privkey.pem": str(proxy.authority.key),
        "127.0.0.1:3000": web.address,
        "127.0.0.1:50051": svc.address,
    }


def _caddy(proxy: Proxy, svc: Service, web: Service) -> dict[str, str]:
    return {"chat.example.com {": f"{proxy.url} {{", "127.0.0.1:3000": web.address, "127.0.0.1:50051": svc.address}


def _nginx_path(proxy: Proxy, svc: Service, web: Service) -> dict[str, str]:
    del proxy, svc
    return {"127.0.0.1:3000": web.address}


def _caddy_path(proxy: Proxy, svc: Service, web: Service) -> dict[str, str]:
    del svc
    return {"www.example.com {": f"{proxy.url} {{", "127.0.0.1:3000": web.address}


SITES = {
    "nginx.conf": ("nginx", "/", _nginx),
    "Caddyfile": ("caddy", "/", _caddy),
    "nginx-path.conf": ("nginx", "/chat/", _nginx_path),
    "Caddyfile-path": ("caddy", "/chat/", _caddy_path),
}


@pytest.fixture(scope="module", params=SITES)
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    file: str = request.param
    name, path, replaced = SITES[file]
    proxy = Proxy(name)
    with ExitStack() as stack:
        svc = stack.enter_context(session_svc())
        page = f"{proxy.url}{path}"
        web = stack.enter_context(gateway(svc.address, PUBLIC_URL=page, TRUSTED_PROXIES="127.0.0.1,::1"))
        proxy.configure(file, replaced(proxy, svc, web))
        stack.enter_context(proxy)
        yield Site(proxy, page, svc, web)


whole_site = pytest.mark.parametrize("site", ["nginx.conf", "Caddyfile"], indirect=True)
"""Those with a host name of their own: gRPC knows no paths."""


def test_the_page_and_all_it_needs_come_through(site: Site) -> None:
    with site.browser() as browser:
        page = browser.get(site.page)
        assert page.status_code == httpx.codes.OK
        assert "text/html" in page.headers["content-type"]
        for path in ("static/app.js", "api/sessions", "openapi.json"):
            assert browser.get(f"{site.page}{path}").status_code == httpx.codes.OK, path


def test_a_session_whose_name_needs_escapes_is_one_segment(site: Site) -> None:
    with site.browser() as browser:
        answer = browser.get(f"{site.page}api/sessions/a%2Fb%20c%25/messages")
    assert answer.json()["reason"] == "SESSION_NOT_FOUND"


def test_a_message_written_in_the_browser_arrives_in_the_open_stream_at_once(site: Site) -> None:
    with site.browser() as browser, browser.stream("GET", f"{site.page}api/stream?session=live") as stream:
        events = EventStream()
        chunks = stream.iter_raw()
        while events.retry is None:
            events.feed(next(chunks))
        for content in ("one", "two"):
            body = {"messages": [{"role": "user", "content": content}]}
            origin = {"Origin": site.proxy.url}
            with site.browser() as writer:
                writer.post(f"{site.page}api/sessions/live/messages", json=body, headers=origin).raise_for_status()
            seen: list[str] = []
            while content not in seen:  # The stream stays open: what is kept back would never come.
                seen += [event.json()["payload"].get("content", "") for event in events.feed(next(chunks))]


def test_another_sites_page_may_not_write(site: Site) -> None:
    with site.browser() as browser:
        body = {"messages": [{"role": "user", "content": "forged"}]}
        other = {"Origin": "https://evil.example"}
        assert browser.post(f"{site.page}api/sessions/forged/messages", json=body, headers=other).status_code == 403


def test_the_services_see_who_asks_and_not_what_they_claim(site: Site) -> None:
    with site.browser() as browser:
        browser.get(f"{site.page}api/sessions?q=who", headers={"X-Forwarded-For": "203.0.113.7"})
    requests = [event for event in site.web.events if event.get("event") == "request"]
    assert requests[-1]["client"] == CLIENT


@whole_site
async def test_calls_watches_and_replies_come_through(site: Site) -> None:
    async with AsyncClient(site.proxy.url, tls_ca=site.proxy.authority.ca) as client:
        await client.append_messages("calls", [Message(role=ROLE_USER, content="a question")])
        watch = client.watch_session("calls", tail=1)
        async for event in watch:
            if event.WhichOneof("event") == "caught_up":
                break
        async with client.reply("calls", author="assistant") as reply:
            for word in ("word ", "by ", "word"):
                await reply.write(word)
                async for event in watch:  # Each before the next is written: nothing is kept back.
                    if event.WhichOneof("event") == "reply_chunk":
                        break
        async for event in watch:
            if event.WhichOneof("event") == "reply_finished":
                assert event.reply_finished.message.content == "word by word"
                break


@whole_site
async def test_an_error_keeps_its_reason_on_the_way(site: Site) -> None:
    async with AsyncClient(site.proxy.url, tls_ca=site.proxy.authority.ca) as client:
        for _ in range(50):  # A trailer lost now and then would show.
            with pytest.raises(AiChatError) as raised:
                await client.get_session("nowhere")
            assert raised.value.reason == "SESSION_NOT_FOUND"


@whole_site
async def test_a_large_request_is_answered_by_the_service_itself(site: Site) -> None:
    async with AsyncClient(site.proxy.url, tls_ca=site.proxy.authority.ca) as client:
        with pytest.raises(AiChatError) as raised:
            await client.append_messages("large", [Message(role=ROLE_USER, content="x" * (1 << 20))] * 5)
    assert raised.value.reason == "TOO_LARGE"


def test_a_service_that_was_away_is_found_again(site: Site) -> None:
    site.web.kill()
    with site.browser() as browser:
        until(lambda: browser.get(site.page).status_code >= httpx.codes.INTERNAL_SERVER_ERROR, what="an error")
        site.web.start()
        until(lambda: browser.get(site.page).status_code == httpx.codes.OK, what="the page again")
