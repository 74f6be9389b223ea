"""The page's one connection: that it resumes, is replaced, and is left to the tab that is looked at."""

import pytest
from playwright.sync_api import Page
from support.alone import call

STREAM = """
  const { LiveStream } = await load("stream.js");
  const bodies = [];
  serve(({ signal }) => {
    const body = new ReadableStream({ start: (controller) => {
      bodies.push(async (text) => {
        controller.enqueue(new TextEncoder().encode(text));
        await until(() => controller.desiredSize === 1);
      });
      signal.addEventListener("abort", () => controller.error(signal.reason));
    } });
    return new Response(body);
  });
  const told = [];
  const stream = new LiveStream({
    onEvent: (event) => { told.push(event); if (event.hole) stream.restart(); },
    onOpen: () => {},
    onState: (state) => told.push(state),
  });
  Object.assign(globalThis, { bodies, stream, told });
"""


def test_a_connection_that_falls_silent_is_replaced_by_one_that_goes_on_where_it_was(timed: Page) -> None:
    begin = "stream.follow('s', 'e.1'); await until(() => told.includes('open'));"
    call(timed, STREAM + begin)
    assert "after=e.1" in timed.evaluate("asked[0].path")
    timed.clock.run_for(30_000)
    call(timed, 'await bodies[0](\'id: e.2\\ndata: {"type": "user"}\\n\\n:\\n\'); await until(() => told.at(-1).type);')
    timed.clock.run_for(30_000)
    call(timed, "await bodies[0]('id: e.5\\n\\n');")
    timed.clock.run_for(44_000)
    assert timed.evaluate("[stream.state, asked.length]") == ["open", 1]
    timed.clock.run_for(3_000)
    call(timed, "await until(() => asked.length === 2);")
    assert "after=e.5" in timed.evaluate("asked[1].path"), "an id without data counts, too"


def test_a_refused_connection_is_not_tried_before_the_server_wants_it(timed: Page) -> None:
    busy = "serve(() => json({ detail: 'full' }, { status: 503, headers: { 'Retry-After': '30' } }));"
    call(timed, STREAM + busy + "stream.follow(null, null); await until(() => told.includes('lost'));")
    timed.clock.run_for(29_000)
    assert timed.evaluate("asked.length") == 1
    timed.clock.run_for(16_000)
    assert timed.evaluate("asked.length") == 2


@pytest.mark.parametrize("wish", ["dispatchEvent(new Event('online'))", "stream.retryNow()"])
def test_who_is_online_again_does_not_wait_for_the_next_attempt(timed: Page, wish: str) -> None:
    call(timed, STREAM + "serve(() => { throw new TypeError('offline'); });")
    call(timed, "stream.follow(null, null); await until(() => stream.state === 'lost');")
    assert timed.evaluate("asked.length") == 1
    timed.evaluate(wish)
    call(timed, "await until(() => asked.length === 2);")


def test_a_hole_is_mended_by_a_new_connection_though_not_over_and_over(timed: Page) -> None:
    call(timed, STREAM + "stream.follow('s', 'e.1'); await until(() => stream.state === 'open');")
    call(timed, """await bodies[0]('id: e.2\\ndata: {"hole": true}\\n\\n'); await until(() => asked.length === 2);""")
    assert "after=e.2" in timed.evaluate("asked[1].path"), "from what was told last"
    timed.clock.run_for(2_000)
    call(timed, "stream.restart();")
    assert timed.evaluate("asked.length") == 2
    timed.clock.run_for(2_000)
    call(timed, "stream.restart();")
    assert timed.evaluate("asked.length") == 3


def test_a_page_that_comes_back_from_the_browsers_cache_goes_on(alone: Page) -> None:
    call(alone, STREAM + "stream.follow('s', 'e.1'); await until(() => stream.state === 'open');")
    alone.evaluate("dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))")
    assert alone.evaluate("stream.state") == "idle"
    alone.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    call(alone, "await until(() => asked.length === 2 && stream.state === 'open');")


def test_a_hidden_tab_does_not_claim_the_connection_of_the_one_that_is_looked_at(alone: Page) -> None:
    claimed = """
      const { LiveStream } = await load("stream.js");
      const heard = [];
      new BroadcastChannel("ai-chat:visible").onmessage = ({ data }) => heard.push(data);
      const look = (hidden) => {
        Object.defineProperty(document, "hidden", { get: () => hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
      };
      look(true);
      new LiveStream({ onEvent: () => {}, onOpen: () => {}, onState: () => {} });
      look(true);
      new BroadcastChannel("ai-chat:visible").postMessage("end");
      await until(() => heard.includes("end"));
      delete document.hidden;
      return heard;
    """
    assert call(alone, claimed) == ["end"]
