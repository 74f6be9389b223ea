"""Writing from the page, where it is allowed."""

from collections.abc import Callable

from ai_chat_client.errors import NotFoundError
from playwright.sync_api import Page, Route, expect
from support.processes import gateway
from support.until import until
from support.visit import Opener, reload
from support.world import World


def write(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")


def contents(world: World, name: str) -> list[str]:
    return [message.content for message in world.client.messages(name)]


def test_a_message_is_sent_with_enter_and_shift_enter_is_a_new_line(world: World, visit: Opener) -> None:
    world.say("sent", "before")
    page = visit(world.link("sent"))
    expect(page.locator("#messages .message")).to_have_count(1)
    field = page.get_by_label("Message", exact=True)
    field.click()
    page.keyboard.type("two")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("lines")
    page.keyboard.press("Enter")
    expect(page.locator("#messages .message")).to_have_count(2)
    expect(page.locator(".outgoing")).to_have_count(0)
    expect(field).to_have_value("")
    assert contents(world, "sent") == ["before", "two\nlines"]


def test_the_name_somebody_gives_stands_above_what_they_send(world: World, visit: Opener) -> None:
    page = visit(world.link("signed"))
    page.get_by_role("button", name="Add your name").click()
    page.get_by_role("textbox", name="Name").fill("Zoë")
    page.get_by_role("button", name="Save").click()
    write(page, "signed")
    expect(page.locator("#messages .author")).to_have_text("Zoë")
    assert [message.author for message in world.client.messages("signed")] == ["Zoë"]


def test_what_is_typed_is_kept_for_each_session_through_a_reload(world: World, visit: Opener) -> None:
    world.say("draft-a", "a")
    world.say("draft-b", "b")
    page = visit(world.link("draft-a"))
    field = page.get_by_label("Message", exact=True)
    field.fill("for the first")
    page.locator('a[data-session="draft-b"]').click()
    expect(field).to_have_value("")
    field.fill("for the second")
    page.locator('a[data-session="draft-a"]').click()
    expect(field).to_have_value("for the first")
    reload(page)
    expect(field).to_have_value("for the first")


def test_a_refused_message_says_why_and_can_be_sent_again(world: World, visit: Opener) -> None:
    world.say("refused", "before")
    page = visit(world.link("refused"))
    expect(page.locator("#messages .message")).to_have_count(1)

    def refuse(route: Route) -> None:
        if route.request.method == "POST":
            problem = '{"reason": "INVALID_FIELD", "detail": "That word is not allowed."}'
            route.fulfill(status=400, content_type="application/problem+json", body=problem)
        else:
            route.continue_()

    page.route("**/api/sessions/refused/messages*", refuse)
    write(page, "a word")
    expect(page.locator(".outgoing")).to_contain_text("Not sent: That word is not allowed.")
    page.unroute("**/api/sessions/refused/messages*")
    reload(page)
    expect(page.locator(".outgoing")).to_contain_text("a word")
    page.get_by_role("button", name="Retry").click()
    expect(page.locator("#messages .message")).to_have_count(2)
    expect(page.locator(".outgoing")).to_have_count(0)
    assert contents(world, "refused") == ["before", "a word"]


def test_an_answer_that_got_lost_does_not_double_the_message(world: World, visit: Opener) -> None:
    world.say("lost", "before")
    page = visit(world.link("lost"))
    # Without the stream, which would tell that the message is there.
    page.route("**/api/stream*", lambda route: route.abort())
    reload(page)
    expect(page.locator("#messages .message")).to_have_count(1)
    attempts: list[str] = []

    def lose(route: Route) -> None:
        if route.request.method != "POST":
            return route.continue_()
        attempts.append(route.request.headers["idempotency-key"])
        if len(attempts) > 1:
            return route.continue_()
        route.fetch()
        return route.abort()

    page.route("**/api/sessions/lost/messages*", lose)
    write(page, "only once")

    def was_tried_again() -> bool:
        page.wait_for_timeout(20)  # Lets the page's requests through: they are handled in this thread.
        return len(attempts) > 1

    until(was_tried_again)
    page.unroute("**/api/stream*")
    expect(page.locator(".outgoing")).to_have_count(0)
    expect(page.locator("#messages .message")).to_have_count(2)
    assert len(set(attempts)) == 1
    assert contents(world, "lost") == ["before", "only once"]


def test_messages_written_while_disconnected_are_sent_in_order_when_it_is_back(world: World, visit: Opener) -> None:
    world.say("offline", "before")
    page = visit(world.link("offline"))
    expect(page.locator("#messages .message")).to_have_count(1)
    page.context.set_offline(True)
    for text in ("one", "two", "three"):
        write(page, text)
    expect(page.locator(".outgoing")).to_have_count(3)
    expect(page.locator(".outgoing").first).to_contain_text("The server cannot be reached.")
    page.context.set_offline(False)
    expect(page.locator(".outgoing")).to_have_count(0)
    expect(page.locator("#messages .message")).to_have_count(4)
    assert contents(world, "offline") == ["before", "one", "two", "three"]


def test_a_session_is_created_named_and_written_to(world: World, visit: Opener) -> None:
    page = visit()
    page.get_by_role("button", name="New session").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("not a name")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog.get_by_role("alert")).to_contain_text("A name starts with a letter or digit")
    dialog.get_by_label("Name").fill("made-here")
    dialog.get_by_label("Title").fill("Made on the page")
    dialog.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Made on the page")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    write(page, "the first message")
    expect(page.locator("#messages .message")).to_have_count(1)
    assert world.client.get_session("made-here").title == "Made on the page"
    page.get_by_role("button", name="New session").first.click()
    dialog.get_by_label("Name").fill("made-here")
    dialog.get_by_role("button", name="Create").click()
    expect(dialog.get_by_role("alert")).not_to_be_empty()


