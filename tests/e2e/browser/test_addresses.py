"""Which session an address names, and what a click on a link to one does."""

from urllib.parse import unquote, urljoin

import pytest
from playwright.sync_api import Page
from support.alone import call
from support.world import World

ROUTER = """
  const { Router, currentSession, sessionHref, sessionLink } = await load("router.js");
  const origin = `${location.origin}/`;
"""


@pytest.fixture
def page(alone: Page, world: World) -> Page:
    alone.evaluate("address => history.replaceState(null, '', address)", urljoin(world.page, "alone"))
    return alone


def test_a_link_holds_nothing_that_prose_or_a_shell_would_take_for_its_end(page: Page) -> None:
    name = "it's (a) *plan*/März!"
    href = call(page, ROUTER + "return sessionHref(argument);", name)
    assert not set(href) & set("'()*! ")
    assert href.startswith("s/")
    assert unquote(href.removeprefix("s/")) == name
    assert call(page, ROUTER + "return sessionLink(argument);", name) == urljoin(page.url, href)


def test_an_address_names_one_session_or_none(page: Page) -> None:
    named = """
      return argument.map((path) => {
        history.replaceState(null, "", origin + path);
        return currentSession();
      });
    """
    paths = ["", "s/", "s/plain", "s/a%2Fb%20c", "s/a/b", "s/%", "x/s/plain"]
    assert call(page, ROUTER + named, paths) == [None, None, "plain", "a/b c", None, None, None]


def test_going_to_a_session_and_back_shows_both_and_leaves_the_base_where_it_was(page: Page) -> None:
    gone = """
      const shown = [];
      const router = new Router((name) => shown.push(name));
      router.go("a");
      router.go("b");
      const base = document.baseURI === origin;
      history.back();
      await until(() => shown.length === 3);
      return [shown, location.pathname, base];
    """
    assert call(page, ROUTER + gone) == [["a", "b", "a"], "/s/a", True]


def test_only_a_plain_click_is_taken_from_the_browser(page: Page) -> None:
    clicked = """
      const shown = [];
      new Router((name) => shown.push(name));
      const link = document.createElement("a");
      Object.assign(link, { href: "s/a" });
      link.dataset.session = "a";
      document.body.append(link);
      const taken = argument.map((how) => {
        const click = new MouseEvent("click", { bubbles: true, cancelable: true, ...how });
        let prevented = null;
        addEventListener("click", (event) => { prevented = event.defaultPrevented; event.preventDefault(); },
          { once: true });
        link.dispatchEvent(click);
        return prevented;
      });
      link.remove();
      return [taken, shown];
    """
    ways = [{}, {"ctrlKey": True}, {"metaKey": True}, {"shiftKey": True}, {"altKey": True}, {"button": 1}]
    assert call(page, ROUTER + clicked, ways) == [[True, False, False, False, False, False], ["a"]]
