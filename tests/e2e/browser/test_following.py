"""How the page follows a session: what it has read, and the events that come meanwhile."""

from playwright.sync_api import Page
from support.alone import call

CONVERSATION = """
  const { Conversation } = await load("conversation.js");
  const stream = {
    followed: [], restarts: 0,
    follow(...to) { this.followed.push(to); },
    restart() { this.restarts++; },
  };
  const conversation = new Conversation(stream);
  const held = () => conversation.log.messages.map(({ sequence }) => sequence);
  const page = (sequences, position, before = null) => json(sequences.map((n) => said(n)), { headers: {
    "Session-Position": position, ...(before ? { Link: `</x?before=${before}>; rel="prev"` } : {}) } });
  const missing = () => json({ reason: "SESSION_NOT_FOUND", detail: "none" }, { status: 404 });
  const isHistory = ({ path }) => path.includes("/messages");
  const gate = () => { let open; const opened = new Promise((resolve) => { open = resolve; }); return [opened, open]; };
"""


def test_what_comes_while_the_history_is_read_again_waits_and_is_taken_once(alone: Page) -> None:
    taken = """
      let wait = null;
      serve(async (request) => {
        if (!isHistory(request)) return json({ name: "s" });
        await wait;
        return wait ? page([1, 2, 3], "f.3") : page([1, 2], "e.2");
      });
      await conversation.open("s");
      const [opened, open] = gate();
      wait = opened;
      conversation.take({ type: "reset", position: "f.3" });
      for (const n of [3, 4]) conversation.take({ type: "user", payload: said(n), position: `f.${n}` });
      const meanwhile = held();
      open();
      await until(() => conversation.log.position === "f.4");
      return [meanwhile, held(), stream.followed.at(-1)];
    """
    assert call(alone, CONVERSATION + taken) == [[1, 2], [1, 2, 3, 4], ["s", "e.2"]]


def test_what_a_log_holds_already_does_not_change_it_and_does_not_begin_its_reply_anew(alone: Page) -> None:
    unchanged = """
      serve((request) => (isHistory(request) ? page([1, 2], "f.2") : json({ name: "s" })));
      await conversation.open("s");
      conversation.replies.start({ replyId: "now" });
      conversation.take({ type: "truncate", payload: { keep: 1 }, position: "e.1" });
      conversation.take({ type: "clear", payload: {}, position: "e.0" });
      for (const type of ["start", "snapshot", "chunk", "part"])
        conversation.take({ type, payload: { replyId: "m2", from: 7, to: 8, content: "x", type: "a", data: {} } });
      return [held(), conversation.replies.drafts.map(({ id }) => id), stream.restarts];
    """
    assert call(alone, CONVERSATION + unchanged) == [[1, 2], ["now"], 0]


def test_a_missing_chunk_has_the_stream_told_from_anew(alone: Page) -> None:
    holed = """
      serve((request) => (isHistory(request) ? page([1], "e.1") : json({ name: "s" })));
      await conversation.open("s");
      conversation.take({ type: "start", payload: { replyId: "r" } });
      conversation.take({ type: "chunk", payload: { replyId: "r", content: "b", from: 1, to: 2 } });
      return [stream.restarts, conversation.replies.drafts[0].pieces];
    """
    assert call(alone, CONVERSATION + holed) == [1, []]


def test_what_the_list_tells_of_a_session_is_newer_than_an_answer_under_way(alone: Page) -> None:
    newer = """
      const [opened, open] = gate();
      serve(async (request) => {
        if (isHistory(request)) return page([1], "e.1");
        await opened;
        return json({ name: "s", title: "old" });
      });
      const joined = conversation.open("s");
      conversation.takeSession({ change: "updated", session: { name: "s", title: "new" } });
      open();
      await joined;
      return conversation.session.title;
    """
    assert call(alone, CONVERSATION + newer) == "new"


def test_a_session_that_could_not_be_read_or_was_missing_is_there_when_it_comes(alone: Page) -> None:
    there = """
      let how = () => { throw new TypeError("cut off"); };
      serve((request) => how(request));
      await conversation.open("s");
      const states = [conversation.state];
      how = missing;
      await conversation.streamOpened();
      await until(() => conversation.state !== "loading");
      states.push(conversation.state);
      conversation.takeSession({ change: "created", session: { name: "s" } });
      states.push(conversation.state);
      conversation.takeSession({ change: "deleted", session: { name: "s" } });
      states.push(conversation.state);
      return states;
    """
    assert call(alone, CONVERSATION + there) == ["failed", "missing", "ready", "deleted"]


def test_a_notice_stands_until_something_is_said(alone: Page) -> None:
    noticed = """
      serve((request) => (isHistory(request) ? page([1], "e.1") : json({ name: "s" })));
      await conversation.open("s");
      conversation.take({ type: "chunk", payload: { content: "foreign" } });
      conversation.take({ type: "error", payload: { content: "no model" } });
      const before = [conversation.notices.length, conversation.replies.drafts.length];
      conversation.take({ type: "chunk", payload: { content: "foreign" } });
      conversation.take({ type: "message", payload: said(2, "assistant"), position: "e.2" });
      return [before, [conversation.notices.length, conversation.replies.drafts.length]];
    """
    assert call(alone, CONVERSATION + noticed) == [[1, 0], [0, 0]]


