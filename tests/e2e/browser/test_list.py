"""The list of sessions on the left."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect
from support import chat_ai
from support.visit import Opener, load, reload
from support.world import World


def names(page: Page) -> list[str]:
    found: list[str] = page.locator(".sessions a").evaluate_all("links => links.map(link => link.dataset.session)")
    return found


def test_sessions_are_listed_by_last_activity(world: World, visit: Opener) -> None:
    for name in ("first", "second", "third"):
        world.say(name, f"this is {name}")
    world.say("first", "and once more")
    page = visit()
    expect(page.locator(".sessions a").first).to_contain_text("first")
    assert [name for name in names(page) if name in ("first", "second", "third")] == ["first", "third", "second"]


def test_a_session_shows_its_title_its_name_and_what_was_said_last(world: World, visit: Opener) -> None:
    world.client.create_session("titled", title="Moving house")
    world.say("titled", "The van comes at nine")
    page = visit()
    link = page.locator('a[data-session="titled"]')
    expect(link.locator(".session-name")).to_have_text("Moving house")
    expect(link.locator(".session-id")).to_have_text("titled")
    expect(link).to_contain_text("The van comes at nine")
    expect(link.locator("time")).to_have_text("now")


def test_a_new_session_appears_and_the_list_moves_without_reload(
    world: World, visit: Opener, cli: Callable[..., str]
) -> None:
    world.say("quiet", "nothing happens here")
    page = visit()
    expect(page.locator('a[data-session="quiet"]')).to_be_visible()
    cli("send", "from-a-terminal", "hello")
    expect(page.locator(".sessions a").first).to_contain_text("from-a-terminal")
    cli("send", "quiet", "not any more")
    expect(page.locator(".sessions a").first).to_contain_text("not any more")
    cli("delete", "from-a-terminal", "--yes")
    expect(page.locator('a[data-session="from-a-terminal"]')).to_have_count(0)


def test_the_search_finds_parts_of_names_and_titles_and_escape_leaves_it(world: World, visit: Opener) -> None:
    world.say("searched-alpha", "one")
    world.client.create_session("searched-beta", title="Alphabet soup")
    world.say("searched-gamma", "three")
    page = visit()
    expect(page.locator('a[data-session="searched-gamma"]')).to_be_visible()
    page.get_by_role("searchbox").fill("ALPHA")
    expect(page.locator('a[data-session="searched-gamma"]')).to_have_count(0)
    expect(page.locator(".sessions a")).to_have_count(2)
    assert sorted(names(page)) == ["searched-alpha", "searched-beta"]
    world.say("searched-alpha-late", "comes while the search is on")
    expect(page.locator(".sessions a")).to_have_count(3)
    page.get_by_role("searchbox").fill("nothing of that kind")
    expect(page.locator("#sessions-note")).to_contain_text("No session matches")
    page.keyboard.press("Escape")
    expect(page.locator('a[data-session="searched-gamma"]')).to_be_visible()


def test_older_sessions_come_on_scrolling_down_each_once(world: World, visit: Opener) -> None:
    for number in range(120):
        world.client.create_session(f"many-{number:03}")
    page = visit()
    expect(page.locator('a[data-session="many-119"]')).to_be_visible()
    page.locator("#sessions-scroll").hover()
    last = page.locator('a[data-session="many-000"]')
    for _ in range(60):
        if last.count():
            break
        page.mouse.wheel(0, 2000)
        page.wait_for_timeout(50)
    expect(last).to_have_count(1)
    found = [name for name in names(page) if name.startswith("many-")]
    assert found == [f"many-{number:03}" for number in reversed(range(120))]


@pytest.mark.parametrize("name", ["Meine Notizen/März 2026", "会議 №7 🙂", "100% sure? & more #1", "-dash"])
def test_a_session_of_chat_ai_opens_under_whatever_name_it_has(world: World, visit: Opener, name: str) -> None:
    chat_ai.say(world.store, name, "user", f"hello from {name}")
    world.client.get_session(name)
    page = visit()
    # Its entry comes once the background scan has found it; until then the link leads there all the same.
    load(page, world.page + world.link(name))
    expect(page.locator(".message")).to_contain_text(f"hello from {name}")
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    assert page.url == world.page + world.link(name)
    page.get_by_label("Message", exact=True).fill("and an answer")
    page.keyboard.press("Enter")
    expect(page.locator("#messages .message")).to_have_count(2)
    expect(page.locator(".sessions a").filter(has_text=name)).to_have_attribute("aria-current", "page")
    assert chat_ai.history(world.store, name) == [("user", f"hello from {name}"), ("user", "and an answer")]


def test_a_session_whose_name_no_address_can_hold_says_so(world: World, visit: Opener) -> None:
    chat_ai.say(world.store, "..", "user", "from long ago")
    world.client.get_session("..")
    page = visit()
    page.locator('a[data-session=".."]').click()
    expect(page.get_by_text("A browser cannot ask for a session of this name.")).to_be_visible()
    reload(page)
    expect(page.get_by_text("Pick up a conversation")).to_be_visible()
