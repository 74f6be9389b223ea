"""What happens while somebody looks: messages, replies, and the connection itself."""

from collections.abc import Callable

from ai_chat_client import ROLE_ASSISTANT, Message
from playwright.sync_api import Page, expect
from support import chat_ai
from support.until import until
from support.visit import Opener
from support.world import World


def texts(page: Page) -> list[str]:
    return [text.strip() for text in page.locator("#messages .prose").all_inner_texts()]


def is_live(page: Page, world: World, name: str) -> None:
    """Waits until what is published reaches the page: chat.ai's own error notice is stored nowhere."""

    def heard() -> bool:
        world.publish(name, "error", {"content": "are you there"}, ours=False)
        return page.get_by_text("are you there").count() > 0

    until(heard)


def test_a_message_from_the_command_line_appears_without_reload(
    world: World, visit: Opener, cli: Callable[..., str]
) -> None:
    world.say("live", "before")
    page = visit(world.link("live"))
    expect(page.locator("#messages .message")).to_have_count(1)
    cli("send", "live", "hello from a **terminal**")
    expect(page.locator("#messages .message").last.locator("strong")).to_have_text("terminal")
    expect(page.locator("#messages .message").last).to_be_in_viewport()
    expect(page.locator("#announcer")).to_contain_text("hello from a **terminal**")


def test_two_pages_of_one_session_see_the_same(world: World, visit: Opener) -> None:
    world.say("shared", "before")
    here, there = visit(world.link("shared")), visit(world.link("shared"))
    expect(here.locator("#messages .message")).to_have_count(1)
    there.get_by_label("Message", exact=True).fill("from the other window")
    there.keyboard.press("Enter")
    expect(here.locator("#messages .prose")).to_have_text(["before", "from the other window"])
    expect(there.locator("#messages .message")).to_have_count(2)
    expect(there.locator(".outgoing")).to_have_count(0)


def test_a_reply_grows_as_it_is_written_and_becomes_a_message(world: World, visit: Opener) -> None:
    world.say("reply", "what is Redis?")
    page = visit(world.link("reply"))
    is_live(page, world, "reply")
    world.publish("reply", "start", {"replyId": "r1", "author": "assistant", "model": "llama3.3"})
    expect(page.locator(".draft .model")).to_have_text("llama3.3")
    part = {"type": "reasoning", "data": {"text": "They want the basics."}, "replyId": "r1", "from": 0, "to": 1}
    world.publish("reply", "part", part)
    for number, text in enumerate(["Redis keeps **da", "ta** in ", "memory.\n\n```python\nprint(1)", "\n```\n"], 1):
        world.publish("reply", "chunk", {"content": text, "replyId": "r1", "from": number, "to": number + 1})
    expect(page.locator(".draft strong")).to_have_text("data")
    expect(page.locator(".draft pre").last).to_contain_text("print(1)")
    expect(page.locator(".draft .part")).to_contain_text("reasoning")
    world.publish("reply", "chunk", {"content": "memory", "replyId": "r1", "from": 3, "to": 4})
    expect(page.locator(".draft")).not_to_contain_text("memorymemory")
    content = "Redis keeps **data** in memory."
    world.client.append_messages("reply", [Message(id="r1", role=ROLE_ASSISTANT, content=content)])
    expect(page.locator("#messages .role-assistant strong")).to_have_text("data")
    expect(page.locator(".draft")).to_have_count(0)


def test_a_snapshot_replaces_what_the_page_has_of_a_reply(world: World, visit: Opener) -> None:
    world.say("snapshot", "go on")
    page = visit(world.link("snapshot"))
    is_live(page, world, "snapshot")
    world.publish("snapshot", "start", {"replyId": "s1", "author": "assistant"})
    world.publish("snapshot", "chunk", {"content": "one ", "replyId": "s1", "from": 0, "to": 1})
    expect(page.locator(".draft .prose")).to_contain_text("one")
    chunks = ["uno ", {"type": "source", "data": {"url": "https://example.org"}}, "due "]
    world.publish("snapshot", "snapshot", {"replyId": "s1", "author": "assistant", "chunks": chunks, "next": 3})
    expect(page.locator(".draft .prose")).to_contain_text("due")
    expect(page.locator(".draft .prose")).not_to_contain_text("one")
    world.publish("snapshot", "chunk", {"content": "tre", "replyId": "s1", "from": 3, "to": 4})
    expect(page.locator(".draft .prose")).to_contain_text("due tre")
    world.publish("snapshot", "complete", {"replyId": "s1"})
    expect(page.locator(".draft")).to_have_count(0)


