"""`make screenshot`: docs/img/page.png and page-phone.png, taken by a real Chromium from a real run."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import redis
from playwright.sync_api import Browser, expect, sync_playwright

from aichat_dev.chromium import find_chromium
from aichat_dev.embedded_redis import EmbeddedRedis, free_port

ROOT: Final = Path(__file__).parents[3]
IMAGES: Final = ROOT / "docs" / "img"
CONVERSATIONS: Final = Path(__file__).with_name("screenshot.json")
READY_SECONDS: Final = 60.0
SHOWN: Final = "checkout-redesign"
DESKTOP: Final[dict[str, Any]] = {"viewport": {"width": 1280, "height": 800}, "device_scale_factor": 2}
PHONE: Final[dict[str, Any]] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
    "has_touch": True,
    "color_scheme": "dark",
}


def main() -> None:
    """Fills an empty Redis with conversations of the last days, runs the product on it, and takes the pictures."""
    with tempfile.TemporaryDirectory(prefix="aichat-screenshot-") as directory, sync_playwright() as playwright:
        program = find_chromium(playwright.chromium.executable_path)
        if program is None:
            raise SystemExit("screenshot: Chromium is missing; install it, or name it in CHROMIUM")
        with EmbeddedRedis(Path(directory), port=free_port()) as server:
            _fill(server.url)
            with _running(server.url) as page:
                browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
                _take(browser, page, IMAGES / "page.png", {**DESKTOP, "color_scheme": "light"})
                _take(browser, page, IMAGES / "page-phone.png", PHONE)
                browser.close()


def _fill(url: str) -> None:
    now = time.time_ns() // 1_000_000
    with redis.Redis.from_url(url) as store:
        for session in json.loads(CONVERSATIONS.read_text(encoding="utf-8")):
            key = f"session:{session['name']}"
            times = [now - int(message.pop("minutesAgo") * 60_000) for message in session["messages"]]
            for number, (message, ms) in enumerate(zip(session["messages"], times, strict=True), 1):
                store.rpush(f"{key}:messages", json.dumps({"id": f"m{number}", **message, "timestamp": ms}))
            fields = {"name": session["name"], "createdAt": times[0], "lastMessage": times[-1], **session["metadata"]}
            store.hset(f"{key}:metadata", mapping=fields)


@contextmanager
def _running(redis_url: str) -> Iterator[str]:
    """The product on that Redis; yields the page's address."""
    settings = {"REDIS_URL": redis_url, "SESSION_SVC_LISTEN": "127.0.0.1:0", "GATEWAY_LISTEN": "127.0.0.1:0"}
    run = subprocess.Popen(
        [sys.executable, "-m", "aichat_dev.run"],
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield _announced(run)
    finally:
        run.terminate()
        run.wait()


def _announced(run: "subprocess.Popen[str]") -> str:
    for line in run.stdout or ():
        if found := re.match(r"  page +(\S+)", line):
            return found[1]
    raise SystemExit("screenshot: the product did not start; `make run` shows why")


def _take(browser: Browser, page: str, image: Path, context: dict[str, Any]) -> None:
    visit = browser.new_context(**context)
    tab = visit.new_page()
    tab.goto(f"{page}s/{SHOWN}")
    expect(tab.locator("#messages .message").last).to_be_in_viewport(timeout=READY_SECONDS * 1000)
    expect(tab.locator(".sessions a").nth(6)).to_be_attached()
    tab.evaluate("document.fonts.ready")
    tab.screenshot(path=image, animations="disabled")
    visit.close()


if __name__ == "__main__":
    main()
