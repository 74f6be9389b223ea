"""What was said, as the page shows it."""

from ai_chat_client import (
    MESSAGE_STATUS_FAILED,
    MESSAGE_STATUS_INTERRUPTED,
    ROLE_SYSTEM,
    ROLE_TOOL,
    ROLE_USER,
    Message,
)
from playwright.sync_api import Page, expect
from support.visit import Opener, reload
from support.world import World

MARKDOWN = """# A heading

Some **bold** and *slanted* text with `code`, and https://example.org/path.

```python
def greet(name: str) -> str:
    return f"hello {name}"
```

| Item | Cost |
|------|-----:|
| Tea  | 3    |

1. one
2. two
"""


def numbers(page: Page) -> list[int]:
    found: list[int] = page.locator("#messages > li").evaluate_all("items => items.map(item => +item.dataset.sequence)")
    return found


def test_a_click_shows_the_session_and_the_address_leads_back_to_it(world: World, visit: Opener) -> None:
    world.say("clicked", "the first word")
    world.say("other", "another conversation")
    page = visit()
    page.locator('a[data-session="clicked"]').click()
    expect(page.locator("#messages .message")).to_contain_text("the first word")
    assert page.url == world.page + "s/clicked"
    assert page.title() == "clicked · ai-chat"
    page.locator('a[data-session="other"]').click()
    expect(page.locator("#messages .message")).to_contain_text("another conversation")
    page.go_back()
    expect(page.locator("#messages .message")).to_contain_text("the first word")
    reload(page)
    expect(page.locator("#messages .message")).to_contain_text("the first word")
    page.get_by_role("link", name="ai-chat").click()
    expect(page.get_by_text("Pick up a conversation")).to_be_visible()
    assert page.url == world.page


def test_a_link_opens_its_session_at_once(world: World, visit: Opener) -> None:
    world.say("deep", "you came by a link")
    page = visit(world.link("deep"))
    expect(page.locator("#messages .message")).to_contain_text("you came by a link")
    expect(page.locator('a[data-session="deep"]')).to_have_attribute("aria-current", "page")


def test_a_session_that_is_not_there_is_followed_until_it_comes(world: World, visit: Opener) -> None:
    page = visit(world.link("not-yet"))
    expect(page.get_by_role("heading", name="No such session")).to_be_visible()
    world.say("not-yet", "here I am")
    expect(page.locator("#messages .message")).to_contain_text("here I am")
    expect(page.get_by_role("heading", name="No such session")).to_have_count(0)


def test_a_message_says_who_wrote_it_and_when(world: World, visit: Opener) -> None:
    world.say("who", "a question", author="ben")
    world.answer("who", "an answer", model="llama3.3:70b")
    page = visit(world.link("who"))
    question, answer = page.locator("#messages .message").first, page.locator("#messages .message").last
    expect(question.locator(".author")).to_have_text("ben")
    expect(question.locator("time")).to_have_text("just now")
    assert "202" in (question.locator("time").get_attribute("title") or "")
    expect(answer.locator(".author")).to_have_text("assistant")
    expect(answer.locator(".model")).to_have_text("llama3.3:70b")


def test_markdown_and_code_are_rendered(world: World, visit: Opener) -> None:
    world.answer("rendered", MARKDOWN)
    page = visit(world.link("rendered"))
    prose = page.locator(".prose")
    expect(prose.get_by_role("heading", name="A heading")).to_be_visible()
    expect(prose.locator("strong")).to_have_text("bold")
    expect(prose.locator("pre .hljs-keyword").first).to_have_text("def")
    expect(prose.get_by_role("cell", name="3")).to_have_css("text-align", "right")
    link = prose.get_by_role("link", name="https://example.org/path")
    expect(link).to_have_attribute("target", "_blank")
    expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")


def test_interrupted_and_failed_replies_look_like_what_they_are(world: World, visit: Opener) -> None:
    world.say("ended", "a question")
    world.answer("ended", "half an ans", status=MESSAGE_STATUS_INTERRUPTED, status_reason="stopped")
    world.answer("ended", "", status=MESSAGE_STATUS_FAILED, status_reason="The model is out of memory.")
    world.store.rpush("session:ended:messages", '{"role": "user"')
    page = visit(world.link("ended"))
    expect(page.locator(".is-interrupted")).to_contain_text("half an ans")
    expect(page.locator(".is-interrupted .ending")).to_have_text("Interrupted · Somebody stopped it.")
    expect(page.locator(".is-failed .ending")).to_have_text("Failed · The model is out of memory.")
    expect(page.locator(".is-unreadable pre")).to_have_text('{"role": "user"')
    expect(page.locator(".is-unreadable .ending")).to_contain_text("Unreadable entry")


