"""MessageHistory.append."""

import asyncio

import pytest
from contract.backend import Backend, Contract, say, witness
from session_svc.domain.errors import InvalidName, PositionConflict, SessionNotFound
from session_svc.domain.events import MessageAppended, SessionChanged, SessionCreated
from session_svc.domain.limits import CONTENT_BYTES
from session_svc.domain.message import Message, NewMessage, Role, Status
from session_svc.domain.position import Position
from session_svc.domain.session import TitleSource
from session_svc.storage.base import EMPTY, Expected

USER, ASSISTANT, SYSTEM, TOOL = Role.USER, Role.ASSISTANT, Role.SYSTEM, Role.TOOL

ODD_TEXTS = [
    "",
    " ",
    "\x00\x01\x7f\x80",
    "\u2028\u2029",
    "a\r\nb\tc",
    'quote " backslash \\ slash / </script>',
    "ünïcödé 漢字 😀 e\u0301 \ufeff",
    "%s {0} $1 ARGV[1] ]] --",
    '{"role":"system","content":"no"}',
]


class AppendContract(Contract):
    """Adding messages to the end."""

    async def test_the_first_append_creates_the_session(self, backend: Backend) -> None:
        appended = await backend.append("talk", say("hello", id="one"), owner="ann")
        session = appended.session
        assert (session.name, session.owner, session.message_count) == ("talk", "ann", 1)
        assert (session.last_role, session.preview, session.awaiting_reply) == (USER, "hello", True)
        assert (session.title, session.title_source) == ("hello", TitleSource.AUTO)
        assert session.create_time == session.last_active_time
        assert abs(session.create_time - appended.receipts[0].create_time) <= 1
        assert await backend.store.get("talk") == session

    async def test_receipts_name_each_message_and_its_place(self, backend: Backend) -> None:
        first = await backend.append("talk", say(id="a"), say(id="b"))
        second = await backend.append("talk", say(id="c"))
        assert [(receipt.id, receipt.sequence) for receipt in first.receipts] == [("a", 1), ("b", 2)]
        assert [(receipt.id, receipt.sequence) for receipt in second.receipts] == [("c", 3)]
        assert (first.position.sequence, second.position.sequence) == (2, 3)
        assert first.position.epoch == second.position.epoch
        assert second.position == second.session.position

    async def test_a_thousand_messages_are_one_step_in_order(self, backend: Backend) -> None:
        messages = [say(f"number {number}", id=f"n{number}") for number in range(1000)]
        appended = await backend.append("talk", *messages)
        assert [receipt.id for receipt in appended.receipts] == [message.id for message in messages]
        assert [message.content for message in await backend.log("talk")] == [message.content for message in messages]

    @pytest.mark.parametrize("text", ODD_TEXTS)
    async def test_every_text_is_kept_byte_for_byte(self, backend: Backend, text: str) -> None:
        await backend.append("talk", say(text, author=text, model=text, status_reason=text))
        [message] = await backend.log("talk")
        assert (message.content, message.author, message.model, message.status_reason) == (text, text, text, text)

    async def test_a_message_of_the_greatest_size_is_kept(self, backend: Backend) -> None:
        content, attributes = "é" * (CONTENT_BYTES // 2), '{"a":"' + "x" * (CONTENT_BYTES - 8) + '"}'
        await backend.append("talk", say(content, attributes=attributes))
        [message] = await backend.log("talk")
        assert message.content == content
        assert message.attributes == attributes

    @pytest.mark.parametrize(
        "attributes", ['{ "b":1, "a" : 1.0,\n"b":[] }', '{"é":"\\u00e9 \\ud800 \\/"}', "{}", '{"x":{"attributes":"}"}}']
    )
    async def test_attributes_are_kept_byte_for_byte(self, backend: Backend, attributes: str) -> None:
        async with witness(backend, "talk") as watch:
            await backend.append("talk", say(attributes=attributes))
            [message] = await backend.log("talk")
            [event] = (await watch.told()).session
        assert message.attributes == attributes
        assert isinstance(event, MessageAppended)
        assert event.message.attributes == attributes

    async def test_every_field_is_read_back(self, backend: Backend) -> None:
        given = NewMessage(
            role=ASSISTANT,
            content="said",
            id="mine:1",
            author="bot",
            model="m-1",
            create_time=1_600_000_000_123,
            status=Status.INTERRUPTED,
            status_reason="stopped",
            attributes='{"usage":{"tokens":3}}',
        )
        await backend.append("talk", given)
        assert await backend.log("talk") == [
            Message(
                id="mine:1",
                sequence=1,
                role=ASSISTANT,
                content="said",
                author="bot",
                model="m-1",
                create_time=1_600_000_000_123,
                status=Status.INTERRUPTED,
                status_reason="stopped",
                attributes='{"usage":{"tokens":3}}',
            )
        ]

    async def test_a_message_without_a_time_gets_the_stores(self, backend: Backend) -> None:
        appended = await backend.append("talk", say(), say(create_time=5))
        first, second = await backend.log("talk")
        assert first.create_time == appended.session.last_active_time
        assert second.create_time == 5
        assert [receipt.create_time for receipt in appended.receipts] == [first.create_time, 5]

    async def test_a_time_of_ones_own_changes_no_order(self, backend: Backend) -> None:
        await backend.append("talk", say("late", create_time=9_000_000_000_000))
        await backend.append("talk", say("early", create_time=1))
        assert [message.content for message in await backend.log("talk")] == ["late", "early"]

    async def test_the_owner_is_whoever_created_it(self, backend: Backend) -> None:
        await backend.append("talk", say(), owner="ann")
        assert (await backend.append("talk", say(), owner="bob")).session.owner == "ann"

    async def test_activity_moves_on_and_creation_does_not(self, backend: Backend) -> None:
        first = (await backend.append("talk", say())).session
        await backend.pass_time(5)
        second = (await backend.append("talk", say())).session
        assert second.last_active_time > first.last_active_time
        assert second.create_time == first.create_time

    async def test_messages_are_announced_in_order_each_with_the_head_after_it(self, backend: Backend) -> None:
        async with witness(backend, "talk") as watch:
            first = await backend.append("talk", say("a"), say("b", ASSISTANT), owner="ann")
            second = await backend.append("talk", say("c", TOOL, attributes="{}"), say("d", SYSTEM))
            log = await backend.log("talk")
            told = await watch.told()
        epoch = first.position.epoch
        assert told.session == [MessageAppended(Position(epoch, message.sequence), message) for message in log]
        assert told.list == [SessionCreated(first.session), SessionChanged(second.session)]

    async def test_appends_at_the_same_time_leave_no_hole_and_mix_nothing(self, backend: Backend) -> None:
        async with witness(backend, "talk") as watch:
            appended = await asyncio.gather(
                *(backend.append("talk", say(f"{number}a"), say(f"{number}b")) for number in range(40))
            )
            log = await backend.log("talk")
            told = await watch.told()
        assert [message.sequence for message in log] == list(range(1, 81))
        contents = [message.content for message in log]
        for number in range(40):
            assert contents.index(f"{number}b") == contents.index(f"{number}a") + 1
        assert {answer.position.sequence for answer in appended} == set(range(2, 81, 2))
        assert [event.message for event in told.session if isinstance(event, MessageAppended)] == log


class WhetherToAppendContract(Contract):
    """What a writer may demand before anything is written."""

    async def test_require_existing_creates_nothing(self, backend: Backend) -> None:
        async with witness(backend, "talk") as watch:
            with pytest.raises(SessionNotFound):
                await backend.append("talk", say(), require_existing=True)
            with pytest.raises(SessionNotFound):
                await backend.store.get("talk")
            told = await watch.told()
        assert told.session == []
        assert told.list == []

    async def test_require_existing_appends_to_what_exists(self, backend: Backend) -> None:
        await backend.create("talk")
        assert (await backend.append("talk", say(), require_existing=True)).position.sequence == 1

    @pytest.mark.parametrize("name", ["a", "0", "A.b_c-d@e:f~g", "x" * 128])
    async def test_a_name_within_the_rule_is_created(self, backend: Backend, name: str) -> None:
        assert (await backend.append(name, say())).session.name == name

    @pytest.mark.parametrize("name", [".", "..", "_a", "a b", "a/b", "é", "aé", "x" * 129, "漢字 / 😀"])
    async def test_a_name_outside_the_rule_is_not_created(self, backend: Backend, name: str) -> None:
        with pytest.raises(InvalidName):
            await backend.append(name, say())
        with pytest.raises(InvalidName):
            await backend.create(name)
        with pytest.raises(SessionNotFound):
            await backend.append(name, say(), require_existing=True)
        with pytest.raises(SessionNotFound):
            await backend.store.get(name)
        assert await backend.listed() == []

    async def test_the_head_may_be_expected(self, backend: Backend) -> None:
        first = await backend.append("talk", say(), expected=EMPTY)
        second = await backend.append("talk", say(), expected=first.position)
        assert second.position.sequence == 2

    async def test_empty_is_expected_of_a_session_without_messages(self, backend: Backend) -> None:
        created = await backend.create("talk")
        assert (await backend.append("talk", say(), expected=EMPTY)).position.sequence == 1
        other = await backend.create("other")
        assert (await backend.append("other", say(), expected=other.position)).position.sequence == 1
        assert created.position.sequence == 0

    @pytest.mark.parametrize("wrong", ["empty", "behind", "beyond", "other epoch"])
    async def test_a_head_elsewhere_writes_nothing_and_is_told(self, backend: Backend, wrong: str) -> None:
        head = (await backend.append("talk", say("a"), say("b"))).position
        heads: dict[str, Expected] = {
            "empty": EMPTY,
            "behind": Position(head.epoch, 1),
            "beyond": Position(head.epoch, 3),
            "other epoch": Position("zzzzzzzz0000", 2),
        }
        before = await backend.store.get("talk")
        async with witness(backend, "talk") as watch:
            with pytest.raises(PositionConflict) as conflict:
                await backend.append("talk", say(), expected=heads[wrong])
            assert await backend.store.get("talk") == before
            told = await watch.told()
        assert conflict.value.actual == head
        assert told.session == []
        assert told.list == []

    async def test_a_head_expected_of_a_session_that_is_not_there_creates_nothing(self, backend: Backend) -> None:
        with pytest.raises(PositionConflict) as conflict:
            await backend.append("talk", say(), expected=Position("mws7vouqk8l8", 1))
        assert conflict.value.actual is None
        assert await backend.listed() == []

    async def test_of_writers_that_expect_the_same_head_one_wins(self, backend: Backend) -> None:
        head = (await backend.append("talk", say())).position
        outcomes = await asyncio.gather(
            *(backend.append("talk", say(), expected=head) for _ in range(20)), return_exceptions=True
        )
        assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 1
        assert all(isinstance(outcome, PositionConflict) for outcome in outcomes if isinstance(outcome, Exception))
        assert len(await backend.log("talk")) == 2


class ExcerptsContract(Contract):
    """What a session shows of its messages: title, preview, last role, awaiting_reply."""

    @pytest.mark.parametrize(
        ("content", "title"),
        [
            ("one line", "one line"),
            ("first\nsecond", "first"),
            ("first\r\nsecond", "first"),
            ("\n\n  \tafter blanks \n", "after blanks "),
            ("\u00a0no-break space", "\u00a0no-break space"),
            ("x" * 61, "x" * 60),
            ("é漢😀" * 30, "é漢😀" * 20),
            ("", ""),
            (" \n\t", ""),
        ],
    )
    async def test_the_title_is_the_first_line_of_what_the_user_said(
        self, backend: Backend, content: str, title: str
    ) -> None:
        session = (await backend.append("talk", say(content))).session
        assert (session.title, session.title_source) == (title, TitleSource.AUTO if title else TitleSource.NONE)

    async def test_only_a_user_gives_a_title(self, backend: Backend) -> None:
        before = (await backend.append("talk", say("be kind", SYSTEM), say("hi", ASSISTANT))).session
        after = (await backend.append("talk", say("more", TOOL), say("question"), say("another"))).session
        assert (before.title, before.title_source) == ("", TitleSource.NONE)
        assert (after.title, after.title_source) == ("question", TitleSource.AUTO)

    async def test_a_title_is_never_replaced_by_a_message(self, backend: Backend) -> None:
        await backend.append("auto", say("first"))
        assert (await backend.append("auto", say("second"))).session.title == "first"
        await backend.create("given", title="mine")
        session = (await backend.append("given", say("hello"))).session
        assert (session.title, session.title_source) == ("mine", TitleSource.USER)

    @pytest.mark.parametrize("content", ["short", "x" * 121, "é漢😀" * 60, "a\nb", ""])
    async def test_the_preview_is_the_beginning_of_the_last_message(self, backend: Backend, content: str) -> None:
        session = (await backend.append("talk", say("before"), say(content, TOOL))).session
        assert session.preview == content[:120]
        assert session.last_role is TOOL

    @pytest.mark.parametrize(
        ("appends", "awaiting"),
        [
            ([[USER]], True),
            ([[ASSISTANT]], False),
            ([[SYSTEM]], False),
            ([[TOOL]], False),
            ([[USER], [ASSISTANT]], False),
            ([[USER], [TOOL]], True),
            ([[USER], [SYSTEM]], True),
            ([[USER], [TOOL, ASSISTANT]], False),
            ([[USER], [ASSISTANT, TOOL]], False),
            ([[USER, ASSISTANT]], False),
            ([[ASSISTANT, USER]], True),
            ([[USER, SYSTEM]], True),
            ([[USER, ASSISTANT, USER]], True),
            ([[USER], [ASSISTANT], [TOOL]], False),
        ],
    )
    async def test_a_user_awaits_a_reply_until_an_assistant_speaks(
        self, backend: Backend, appends: list[list[Role]], awaiting: bool
    ) -> None:
        for roles in appends:
            await backend.append("talk", *(say("x", role) for role in roles))
        assert (await backend.store.get("talk")).awaiting_reply is awaiting
