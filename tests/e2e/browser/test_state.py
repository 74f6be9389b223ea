"""What the page keeps: messages, replies, positions, what is typed and what is on its way."""

from typing import Any

import pytest
from playwright.sync_api import Page
from support.alone import call

EPOCH, LATER = "mws8lg5t86ce", "mws8lg5u0000"


def test_the_newest_page_is_joined_to_older_ones_where_they_meet(alone: Page) -> None:
    held = """
      const { MessageLog } = await load("log.js");
      const log = new MessageLog();
      log.replace([said(3), said(4)], "e.4", "cursor");
      const kept = log.messages[1];
      log.replace([4, 5, 6].map((n) => said(n)), "e.6", "other");
      const met = [log.messages.map((m) => m.sequence), log.before, log.messages.includes(kept)];
      log.replace([9, 10].map((n) => said(n)), "e.10", "third");
      const apart = [log.messages.map((m) => m.sequence), log.before];
      log.replace([said(10)], "f.10", "fourth");
      return [met, apart, log.messages.map((m) => m.sequence)];
    """
    assert call(alone, held) == [[[3, 4, 5, 6], "cursor", True], [[9, 10], "third"], [10]]


def test_a_live_message_is_added_known_or_tells_of_a_gap(alone: Page) -> None:
    outcomes = """
      const { MessageLog } = await load("log.js");
      const { parsePosition } = await load("position.js");
      const log = new MessageLog();
      log.replace([said(1), said(2)], "e5.2", null);
      return argument.map(([at, n]) => [log.append(said(n), parsePosition(at)), log.position]);
    """
    steps = [["e5.2", 2], ["e5.4", 4], ["e5.3", 3], ["e4.9", 9], ["e6.2", 2], ["e6.1", 1]]
    assert call(alone, outcomes, steps) == [
        ["known", "e5.2"], ["gap", "e5.2"], ["added", "e5.3"], ["known", "e5.3"], ["gap", "e5.3"], ["added", "e6.1"],
    ]  # fmt: skip


def test_a_log_that_is_shortened_to_what_is_not_held_is_read_again(alone: Page) -> None:
    shortened = """
      const { MessageLog } = await load("log.js");
      const log = new MessageLog();
      log.replace([said(3), said(4)], "e.4", "cursor");
      return [log.truncate(3, { epoch: "f" }), log.position, log.truncate(2, { epoch: "g" })];
    """
    assert call(alone, shortened) == ["added", "f.3", "gap"]


def test_an_older_page_is_put_before_what_is_held_each_message_once(alone: Page) -> None:
    prepended = """
      const { MessageLog } = await load("log.js");
      const log = new MessageLog();
      log.replace([said(3)], "e.3", "cursor");
      log.prepend([said(1), said(2), said(3)], null);
      return [log.messages.map((m) => m.sequence), log.before];
    """
    assert call(alone, prepended) == [[1, 2, 3], None]


def test_an_epoch_that_is_longer_is_later_and_what_is_no_position_is_none(alone: Page) -> None:
    compared = """
      const { compareEpochs, parsePosition } = await load("position.js");
      return [compareEpochs("zz", "100") < 0, compareEpochs("100", "zz") > 0, parsePosition(".3"), parsePosition("e")];
    """
    assert call(alone, compared) == [True, True, None, None]


def test_a_chunk_comes_once_and_a_missing_one_is_told(alone: Page) -> None:
    drafted = """
      const { Replies } = await load("replies.js");
      const replies = new Replies(() => {});
      replies.start({ replyId: "r", author: "bot" });
      const taken = argument.map(([piece, from, to]) => replies.chunk(piece, { replyId: "r", from, to }));
      return [taken, replies.drafts[0].pieces];
    """
    chunks = [["a", 0, 1], ["b", 1, 3], ["a", 0, 1], ["b", 1, 3], ["d", 4, 5], ["c", 3, 4]]
    assert call(alone, drafted, chunks) == [[True, True, True, True, False, True], ["abc"]]


def test_after_a_new_connection_only_what_is_heard_of_again_is_still_being_written(alone: Page) -> None:
    left = """
      const { Replies } = await load("replies.js");
      const replies = new Replies(() => {});
      const names = () => replies.drafts.map(({ id }) => id);
      for (const replyId of ["gone", "current", "heard"]) replies.start({ replyId });
      replies.chunk("foreign", {});
      replies.settle("current");
      const before = names();
      replies.doubt();
      replies.chunk("a", { replyId: "heard", from: 0, to: 1 });
      replies.settle("current");
      return [before.length, names()];
    """
    assert call(alone, left) == [4, ["current", "heard", ""]]


def test_who_writes_is_learnt_where_the_beginning_was_missed(alone: Page) -> None:
    learnt = """
      const { Replies } = await load("replies.js");
      const replies = new Replies(() => {});
      replies.chunk("a", { replyId: "r", from: 0, to: 1 });
      replies.identify({ id: "other", author: "no" });
      const before = replies.drafts[0].author;
      replies.identify({ id: "r", author: "bot", model: "m" });
      replies.identify({ id: "r", author: "late" });
      const { author, model, pieces } = replies.drafts[0];
      return [before, author, model, pieces];
    """
    assert call(alone, learnt) == ["", "bot", "m", ["a"]]