def test_instructions_tool_output_and_attributes_are_there_without_being_in_the_way(
    world: World, visit: Opener
) -> None:
    world.client.append_messages(
        "roles",
        [
            Message(role=ROLE_SYSTEM, content="Answer briefly. " * 40),
            Message(role=ROLE_TOOL, content='{"rows": 3}', author="sql"),
            Message(role=ROLE_USER, content="thanks", attributes='{"usage": {"total": 42}}'),
        ],
    )
    page = visit(world.link("roles"))
    expect(page.get_by_text("Answer briefly.")).to_be_hidden()
    page.get_by_text("Instructions").click()
    expect(page.get_by_text("Answer briefly.")).to_be_visible()
    expect(page.get_by_text('{"rows": 3}')).to_be_visible()
    page.get_by_text("details").click()
    expect(page.get_by_text('"total": 42')).to_be_visible()


def test_older_messages_load_on_scrolling_up_and_what_is_read_stays_in_place(world: World, visit: Opener) -> None:
    for start in range(0, 300, 100):
        world.say("long", *(f"message {start + number + 1}\n\n{'words ' * (number % 60)}" for number in range(100)))
    page = visit(world.link("long"))
    expect(page.locator("#messages .message").last).to_contain_text("message 300")
    expect(page.locator("#messages .message").last).to_be_in_viewport()
    assert len(numbers(page)) < 100
    scroller = page.locator("#scroller")
    scroller.hover()
    while (before := numbers(page))[0] > 1:
        scroller.evaluate("node => { node.scrollTop = 40; }")
        seen = page.evaluate(TOP_MESSAGE)
        page.wait_for_function(
            "first => +document.querySelector('#messages > li').dataset.sequence < first", arg=before[0]
        )
        place = page.evaluate("([sequence]) => " + PLACE_OF, seen)
        assert abs(place - seen[1]) < 60, "what was being read has moved"
    assert numbers(page) == list(range(1, 301))
    expect(page.get_by_text("The beginning of this conversation")).to_be_attached()


TOP_MESSAGE = """() => {
  const { top } = document.getElementById("scroller").getBoundingClientRect();
  for (const item of document.querySelectorAll("#messages > li")) {
    const box = item.lastElementChild.getBoundingClientRect();
    if (box.bottom > top) return [item.dataset.sequence, box.top];
  }
}"""
HAS_OLDER = "first => +document.querySelector('#messages > li').dataset.sequence < first"
PLACE_OF = """document.querySelector(`#messages > li[data-sequence="${sequence}"]`)
  .lastElementChild.getBoundingClientRect().top"""


def test_somebody_who_reads_further_up_is_told_of_new_messages_and_not_moved(world: World, visit: Opener) -> None:
    world.say("reading", *(f"message {number}\n\n" + "words " * 80 for number in range(1, 41)))
    page = visit(world.link("reading"))
    expect(page.locator("#messages .message").last).to_be_in_viewport()
    page.locator("#scroller").evaluate("node => { node.scrollTop = 500; }")
    place = page.locator("#scroller").evaluate("node => node.scrollTop")
    expect(page.locator("#latest")).to_be_visible()
    world.say("reading", "something new")
    expect(page.locator("#latest")).to_have_text("1 new message")
    assert abs(page.locator("#scroller").evaluate("node => node.scrollTop") - place) < 5
    page.locator("#latest").click()
    expect(page.get_by_text("something new", exact=True).last).to_be_in_viewport()
    expect(page.locator("#latest")).to_be_hidden()


def test_a_very_long_message_does_not_hold_up_the_page(world: World, visit: Opener) -> None:
    world.answer("huge", "**word** " * 100_000)
    page = visit(world.link("huge"))
    page.get_by_role("button", name="Show all").click()
    assert len(page.locator(".raw").inner_text()) > 800_000