def menu(page: Page, entry: str) -> None:
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("button", name=entry).click()


def test_a_session_is_renamed_cleared_and_deleted_after_a_question(world: World, visit: Opener) -> None:
    world.say("kept", "one", "two")
    page = visit(world.link("kept"))
    expect(page.locator("#messages .message")).to_have_count(2)
    menu(page, "Rename…")
    page.get_by_role("textbox", name="Title").fill("A name for it")
    page.get_by_role("button", name="Rename", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("A name for it")
    menu(page, "Clear messages…")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#messages .message")).to_have_count(2)
    menu(page, "Clear messages…")
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.get_by_text("Nothing said yet")).to_be_visible()
    assert contents(world, "kept") == []
    menu(page, "Delete session…")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("This session was deleted")).to_be_visible()
    expect(page.locator('a[data-session="kept"]')).to_have_count(0)
    assert not exists(world, "kept")


def exists(world: World, name: str) -> bool:
    try:
        world.client.get_session(name)
    except NotFoundError:
        return False
    return True


def test_nothing_is_cleared_that_somebody_has_not_seen(world: World, visit: Opener) -> None:
    world.say("guarded", "seen")
    page = visit(world.link("guarded"))
    expect(page.locator("#messages .message")).to_have_count(1)
    page.route("**/api/stream*", lambda route: route.abort())
    world.web.kill()
    world.web.start()
    world.say("guarded", "not seen")
    menu(page, "Clear messages…")
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(page.get_by_role("alert").filter(has_text="Something new was said meanwhile")).to_be_visible()
    assert contents(world, "guarded") == ["seen", "not seen"]


def test_where_writing_is_off_the_page_only_shows_and_says_how_to_write(
    world: World, visit: Opener, cli: Callable[..., str]
) -> None:
    world.say("read-only", "look, do not touch")
    with gateway(world.svc.address, world.server.url, GATEWAY_WRITE="false") as web:
        page = visit(world.link("read-only"), base=f"http://{web.address}/")
        expect(page.locator("#messages .message")).to_have_count(1)
        expect(page.get_by_label("Message", exact=True)).to_have_count(0)
        expect(page.get_by_role("button", name="New session")).to_have_count(0)
        expect(page.locator(".read-only code")).to_have_text("ai-chat --server localhost:50051 --session read-only")
        cli("send", "read-only", "from a terminal")
        expect(page.locator("#messages .message")).to_have_count(2)


def test_where_streaming_is_off_lists_and_history_are_there_and_the_page_says_so(world: World, visit: Opener) -> None:
    world.say("still", "a picture, not a film")
    with gateway(world.svc.address, world.server.url, WEB_STREAM_ENABLED="false") as web:
        page = visit(world.link("still"), base=f"http://{web.address}/")
        expect(page.locator("#messages .message")).to_have_count(1)
        expect(page.get_by_text("Live updates are off on this server.")).to_be_visible()
        write(page, "sent all the same")
        expect(page.locator("#messages .message")).to_have_count(2)
        expect(page.locator(".outgoing")).to_have_count(0)
