"""A real Chromium before real services."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from ai_chat_client import Client
from aichat_dev.chromium import find_chromium
from playwright.sync_api import Browser, Page, expect, sync_playwright
from support.alone import forget, hold_time, load_alone
from support.needs import missing
from support.processes import gateway, session_svc
from support.redis_server import RedisServer
from support.visit import WAIT_MS, Opener, Visit
from support.world import World

DESKTOP = {"width": 1280, "height": 800}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, for one module: while it is open an event loop runs in this thread, and no test of another kind can."""
    with sync_playwright() as playwright:
        program = find_chromium(playwright.chromium.executable_path)
        if program is None:
            missing("Chromium: install it, or name it in CHROMIUM")
        expect.set_options(timeout=WAIT_MS)
        # Without its sandbox, which does not start where tests run as root; the pages are our own.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """Redis, session-svc and stream-gateway, shared by all tests here: each uses sessions of its own."""
    with RedisServer() as server, session_svc(server.url) as svc, gateway(svc.address, server.url) as web:
        client = Client(svc.address)
        store = redis.Redis.from_url(server.url, decode_responses=True)
        yield World(server, svc, web, client, store)
        store.close()
        client.close()


@pytest.fixture
def visit(browser: Browser, world: World) -> Iterator[Opener]:
    """Opens pages; at the end, none of them may have run into an error, or asked another host for anything."""
    visits: list[Visit] = []

    def opened(path: str = "", *, base: str = "", context: dict[str, Any] | None = None) -> Page:
        found = Visit(browser, base or world.page, {"viewport": DESKTOP, **(context or {})})
        visits.append(found)
        return found.open(path)

    yield opened
    for found in visits:
        found.close()
    assert [problem for found in visits for problem in found.problems] == []


@pytest.fixture(scope="module")
def alone_at_first(browser: Browser, world: World) -> Page:
    return load_alone(browser.new_page(), world.page)


@pytest.fixture
def alone(alone_at_first: Page) -> Page:
    """A page on which nothing runs but what the test loads: see support.alone."""
    forget(alone_at_first)
    return alone_at_first


@pytest.fixture
def timed(browser: Browser, world: World) -> Iterator[Page]:
    """As `alone`, and time is the test's."""
    with browser.new_page() as page:
        page.clock.install()
        load_alone(page, world.page)
        hold_time(page)
        yield page


@pytest.fixture
def cli(world: World, tmp_path: Path) -> Callable[..., str]:
    """Runs `ai-chat` against the world's session-svc and returns what it printed."""

    def run(*arguments: str) -> str:
        program = Path(sys.executable).with_name("ai-chat")
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AI_CHAT_SERVER": world.svc.address}
        done = subprocess.run(
            [program, *arguments], env=environment, check=True, capture_output=True, text=True, timeout=30
        )
        return done.stdout

    return run
