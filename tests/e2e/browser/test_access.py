"""For everybody: with a keyboard, a screen reader, a phone, in the dark; and what the copy buttons copy."""

import shlex

import pytest
from ai_chat_client import MESSAGE_STATUS_FAILED, MESSAGE_STATUS_INTERRUPTED, ROLE_SYSTEM
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # It ships no types.
from playwright.sync_api import Page, expect
from support import chat_ai
from support.until import until
from support.visit import Opener, load
from support.world import World

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
RICH = """## A heading

Text with `code`, a [link](https://example.org) and a list:

- one
- two

> A quotation

```js
const answer = 42; // a comment
export function ask(question) { return "why?"; }
```

| Item | Cost |
|------|-----:|
| Tea  | 3    |
"""


def axe(page: Page) -> list[str]:
    return [
        f"{violation['id']}: {node['html'][:160]} {node.get('failureSummary', '')}"
        for violation in Axe().run(page).response["violations"]
        for node in violation["nodes"]
    ]


@pytest.fixture(scope="module")
def rich(world: World) -> str:
    world.client.create_session("rich", title="Every kind of thing", labels={"team": "web"})
    world.say("rich", "Answer briefly.", role=ROLE_SYSTEM)
    world.say("rich", "What is **this**?", author="anna")
    world.answer("rich", RICH, model="llama3.3:70b")
    world.answer("rich", "half an ans", status=MESSAGE_STATUS_INTERRUPTED, status_reason="the writer was lost")
    world.answer("rich", "", status=MESSAGE_STATUS_FAILED, status_reason="The model is out of memory.")
    return "rich"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(world: World, visit: Opener, rich: str, scheme: str) -> None:
    page = visit(world.link(rich), context={"color_scheme": scheme})
    expect(page.locator("#messages .message")).to_have_count(5)
    snapshot = {"replyId": scheme, "author": "assistant", "model": "llama3.3", "chunks": [RICH], "next": 1}

    def is_shown() -> bool:
        world.publish(rich, "snapshot", snapshot)
        page.wait_for_timeout(20)
        return page.locator(".draft").count() > 0

    until(is_shown)
    assert axe(page) == []
    world.publish(rich, "complete", {"replyId": scheme})
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("button", name="Rename…").click()
    assert axe(page) == []
    load(page, world.page)
    expect(page.get_by_text("Pick up a conversation")).to_be_visible()
    assert axe(page) == []


def test_axe_finds_nothing_wrong_on_a_phone(world: World, visit: Opener, rich: str) -> None:
    page = visit(world.link(rich), context={**PHONE, "reduced_motion": "reduce"})
    expect(page.locator("#messages .message")).to_have_count(5)
    assert axe(page) == []
    page.get_by_role("button", name="Sessions", exact=True).click()
    expect(page.get_by_role("searchbox")).to_be_focused()
    assert axe(page) == []


def test_light_and_dark_follow_the_system(world: World, visit: Opener, rich: str) -> None:
    page = visit(world.link(rich), context={"color_scheme": "light"})
    background = "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
    assert min(page.evaluate(background)) > 230
    page.emulate_media(color_scheme="dark")
    assert max(page.evaluate(background)) < 50


def test_on_a_phone_the_list_is_a_drawer_and_nothing_is_wider_than_the_screen(visit: Opener, rich: str) -> None:
    page = visit(context=PHONE)
    expect(page.locator(f'a[data-session="{rich}"]')).to_be_in_viewport()
    page.locator(f'a[data-session="{rich}"]').tap()
    expect(page.locator("#messages .message").last).to_be_in_viewport()
    expect(page.locator("#sidebar")).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("#column").evaluate("node => node.scrollWidth <= node.clientWidth")
    page.get_by_role("button", name="Sessions", exact=True).tap()
    expect(page.locator("#sidebar")).to_be_in_viewport()
    page.locator("#scrim").tap(position={"x": 380, "y": 400})
    expect(page.locator("#sidebar")).to_be_hidden()
    page.get_by_role("button", name="More", exact=True).tap()
    expect(page.get_by_role("button", name="Copy the command")).to_be_visible()


def test_everything_is_reached_by_keyboard_alone(world: World, visit: Opener) -> None:
    for name in ("keys-c", "keys-b", "keys-a"):
        world.say(name, f"this is {name}")
    page = visit()
    expect(page.locator(".sessions a").first).to_contain_text("keys-a")
    page.keyboard.press("Control+k")
    page.keyboard.type("keys-")
    expect(page.locator(".sessions a")).to_have_count(3)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("keys-b")
    page.keyboard.press("Alt+ArrowDown")
    expect(page.get_by_role("heading", level=1)).to_have_text("keys-c")
    page.keyboard.press("Alt+ArrowUp")
    expect(page.get_by_role("heading", level=1)).to_have_text("keys-b")
    expect(page.locator("#messages .message")).to_have_count(1)
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "message":
            break
    page.keyboard.type("typed without a mouse")
    page.keyboard.press("Enter")
    expect(page.locator("#messages .message")).to_have_count(2)
    page.keyboard.press("Control+/")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator("#message")).to_be_focused()


def test_the_list_keeps_its_place_under_the_keyboard_while_it_moves(world: World, visit: Opener) -> None:
    for name in ("focus-b", "focus-a"):
        world.say(name, "hello")
    page = visit()
    page.locator('a[data-session="focus-b"]').focus()
    world.say("focus-b", "up I go")
    expect(page.locator(".sessions a").first).to_contain_text("up I go")
    expect(page.locator('a[data-session="focus-b"]')).to_be_focused()
    assert page.locator('.sessions a[tabindex="0"]').count() == 1


@pytest.mark.parametrize("name", ["copied", "it's a plan/März $HOME"])
def test_the_copy_buttons_copy_the_name_the_command_and_the_link(world: World, visit: Opener, name: str) -> None:
    chat_ai.say(world.store, name, "user", "copy me")
    page = visit(world.link(name), context={"permissions": ["clipboard-read", "clipboard-write"]})
    expect(page.locator("#messages .message")).to_have_count(1)
    page.get_by_role("button", name="Copy the session's name").click()
    expect(page.locator("#announcer")).to_have_text("Name copied")
    assert page.evaluate("navigator.clipboard.readText()") == name
    page.get_by_role("button", name="Copy the command").click()
    expect(page.locator("#announcer")).to_have_text("Command copied")
    command = page.evaluate("navigator.clipboard.readText()")
    assert shlex.split(command) == ["ai-chat", "--server", "localhost:50051", "--session", name]
    page.get_by_role("button", name="Copy the link").click()
    expect(page.locator("#announcer")).to_have_text("Link copied")
    assert page.evaluate("navigator.clipboard.readText()") == world.page + world.link(name)


def test_code_is_copied_as_it_was_written(world: World, visit: Opener, rich: str) -> None:
    page = visit(world.link(rich), context={"permissions": ["clipboard-read", "clipboard-write"]})
    page.get_by_role("button", name="Copy code").click()
    expect(page.locator("#announcer")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == 'const answer = 42; // a comment\nexport function ask(question) { return "why?"; }'
