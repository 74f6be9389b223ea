"""Replies as they are really written, looked at."""

from playwright.sync_api import expect
from support.answering import Answering
from support.visit import Opener
from support.world import World


def test_a_reply_is_seen_as_it_is_written(world: World, visit: Opener) -> None:
    world.say("written", "what is Redis?")
    page = visit(world.link("written"))
    expect(page.locator("#messages .message")).to_have_count(1)
    with Answering(world.svc.address, "written", model="llama3.3") as reply:
        reply.write("Redis keeps **data** ")
        expect(page.locator(".draft strong")).to_have_text("data")
        expect(page.locator(".draft .model")).to_have_text("llama3.3")
        expect(page.locator('a[data-session="written"] .session-live')).to_be_visible()
        reply.write("in memory.")
        expect(page.locator(".draft .prose")).to_have_text("Redis keeps data in memory.")
    expect(page.locator("#messages .role-assistant .prose")).to_have_text("Redis keeps data in memory.")
    expect(page.locator(".draft")).to_have_count(0)
    expect(page.locator(".session-live")).to_have_count(0)


def test_a_reply_is_stopped_from_the_page_and_what_was_said_stays(world: World, visit: Opener) -> None:
    world.say("stopped", "tell me everything")
    page = visit(world.link("stopped"))
    expect(page.locator("#messages .message")).to_have_count(1)
    with Answering(world.svc.address, "stopped") as reply:
        reply.write("It began when ")
        expect(page.locator(".draft .prose")).to_contain_text("It began when")
        page.get_by_role("button", name="Stop").click()
        reply.wait()
        assert reply.error is not None
        assert reply.error.reason == "REPLY_STOPPED"
    expect(page.locator("#messages .is-interrupted")).to_contain_text("It began when")
    expect(page.locator("#messages .is-interrupted .ending")).to_have_text("Interrupted · Somebody stopped it.")
    expect(page.locator(".draft")).to_have_count(0)


def test_a_failed_reply_says_why(world: World, visit: Opener) -> None:
    world.say("failing", "go on")
    page = visit(world.link("failing"))
    expect(page.locator("#messages .message")).to_have_count(1)
    with Answering(world.svc.address, "failing") as reply:
        reply.fail("The model is out of memory.")
    expect(page.locator(".is-failed .ending")).to_have_text("Failed · The model is out of memory.")