def test_a_reply_of_chat_ai_ends_with_30_seconds_of_silence(timed: Page) -> None:
    begin = """
      const { Replies } = await load("replies.js");
      globalThis.ended = 0;
      globalThis.replies = new Replies(() => { globalThis.ended++; });
      replies.chunk("a", {});
    """
    call(timed, begin)
    timed.clock.run_for(29_000)
    call(timed, "replies.chunk('b', {})")
    timed.clock.run_for(29_000)
    assert timed.evaluate("[replies.drafts.length, ended]") == [1, 0]
    timed.clock.run_for(2_000)
    assert timed.evaluate("[replies.drafts.length, ended]") == [0, 1]


def plan(alone: Page, messages: list[dict[str, Any]], **facts: bool) -> Any:  # noqa: ANN401 - JSON.
    made = """
      const { planAgain } = await load("again.js");
      const { messages, facts } = argument;
      const plan = planAgain(messages.map((m) => ({ ...m, timestamp: m.age === undefined ? undefined : 1e12 - m.age })),
        { awaiting: false, named: true, ...facts, now: 1e12 });
      return plan && [plan.keep, plan.messages.map(({ id, ...rest }) => rest)];
    """
    numbered = [{"sequence": number, **message} for number, message in enumerate(messages, 1)]
    return call(alone, made, {"messages": numbered, "facts": facts})


def test_a_question_is_answered_again_where_it_stands_while_it_is_fresh_and_anew_later(alone: Page) -> None:
    asked: dict[str, Any] = {"role": "user", "content": "why?", "author": "ann"}
    answer: dict[str, Any] = {"role": "assistant", "content": "dunno"}
    anew = [{"role": "user", "content": "why?", "author": "ann"}]
    assert plan(alone, [answer]) is None
    assert plan(alone, [asked | {"age": 1000}, answer]) == [1, []]
    assert plan(alone, [asked | {"age": 1000}], awaiting=True) == [1, []]
    assert plan(alone, [answer, asked | {"age": 1000}]) == [1, anew], "cutting nothing off would change nothing"
    assert plan(alone, [asked | {"age": 61_000}, answer]) == [0, anew]
    assert plan(alone, [asked, answer]) == [0, anew], "chat.ai's messages have no time"
    assert plan(alone, [asked | {"age": -5000}, answer]) == [0, anew], "a clock that is ahead proves nothing"


def test_what_is_asked_anew_takes_the_messages_directly_before_it_along(alone: Page) -> None:
    more: dict[str, Any] = {"role": "user", "content": "a file", "author": "ann", "attributes": {"name": "x"}}
    asked: dict[str, Any] = {"role": "user", "content": "and?", "author": "ann"}
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "old"},
        {"role": "assistant", "content": "answered"},
        more,
        asked,
    ]
    kept, anew = plan(alone, messages, named=False)
    assert kept == 2
    assert anew == [{key: value for key, value in message.items() if key != "author"} for message in (more, asked)]


@pytest.mark.parametrize(
    ("truncated", "found", "outcome"),
    [
        ("ok", None, "sent"),
        ("lost", {"position": "f.0", "last": 0}, "sent"),
        ("lost", {"position": "e.2", "last": 2}, "failed"),
        ("lost", {"position": "f.1", "last": 1}, "failed"),
        ("lost", None, "refused"),
        ("conflict", None, "failed"),
    ],
)
def test_whatever_becomes_of_the_shortening_the_question_is_sent_once_or_kept(
    alone: Page, truncated: str, found: dict[str, Any] | None, outcome: str
) -> None:
    ran = """
      const { askAgain } = await load("again.js");
      const { Outbox } = await load("outbox.js");
      const { truncated, found } = argument;
      serve(({ path, method }) => {
        if (path.endsWith("/truncate")) {
          if (truncated === "lost") throw new TypeError("cut off");
          return truncated === "ok" ? json({}) : json({ reason: "POSITION_CONFLICT" }, { status: 412 });
        }
        if (method === "POST") return json({});
        if (!found) throw new TypeError("cut off");
        return json(found.last ? [said(found.last)] : [], { headers: { "Session-Position": found.position } });
      });
      const outbox = new Outbox();
      const messages = [{ id: "k", role: "user", content: "why?" }];
      let error = null;
      try { await askAgain("s", "e.2", { keep: 0, messages }, outbox); } catch (failure) { error = failure.reason; }
      await until(() => error || ["sent", "refused"].includes(outbox.of("s")[0]?.state));
      const sent = asked.filter(({ path, method }) => method === "POST" && path.endsWith("/messages")).length;
      const left = outbox.of("s").map(({ state }) => state);
      return [error && left.length === 0 && localStorage.length === 0 ? "failed" : left[0], sent];
    """
    assert call(alone, ran, {"truncated": truncated, "found": found}) == [outcome, int(outcome == "sent")]


