"""What a viewer sees of an answer whenever they come, whatever dies, and how it is asked for once more."""

import re
import time

import pytest
from ai_chat_client import MESSAGE_STATUS_FAILED, MESSAGE_STATUS_INTERRUPTED, ROLE_ASSISTANT, ROLE_USER, Message
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # It ships no types.
from google.protobuf.timestamp_pb2 import Timestamp
from playwright.sync_api import Page, expect
from support.answering import Answering
from support.visit import Opener, reload
from support.world import World

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
AN_HOUR = 3600
WORDS = [f"word-{number} " for number in range(1, 41)]


def asked_long_ago(world: World, name: str, *questions: str) -> None:
    """Questions that are too old for anybody to answer."""
    then = Timestamp(seconds=int(time.time()) - AN_HOUR)
    messages = [Message(role=ROLE_USER, content=text, author="anna", create_time=then) for text in questions]
    world.client.append_messages(name, messages)


def violations(page: Page) -> list[str]:
    return [
        f"{violation['id']}: {node['html'][:160]} {node.get('failureSummary', '')}"
        for violation in Axe().run(page).response["violations"]
        for node in violation["nodes"]
    ]


def test_who_comes_in_the_middle_of_a_reply_sees_all_of_it(world: World, visit: Opener) -> None:
    world.say("late", "count")
    with Answering(world.svc.address, "late", model="llama3.3") as reply:
        for word in WORDS[:20]:
            reply.write(word)
        page = visit(world.link("late"))
        expect(page.locator(".draft .prose")).to_have_text("".join(WORDS[:20]).strip())
        expect(page.locator(".draft .model")).to_have_text("llama3.3")
        for word in WORDS[20:]:
            reply.write(word)
        expect(page.locator(".draft .prose")).to_have_text("".join(WORDS).strip())
    expect(page.locator("#messages .role-assistant .prose")).to_have_text("".join(WORDS).strip())
    expect(page.locator(".draft")).to_have_count(0)


def test_a_gateway_killed_in_mid_reply_costs_no_character_and_doubles_none(world: World, visit: Opener) -> None:
    world.say("mid-reply", "count")
    page = visit(world.link("mid-reply"))
    expect(page.locator("#messages .message")).to_have_count(1)
    with Answering(world.svc.address, "mid-reply") as reply:
        for word in WORDS[:10]:
            reply.write(word)
        expect(page.locator(".draft .prose")).to_have_text("".join(WORDS[:10]).strip())
        world.web.kill()
        for word in WORDS[10:20]:
            reply.write(word)
        expect(page.get_by_text("Connection lost. Reconnecting…")).to_be_visible()
        world.web.start()
        expect(page.locator(".draft .prose")).to_have_text("".join(WORDS[:20]).strip(), timeout=60_000)
        for word in WORDS[20:]:
            reply.write(word)
        expect(page.locator(".draft .prose")).to_have_text("".join(WORDS).strip())
    expect(page.locator("#messages .role-assistant .prose")).to_have_text("".join(WORDS).strip())


def test_parts_are_folded_while_they_are_written_and_afterwards(world: World, visit: Opener) -> None:
    world.say("parts", "what does it cost?")
    page = visit(world.link("parts"))
    expect(page.locator("#messages .message")).to_have_count(1)
    with Answering(world.svc.address, "parts") as reply:
        reply.part("reasoning", {"text": "They want "})
        reply.part("reasoning", {"text": "a price."})
        reply.part("tool-call", {"name": "prices", "arguments": {"item": "tea"}})
        reply.write("Three.")
        reply.part("source", {"title": "The list", "url": "https://example.org/prices"})
        expect(page.locator(".draft .part summary")).to_have_text(["reasoning", "tool callprices", "sourceThe list"])
        expect(page.locator(".draft .prose > div")).to_have_text("Three.")
        expect(page.get_by_text("They want a price.")).to_be_hidden()
        page.locator(".draft summary").first.click()
        expect(page.get_by_text("They want a price.")).to_be_visible()
    done = page.locator("#messages .role-assistant")
    expect(done.locator(".part")).to_have_count(3)
    expect(done.locator(".part").first).to_contain_text("reasoning")
    expect(done.locator(".part").last.get_by_role("link", include_hidden=True)).to_have_attribute(
        "href", "https://example.org/prices"
    )
    assert violations(page) == []


def test_a_failed_answer_is_asked_for_again_where_the_question_stands(world: World, visit: Opener) -> None:
    world.say("again", "a young question")
    page = visit(world.link("again"))
    expect(page.get_by_text("Waiting for an answer…")).to_be_visible()
    with Answering(world.svc.address, "again") as reply:
        expect(page.locator(".draft")).to_be_visible()
        expect(page.get_by_text("Waiting for an answer…")).to_have_count(0)
        reply.fail("The model is out of memory.")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#messages .message")).to_have_count(1)
    assert world.client.get_session("again").awaiting_reply
    with Answering(world.svc.address, "again") as reply:
        reply.write("Better.")
    expect(page.locator("#messages .prose")).to_have_text(["a young question", "Better."])


