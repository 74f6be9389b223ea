"""Modules of the page by themselves, in the browser that runs them."""

import json
import random
import shlex
from typing import Any

import pytest
from playwright.sync_api import Page, Request
from support.visit import Opener, load
from support.world import World

WORDS = [
    "plain",
    "my project",
    "it's",
    'say "hi"',
    "$HOME",
    "`id`",
    "a;b",
    "~root",
    "ünï",
    "会議 №7",
    "a\\b",
    "*",
    "-x",
    "#1",
]

MARKDOWN = """# Title

A paragraph with **bold**, `code`
and a second line.

- one
- two

  still two
- three

1. first

   ```python
   print("in a list")
   ```
2. second

> quoted
lazily

| a | b |
|---|--:|
| 1 | 2 |

Setext
------

```js
const a = 1;

const b = 2;
```
***
The end, https://example.org.
"""


LOAD = "const load = (name) => import(`${document.baseURI}static/${name}`);"
HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def is_given_up(request: Request) -> bool:
    return "api/stream" in request.url and request.failure == "net::ERR_ABORTED"


@pytest.fixture
def page(visit: Opener) -> Page:
    return visit()


def call(page: Page, body: str, argument: Any = None) -> Any:  # noqa: ANN401 - Whatever JSON the browser returns.
    return page.evaluate(
        f"async (argument) => {{ const load = (name) => import(`${{document.baseURI}}static/${{name}}`); {body} }}",
        argument,
    )


def test_a_shell_reads_the_command_as_it_was_meant(page: Page) -> None:
    make = "const { resumeCommand } = await load('shell.js'); return argument.map((n) => resumeCommand('host:1', n));"
    for name, command in zip(WORDS, call(page, make, WORDS), strict=True):
        words = [word for part in shlex.split(command) for word in part.split("=", 1)]
        assert words == ["ai-chat", "--server", "host:1", "--session", name]


def test_a_stream_is_read_alike_wherever_it_is_cut(page: Page) -> None:
    stream = (
        ': hello\n\nretry: 2000\nid: a.1\n\nid: a.2\ndata: {"n": 1}\n\n'
        'data: {"text":\ndata: "ünï 🙂"}\r\n\r\nid: a.3\rdata:3\r\rdata: x\n\n:\n\nid\ndata: end\n\n'
    )
    read = """
      const { EventDecoder } = await load("sse.js");
      const decoder = new EventDecoder("start");
      const frames = argument.flatMap((part) => decoder.push(new Uint8Array(part)));
      return { frames, retry: decoder.retry, lastId: decoder.lastId };
    """
    content = stream.encode()
    whole = call(page, read, [list(content)])
    assert whole == {
        "frames": [
            {"data": '{"n": 1}', "id": "a.2"},
            {"data": '{"text":\n"ünï 🙂"}', "id": "a.2"},
            {"data": "3", "id": "a.3"},
            {"data": "x", "id": "a.3"},
            {"data": "end", "id": ""},
        ],
        "retry": 2000,
        "lastId": "",
    }
    assert call(page, read, [[byte] for byte in content]) == whole


def test_a_growing_reply_ends_up_as_the_finished_message(page: Page) -> None:
    grow = """
      const { GrowingMarkdown, renderMarkdown } = await load("markdown.js");
      const outline = (node) => [...node.querySelectorAll("*")]
        .filter((child) => child.tagName !== "SPAN").map((child) => `${child.tagName} ${child.textContent}`);
      const target = document.createElement("div");
      const growing = new GrowingMarkdown(target);
      for (const part of argument) growing.append(part);
      const open = target.querySelector(".open-block");
      open.replaceWith(...open.childNodes);
      const whole = document.createElement("div");
      whole.append(renderMarkdown(argument.join("")));
      return [outline(target), outline(whole)];
    """
    chance = random.Random(7)  # noqa: S311 - Places to cut, not secrets.
    every = list(range(1, len(MARKDOWN)))
    for cuts in [every, *(sorted(chance.sample(every, 60)) for _ in range(8))]:
        parts = [MARKDOWN[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
        grown, whole = call(page, grow, parts)
        assert grown == whole


def test_a_newer_epoch_is_later_and_positions_compare_within_one(page: Page) -> None:
    older, newer = "mws8lg5t86ce", "mws8lg5u0000"
    held = call(
        page,
        """
          const { isAtOrBelow, parsePosition } = await load("position.js");
          return argument.map(([position, head]) => isAtOrBelow(parsePosition(position), parsePosition(head)));
        """,
        [
            [f"{older}.3", f"{older}.3"],
            [f"{older}.4", f"{older}.3"],
            [f"{older}.9", f"{newer}.0"],
            [f"{newer}.0", f"{older}.9"],
        ],
    )
    assert held == [True, False, True, False]
    broken = ["", ".3", "epoch", "epoch.-1", "epoch.x", None]
    parsed = call(page, "return argument.map((await load('position.js')).parsePosition);", broken)
    assert json.dumps(parsed) == json.dumps([None] * len(broken))


def test_a_hidden_tab_gives_up_its_connection_to_the_one_that_is_looked_at(world: World, visit: Opener) -> None:
    world.say("tabs", "before")
    behind = visit(world.link("tabs"))
    behind.locator("#messages .message").wait_for()
    behind.evaluate(HIDE, True)
    front = behind.context.new_page()
    # Given up by the page itself: a change of this machine's network would cut it off too, and it would come back.
    with behind.expect_event("requestfailed", is_given_up):
        load(front, world.page + world.link("tabs"))
    # Words that stand in no other test's session: the list shows the last message of each.
    world.say("tabs", "said while it was hidden")
    front.get_by_text("said while it was hidden").last.wait_for()
    assert behind.get_by_text("said while it was hidden").count() == 0
    behind.evaluate(HIDE, False)
    behind.get_by_text("said while it was hidden").last.wait_for()