def test_what_chat_ai_writes_is_shown_as_it_is_written_and_once_it_is_stored(world: World, visit: Opener) -> None:
    chat_ai.say(world.store, "foreign", "user", "hello")
    page = visit(world.link("foreign"))
    is_live(page, world, "foreign")
    for text in ("Good ", "morning"):
        world.publish("foreign", "chunk", {"content": text}, ours=False)
    expect(page.locator(".draft .prose")).to_have_text("Good morning")
    world.publish("foreign", "complete", {}, ours=False)
    chat_ai.say(world.store, "foreign", "assistant", "Good morning")
    expect(page.locator("#messages .role-assistant .prose")).to_have_text("Good morning")
    expect(page.locator(".draft")).to_have_count(0)
    world.publish("foreign", "chunk", {"content": "Oh"}, ours=False)
    expect(page.locator(".draft")).to_have_count(1)
    world.publish("foreign", "error", {"content": "Ollama answered 500"}, ours=False)
    expect(page.locator(".draft")).to_have_count(0)
    expect(page.get_by_text("Ollama answered 500")).to_be_visible()


def test_clearing_shortening_renaming_and_deleting_are_seen_at_once(world: World, visit: Opener) -> None:
    world.say("changed", "one", "two", "three")
    page = visit(world.link("changed"))
    expect(page.locator("#messages .message")).to_have_count(3)
    world.client.truncate_session("changed", keep=1)
    expect(page.locator("#messages .message")).to_have_count(1)
    world.say("changed", "another two")
    expect(page.locator("#messages .message")).to_have_count(2)
    world.client.update_session("changed", title="A better title", update_mask=["title"])
    expect(page.get_by_role("heading", level=1)).to_have_text("A better title")
    world.client.clear_session("changed")
    expect(page.get_by_text("Nothing said yet")).to_be_visible()
    world.say("changed", "a new start")
    expect(page.locator("#messages .prose")).to_have_text(["a new start"])
    world.client.delete_session("changed")
    expect(page.get_by_text("This session was deleted")).to_be_visible()
    world.say("changed", "back again")
    expect(page.locator("#messages .prose")).to_have_text(["back again"])


def test_a_list_that_changed_behind_our_back_is_shown_as_it_is_now(world: World, visit: Opener) -> None:
    chat_ai.say(world.store, "rewritten", "user", "the old beginning")
    page = visit(world.link("rewritten"))
    expect(page.get_by_text("the old beginning").last).to_be_visible()
    chat_ai.clear(world.store, "rewritten")
    chat_ai.say(world.store, "rewritten", "user", "the new beginning")
    world.client.get_session("rewritten")
    expect(page.locator("#messages .prose")).to_have_text(["the new beginning"])


def test_after_the_gateway_restarts_nothing_is_missing_and_nothing_doubled(world: World, visit: Opener) -> None:
    world.say("restart", *(f"message {number}" for number in range(1, 4)))
    page = visit(world.link("restart"))
    expect(page.locator("#messages .message")).to_have_count(3)
    page.get_by_label("Message", exact=True).fill("half a thou")
    page.evaluate("window.isTheSamePage = true")
    world.web.kill()
    expect(page.get_by_text("Connection lost. Reconnecting…")).to_be_visible()
    world.say("restart", "message 4", "message 5")
    world.say("while-away", "a session that came meanwhile")
    world.web.start()
    expect(page.locator("#messages .message")).to_have_count(5, timeout=30_000)
    expect(page.get_by_text("Connection lost. Reconnecting…")).to_be_hidden()
    world.say("restart", "message 6")
    expect(page.locator("#messages .message")).to_have_count(6)
    assert texts(page) == [f"message {number}" for number in range(1, 7)]
    expect(page.locator('a[data-session="while-away"]')).to_be_visible()
    expect(page.get_by_label("Message", exact=True)).to_have_value("half a thou")
    assert page.evaluate("window.isTheSamePage")


def test_a_page_opened_while_the_store_is_away_fills_when_it_is_back(world: World, visit: Opener) -> None:
    world.say("waiting", "still here")
    world.svc.kill()
    page = visit(world.link("waiting"))
    expect(page.get_by_text("The server has lost touch with its store.")).to_be_visible()
    world.svc.start()
    expect(page.locator("#messages .message")).to_contain_text("still here", timeout=30_000)
    expect(page.get_by_text("The server has lost touch with its store.")).to_be_hidden()
    expect(page.locator('a[data-session="waiting"]')).to_be_visible()