def test_old_questions_are_asked_anew_in_one_piece(world: World, visit: Opener) -> None:
    world.answer("old", "Welcome.")
    asked_long_ago(world, "old", "one more thing", "what is it?")
    world.answer("old", "half an ans", status=MESSAGE_STATUS_INTERRUPTED, status_reason="the writer was lost")
    page = visit(world.link("old"))
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#messages .prose")).to_have_text(["Welcome.", "one more thing", "what is it?"])
    expect(page.get_by_text("Waiting for an answer…")).to_be_visible()
    expect(page.locator(".outgoing")).to_have_count(0)
    stored = world.client.list_messages("old").messages
    assert [(message.author, message.content) for message in stored[1:]] == [
        ("anna", "one more thing"),
        ("anna", "what is it?"),
    ]
    assert time.time() - stored[-1].create_time.ToSeconds() < AN_HOUR / 2
    assert world.client.get_session("old").awaiting_reply


def test_asking_again_removes_nothing_that_came_meanwhile(world: World, visit: Opener) -> None:
    asked_long_ago(world, "overtaken", "why?")
    world.answer("overtaken", "", status=MESSAGE_STATUS_FAILED, status_reason="No memory.")
    page = visit(world.link("overtaken"))
    page.get_by_role("button", name="Try again").wait_for()

    def overtake(route: object) -> None:
        world.answer("overtaken", "Because.")
        route.continue_()  # type: ignore[attr-defined]  # Playwright's Route.

    page.route("**/truncate", overtake)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("something new was said meanwhile")).to_be_visible()
    expect(page.locator("#messages .prose")).to_have_text(["why?", "Because."])
    expect(page.locator(".outgoing")).to_have_count(0)


def test_a_question_that_was_taken_out_survives_a_reload(world: World, visit: Opener) -> None:
    asked_long_ago(world, "reloaded", "why?")
    world.answer("reloaded", "", status=MESSAGE_STATUS_FAILED, status_reason="No memory.")
    page = visit(world.link("reloaded"))
    page.get_by_role("button", name="Try again").wait_for()
    page.route("**/messages", lambda route: route.abort())
    with page.expect_request("**/messages"):  # Reloaded before it was sent, it would be left to a person's decision.
        page.get_by_role("button", name="Try again").click()
    expect(page.locator(".outgoing")).to_contain_text("why?")
    expect(page.locator("#messages .message")).to_have_count(0)
    page.unroute("**/messages")
    reload(page)
    expect(page.locator("#messages .prose")).to_have_text(["why?"])
    expect(page.locator(".outgoing")).to_have_count(0)
    assert world.client.get_session("reloaded").awaiting_reply


def test_that_nobody_answers_is_said(world: World, visit: Opener) -> None:
    asked_long_ago(world, "alone", "is anybody there?")
    page = visit(world.link("alone"))
    expect(page.get_by_text("Nobody has answered yet.")).to_be_visible()
    page.get_by_role("button", name="Ask again").click()
    expect(page.get_by_text("Waiting for an answer…")).to_be_visible()
    expect(page.locator("#messages .prose")).to_have_text(["is anybody there?"])


def test_where_nobody_is_to_answer_no_answer_is_awaited(world: World, visit: Opener) -> None:
    world.client.create_session("notes", labels={"assistant": "none"})
    page = visit(world.link("notes"))
    page.get_by_label("Message", exact=True).fill("for myself")
    page.keyboard.press("Enter")
    expect(page.locator("#messages .prose")).to_have_text(["for myself"])
    expect(page.locator(".outgoing")).to_have_count(0)
    expect(page.locator(".afterword")).to_have_count(0)
    world.client.update_session("notes", labels={})
    expect(page.get_by_text(re.compile("Waiting for an answer…|Nobody has answered yet."))).to_be_visible()
    world.client.update_session("notes", labels={"assistant": "none"})
    expect(page.locator(".afterword")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_broken_and_growing_replies_are_for_everybody(world: World, visit: Opener, scheme: str) -> None:
    name = f"everybody-{scheme}"
    world.say(name, "go on")
    message = Message(role=ROLE_ASSISTANT, content="half", status=MESSAGE_STATUS_INTERRUPTED, status_reason="stopped")
    world.client.append_messages(name, [message])
    page = visit(world.link(name), context={**PHONE, "color_scheme": scheme, "reduced_motion": "reduce"})
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    assert violations(page) == []
    world.say(name, "and now?")
    with Answering(world.svc.address, name) as reply:
        reply.part("reasoning", {"text": "Hm."})
        reply.write("a " * 400)
        expect(page.locator(".draft .prose")).to_contain_text("a a a")
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        reply.fail("No memory.")
    expect(page.locator(".is-failed .ending")).to_have_text("Failed · No memory.")
    assert violations(page) == []
