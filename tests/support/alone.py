"""Modules of the page in the browser that runs them, on a page where nothing else runs."""

from typing import Any, Final
from urllib.parse import urljoin

from playwright.sync_api import Page

_EMPTY: Final = '<!doctype html><html lang="en"><head><base href="./"><title>alone</title></head><body></body></html>'
_HELPERS: Final = """
globalThis.asked = [];
globalThis.load = (name) => import(new URL(`static/${name}`, document.baseURI));
globalThis.json = (value, init = {}) => new Response(JSON.stringify(value), { status: 200, ...init });
globalThis.said = (sequence, role = "user") => ({ id: `m${sequence}`, sequence, role, content: `${sequence}` });
globalThis.serve = (answer) => {
  globalThis.fetch = async (path, { method = "GET", signal } = {}) => {
    const url = new URL(path, document.baseURI);
    const request = { path: url.pathname + url.search, method, signal };
    asked.push(request);
    return answer(request, asked.length);
  };
};
// Not by a timer: these may be the test's.
const turn = () => new Promise((resolve) => {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = resolve;
  port2.postMessage(0);
});
globalThis.until = async (holds) => { while (!holds()) await turn(); };
"""


def load_alone(page: Page, base: str) -> Page:
    """Shows an empty document at the page's address, so that its modules can be loaded one by one."""
    address = urljoin(base, "alone")
    page.route(address, lambda route: route.fulfill(body=_EMPTY, content_type="text/html"))
    page.goto(address)
    page.evaluate(f"() => {{ {_HELPERS} }}")
    return page


def hold_time(page: Page) -> None:
    """From now on time passes only by `page.clock.run_for`; after `page.clock.install()`, an hour is skipped."""
    page.clock.pause_at(page.evaluate("Date.now()") + 3600_000)


def forget(page: Page) -> None:
    """Forgets what tests before have asked and stored; modules stay loaded."""
    page.evaluate("() => { asked.length = 0; localStorage.clear(); }")


def call(page: Page, body: str, argument: Any = None) -> Any:  # noqa: ANN401 - Whatever JSON the browser returns.
    """Runs the body of an async JavaScript function of `argument`, and returns its value.

    It may use `load(module)`; `serve(answer)`, which puts `answer(request, number)` in the server's place; `asked`, the
    requests so far; `json(value, init)`, a response; `said(sequence, role)`, a message; `until(holds)`, which waits for
    a condition, also where the test holds the clock.
    """
    return page.evaluate(f"async (argument) => {{ {body} }}", argument)
