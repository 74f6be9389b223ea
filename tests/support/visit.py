"""One browser profile that looks at the page, and writes down whatever goes wrong in it."""

from collections.abc import Callable
from typing import Any, Final, Protocol
from urllib.parse import urljoin, urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Dialog, Error, Page, Request

WAIT_MS: Final = 60_000
ATTEMPTS: Final = 5
NETWORK_CHANGED: Final = "net::ERR_NETWORK_CHANGED"
EXPECTED: Final = "Failed to load resource"
"""What the browser itself prints of every answer that is no success, such as the 404 of a session that is not there."""


def load(page: Page, url: str) -> None:
    """Goes there, again while a change of this machine's network cuts the loading off."""
    _whole(page, lambda: page.goto(url))


def reload(page: Page) -> None:
    """Loads the page again, as `load` does."""
    _whole(page, page.reload)


def _whole(page: Page, loading: Callable[[], object]) -> None:
    """Does `loading` until everything that it asked for has come.

    Chromium drops every request under way, to this machine too, when any interface comes or goes: a container's, say.
    """
    for _ in range(ATTEMPTS):
        cut_off: list[str] = []

        def failed(request: Request, cut_off: list[str] = cut_off) -> None:
            if request.failure == NETWORK_CHANGED:
                cut_off.append(request.url)

        page.on("requestfailed", failed)
        try:
            loading()
        except Error as error:
            if NETWORK_CHANGED not in error.message:
                raise
            cut_off.append(page.url)
        page.remove_listener("requestfailed", failed)
        if not cut_off:
            return


class Visit:
    """A page in a browser context of its own."""

    def __init__(self, browser: Browser, base: str, context: dict[str, Any]) -> None:
        self.base = base
        self.problems: list[str] = []
        self.context = browser.new_context(**context)
        self.context.set_default_timeout(WAIT_MS)
        self.context.on("page", self._listen)

    def open(self, path: str = "") -> Page:
        """A new tab at a path below the page's address."""
        page = self.context.new_page()
        load(page, urljoin(self.base, path))
        return page

    def close(self) -> None:
        """Ends the profile with all its tabs."""
        self.context.close()

    def _listen(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        page.on("console", self._console)
        page.on("dialog", self._dialog)
        page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and EXPECTED not in message.text:
            self.problems.append(f"{message.type}: {message.text}")

    def _dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme != "data" and url.netloc != urlsplit(self.base).netloc:
            self.problems.append(f"asked another host: {request.url}")


class Opener(Protocol):
    """Opens the page at a path below its base, in a browser profile of its own."""

    def __call__(self, path: str = "", *, base: str = "", context: dict[str, Any] | None = None) -> Page: ...