def test_a_shortening_that_would_change_nothing_and_got_lost_has_not_happened(alone: Page) -> None:
    ran = """
      const { askAgain } = await load("again.js");
      const { Outbox } = await load("outbox.js");
      serve(({ path }) => {
        if (path.endsWith("/truncate")) throw new TypeError("cut off");
        return json([said(2)], { headers: { "Session-Position": argument } });
      });
      try { await askAgain("s", "e.2", { keep: 2, messages: [] }, new Outbox()); } catch ({ reason }) { return reason; }
    """
    assert call(alone, ran, "e.2") == "NETWORK"
    assert call(alone, ran, "f.2") is None


def test_what_a_closed_page_left_is_sent_in_order_unless_nobody_knows_what_became_of_it(alone: Page) -> None:
    revived = """
      const now = Date.now();
      const hour = 3600_000;
      const put = (key, at, state) => localStorage.setItem(`ai-chat:outbox:${key}`,
        JSON.stringify({ key, session: "s", content: key, author: "", at: now - at, state, problem: "" }));
      put("a-later", 1000, "waiting");
      put("b-sooner", 2000, "sending");
      put("c-refused", 3000, "refused");
      put("d-held", 4000, "held");
      put("e-old", 21 * hour, "waiting");
      localStorage.setItem("ai-chat:outbox:broken", "[1]");
      const { Outbox } = await load("outbox.js");
      return new Outbox().of("s").map(({ key, state }) => [key, state]);
    """
    assert call(alone, revived) == [
        ["e-old", "refused"], ["d-held", "refused"], ["c-refused", "refused"], ["b-sooner", "waiting"],
        ["a-later", "waiting"],
    ]  # fmt: skip


@pytest.mark.parametrize(("status", "state"), [(401, "waiting"), (429, "waiting"), (503, "waiting"), (403, "refused")])
def test_what_may_be_taken_later_waits_and_what_may_not_is_refused(alone: Page, status: int, state: str) -> None:
    tried = """
      const { Outbox } = await load("outbox.js");
      serve(() => json({ detail: "no" }, { status: argument, headers: { "Retry-After": "60" } }));
      const outbox = new Outbox();
      outbox.add("s", "hello", "");
      await until(() => outbox.of("s")[0].problem);
      return [outbox.of("s")[0].state, localStorage.length];
    """
    assert call(alone, tried, status) == [state, 1]


def test_a_message_is_tried_again_when_the_server_says_and_forgotten_once_it_is_there(timed: Page) -> None:
    begin = """
      const { Outbox } = await load("outbox.js");
      globalThis.outbox = new Outbox();
      serve((_, n) => (n === 1 ? json({}, { status: 429, headers: { "Retry-After": "60" } }) : json({})));
      outbox.add("s", "hello", "");
      await until(() => outbox.of("s")[0].problem);
    """
    call(timed, begin)
    timed.clock.run_for(59_000)
    assert timed.evaluate("asked.length") == 1
    timed.clock.run_for(2_000)
    call(timed, "await until(() => outbox.of('s')[0].state === 'sent');")
    assert timed.evaluate("[asked.length, localStorage.length]") == [2, 0]


def test_a_server_that_is_away_is_asked_less_and_less_often(timed: Page) -> None:
    begin = """
      const { Outbox } = await load("outbox.js");
      serve(() => json({}, { status: 503 }));
      globalThis.outbox = new Outbox();
      outbox.add("s", "hello", "");
      await until(() => outbox.of("s")[0].problem);
    """
    call(timed, begin)
    for tried, pause in enumerate((2_000, 4_000, 8_000), 1):
        timed.clock.run_for(pause - 100)
        assert timed.evaluate("asked.length") == tried
        timed.clock.run_for(200)
        assert timed.evaluate("asked.length") == tried + 1
        call(timed, "await until(() => outbox.of('s')[0].state === 'waiting');")


def test_drafts_are_kept_for_the_50_sessions_written_in_last_and_go_with_their_text(alone: Page) -> None:
    kept = """
      const { draftOf, forgetTyped, keepDraft } = await load("drafts.js");
      const put = (name, at) => { const real = Date.now; Date.now = () => at; keepDraft(name, name); Date.now = real; };
      for (let n = 50; n >= 1; n--) put(`s${n}`, n);
      put("newest", 100);
      const left = [draftOf("s1"), draftOf("s2"), draftOf("newest")];
      keepDraft("s2", "");
      const emptied = [draftOf("s2"), "s2" in JSON.parse(localStorage.getItem("ai-chat:drafts"))];
      localStorage.setItem("another", "1");
      forgetTyped();
      return [left, emptied, Object.keys(localStorage)];
    """
    assert call(alone, kept) == [["", "s2", "newest"], ["", False], ["another"]]