def test_older_pages_fail_are_tried_again_and_make_way_for_another_log(alone: Page) -> None:
    older = """
      let answer = () => page([3, 4], "e.4", "c");
      serve((request) => (isHistory(request) ? answer(request) : json({ name: "s" })));
      await conversation.open("s");
      answer = () => { throw new TypeError("cut off"); };
      await conversation.older();
      const failed = conversation.loadingOlder;
      answer = () => page([1, 2], "e.4");
      await conversation.older();
      const joined = [conversation.loadingOlder, held(), asked.at(-1).path.includes("before=c")];
      answer = () => page([3, 4], "e.4", "c");
      await conversation.open("s");
      answer = ({ path }) => path.includes("before") ? json({ reason: "POSITION_CONFLICT" }, { status: 412 })
        : page([8, 9], "e.9", "d");
      await conversation.older();
      return [failed, joined, held(), conversation.loadingOlder];
    """
    assert call(alone, CONVERSATION + older) == ["failed", ["no", [1, 2, 3, 4], True], [8, 9], "no"]


def test_where_a_cursor_is_no_longer_taken_one_begins_again_at_the_newest_page(alone: Page) -> None:
    begun_again = """
      let answer = () => page([3, 4], "e.4", "c");
      serve((request) => (isHistory(request) ? answer(request) : json({ name: "s" })));
      await conversation.open("s");
      answer = () => page([2], "e.4", "b");
      await conversation.older();
      const before = held();
      answer = ({ path }) => path.includes("before") ? json({ reason: "INVALID_PAGE_TOKEN" }, { status: 400 })
        : page([3, 4], "e.4", "new");
      await conversation.older();
      return [before, held(), conversation.log.before];
    """
    assert call(alone, CONVERSATION + begun_again) == [[2, 3, 4], [3, 4], "new"]


def test_an_older_page_of_a_log_that_is_gone_is_left_out(alone: Page) -> None:
    gone = """
      const [opened, open] = gate();
      let before = null;
      serve(async (request) => {
        if (!isHistory(request)) return json({ name: "s" });
        if (!request.path.includes("before")) return page([3, 4], "e.4", "c");
        await opened;
        return page([1, 2], "e.4");
      });
      await conversation.open("s");
      const reading = conversation.older();
      conversation.take({ type: "clear", payload: {}, position: "f.0" });
      open();
      await reading;
      return held();
    """
    assert call(alone, CONVERSATION + gone) == []


def test_what_lies_far_above_is_let_go_of_unless_the_log_is_another_one(alone: Page) -> None:
    shed = """
      let answer = () => page([1, 2, 3, 4], "e.4");
      serve((request) => (isHistory(request) ? answer(request) : json({ name: "s" })));
      await conversation.open("s");
      answer = () => page([3, 4], "f.4", "x");
      await conversation.shed();
      const other = held();
      answer = () => page([3, 4], "e.4", "c");
      await conversation.shed();
      return [other, held(), conversation.log.before];
    """
    assert call(alone, CONVERSATION + shed) == [[1, 2, 3, 4], [3, 4], "c"]


def test_the_list_takes_what_comes_while_it_is_read_and_only_what_the_search_finds(alone: Page) -> None:
    listed = """
      const { SessionList } = await load("sessions.js");
      const list = new SessionList();
      const [opened, open] = gate();
      const names = () => list.sessions.map(({ name }) => name);
      serve(async () => { await opened; return json([{ name: "a", lastMessage: 1 }, { name: "b", lastMessage: 2 }]); });
      const reading = list.refresh();
      list.take({ change: "deleted", session: { name: "a" } });
      list.take({ change: "created", session: { name: "new", lastMessage: 3 } });
      open();
      await reading;
      const all = names();
      list.search("B");
      await until(() => list.state === "ready");
      list.take({ change: "updated", session: { name: "c", title: "a Boat", lastMessage: 4 } });
      list.take({ change: "updated", session: { name: "x", title: "none", lastMessage: 5 } });
      return [all, names().includes("c"), names().includes("x")];
    """
    assert call(alone, CONVERSATION + listed) == [["new", "b"], True, False]


def test_a_list_whose_cursor_is_no_longer_taken_is_read_from_the_top(alone: Page) -> None:
    again = """
      const { SessionList } = await load("sessions.js");
      const list = new SessionList();
      const next = { headers: { Link: '</x?cursor=c>; rel="next"' } };
      serve(({ path }) => path.includes("cursor") ? json({ reason: "INVALID_PAGE_TOKEN" }, { status: 400 })
        : json([{ name: asked.length > 1 ? "now" : "then" }], next));
      await list.refresh();
      await list.more();
      await until(() => list.sessions[0].name === "now");
      return [list.hasMore, list.loadingMore];
    """
    assert call(alone, CONVERSATION + again) == [True, False]
