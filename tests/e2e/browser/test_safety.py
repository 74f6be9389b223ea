"""What people and models write does nothing but stand there."""

import httpx
import pytest
from ai_chat_client import MESSAGE_STATUS_FAILED
from playwright.sync_api import expect
from support import chat_ai
from support.until import until
from support.visit import Opener, load
from support.world import World

PAYLOADS = [
    "<img src=x onerror=alert(1)>",
    "<script>alert(1)</script>",
    "<svg onload=alert(1)><animate onbegin=alert(1) attributeName=x dur=1s>",
    "[click me](javascript:alert(1))",
    '[click me](JaVaScRiPt:alert(1) "title")',
    "[click me](&#106;avascript:alert(1))",
    "[click me](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    '<a href="javascript:alert(1)">click me</a>',
    '![image](https://example.org/pixel.png) ![x](x"onerror=alert(1)) ![y](javascript:alert(1))',
    "![z](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+)",
    '```html"onmouseover=alert(1)\n<img src=x onerror=alert(1)>\n```',
    "<javascript:alert(1)> javascript:alert(1)",
    '<iframe srcdoc="<script>parent.alert(1)</script>"></iframe><style>*{display:none}</style>',
    "<form action=//example.org><button>click me</button></form>",
    "|a|\n|-|\n|<img src=x onerror=alert(1)>|",
]
ACTIVE = "script, iframe, style, form, object, embed, svg:not(.icon), [style], .prose img"
MARKUP = '<img src=x onerror="alert(1)"><b>bold</b>'


def test_messages_do_nothing(world: World, visit: Opener) -> None:
    """The visit fails on a dialog, on a request to another host and on whatever the policy had to stop."""
    world.say("hostile", *PAYLOADS)
    world.answer("hostile", *PAYLOADS, model=MARKUP)
    page = visit(world.link("hostile"))
    expect(page.locator("#messages .message")).to_have_count(2 * len(PAYLOADS))
    column = page.locator("#column")
    assert column.locator(ACTIVE).count() == 0
    for link in column.locator("a[href]").all():
        assert (link.get_attribute("href") or "").startswith("https://example.org/")
    for words in page.get_by_text("click me").all():
        words.click()
    for image in column.locator(".prose a", has_text="image").all():
        expect(image).to_have_attribute("href", "https://example.org/pixel.png")
    handlers = "nodes => nodes.flatMap(n => n.getAttributeNames()).filter(a => a.startsWith('on'))"
    assert page.locator("body *").evaluate_all(handlers) == []


def test_replies_do_nothing_while_they_are_written(world: World, visit: Opener) -> None:
    world.say("hostile-draft", "go")
    page = visit(world.link("hostile-draft"))
    reply = {"replyId": "h", "author": MARKUP, "model": MARKUP, "chunks": ["\n\n".join(PAYLOADS)], "next": 1}

    def is_shown() -> bool:
        world.publish("hostile-draft", "snapshot", reply)
        page.wait_for_timeout(50)
        return page.locator(".draft").count() > 0

    until(is_shown)
    expect(page.locator(".draft")).to_have_count(1)
    assert page.locator("#column").locator(ACTIVE).count() == 0


def test_names_titles_authors_labels_and_previews_are_text(world: World, visit: Opener) -> None:
    name = f"chat {MARKUP}"
    chat_ai.say(world.store, name, "user", MARKUP)
    world.client.create_session("markup", title=MARKUP, labels={"team": MARKUP})
    world.say("markup", MARKUP, author=MARKUP, model=MARKUP)
    world.answer("markup", "", status=MESSAGE_STATUS_FAILED, status_reason=MARKUP)
    world.publish("markup", "error", {"content": MARKUP}, ours=False)
    page = visit(world.link(name))
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    expect(page.locator("#messages .message")).to_have_count(1)
    load(page, world.page + world.link("markup"))
    expect(page.get_by_role("heading", level=1)).to_have_text(MARKUP)
    expect(page.locator("#messages .author").first).to_have_text(MARKUP)
    expect(page.locator("#facts .label")).to_have_text(f"team: {MARKUP}")
    expect(page.locator(".sessions a[aria-current] .session-name")).to_have_text(MARKUP)
    assert page.locator("body b, body img:not([src$='icon.svg'])").count() == 0


@pytest.mark.parametrize("path", ["", "s/anything"])
def test_the_policy_allows_nothing_but_the_gateway_itself(world: World, path: str) -> None:
    policy = httpx.get(world.page + path).headers["content-security-policy"]
    directives = {part.split()[0]: part.split()[1:] for part in policy.split(";")}
    assert directives["default-src"] == ["'none'"]
    assert directives["script-src"] == ["'self'"]
    assert directives["style-src"] == ["'self'"]
    assert directives["connect-src"] == ["'self'"]
    assert directives["frame-ancestors"] == ["'none'"]
    assert directives["require-trusted-types-for"] == ["'script'"]
    assert directives["trusted-types"] == ["dompurify"]
    allowed = {source for sources in directives.values() for source in sources}
    assert not [source for source in allowed if "unsafe" in source or "*" in source or source.startswith("http")]
