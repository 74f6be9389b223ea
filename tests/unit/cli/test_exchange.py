"""Which reply answers one's own message."""

import asyncio

import pytest
from ai_chat_cli.exchange import Answer, Exchange
from ai_chat_client import ROLE_ASSISTANT, ROLE_USER, Message
from aichat.session.v1 import session_pb2 as model
from aichat.session.v1 import session_service_pb2 as api
from google.protobuf.message import Message as ProtoMessage
from google.protobuf.timestamp_pb2 import Timestamp


class Heard:
    """An exchange that is told of events."""

    def __init__(self) -> None:
        self.exchange = Exchange()
        self.sequence = 0

    def see(self, **event: ProtoMessage) -> None:
        self.exchange.see(api.WatchSessionResponse(**event))  # type: ignore[arg-type]  # One of its events.

    def message(self, id_: str, *, role: "model.Role.ValueType" = ROLE_USER) -> None:
        self.sequence += 1
        message = Message(id=id_, role=role, content=id_, sequence=self.sequence)
        self.see(messages=api.WatchMessages(messages=[message]))

    def start(self, id_: str) -> None:
        self.see(reply_started=api.WatchReplyStarted(reply=model.Reply(id=id_)))

    def finish(self, id_: str, *, kept: bool = True) -> None:
        self.sequence += kept
        message = Message(id=id_, role=ROLE_ASSISTANT, content=id_, sequence=self.sequence) if kept else None
        self.see(reply_finished=api.WatchReplyFinished(id=id_, message=message))

    def ask(self, id_: str = "mine") -> None:
        self.exchange.ask(id_)
        self.message(id_)

    def sent(self, *, reply: str = "", begun_after: bool = False) -> None:
        """The append is answered; `reply` was being written."""
        answer = api.AppendMessagesResponse(messages=[Message(create_time=Timestamp(seconds=10))])
        if reply:
            started = Timestamp(seconds=11) if begun_after else Timestamp(seconds=9)
            answer.session.reply.CopyFrom(model.Reply(id=reply, start_time=started))
        self.exchange.sent(answer)

    def reconnected(self, *seen: str, writing: str = "") -> None:
        """A lost connection is back: what was appended meanwhile, and the reply that is being written now."""
        for id_ in seen:
            self.message(id_, role=ROLE_ASSISTANT if id_.startswith("r") else ROLE_USER)
        if writing:
            self.see(reply_snapshot=api.ReplySnapshot(id=writing))
        self.see(caught_up=api.WatchCaughtUp())

    async def answered_by(self) -> str | None:
        """The id of the answer, None when there is none."""
        answer = await self.answer()
        return answer.message.id if answer.message else None

    async def answer(self) -> Answer:
        async with asyncio.timeout(60):
            return await self.exchange.answer()

    @property
    def waits(self) -> bool:
        return self.exchange.expected


@pytest.fixture
async def heard() -> Heard:
    return Heard()


async def test_a_reply_that_begins_after_ones_message_is_ones_own_until_it_ends(heard: Heard) -> None:
    heard.ask()
    assert heard.exchange.mine is None
    heard.start("r")
    assert heard.exchange.mine == "r"
    assert await heard.exchange.begins(0)
    heard.finish("r")
    assert heard.exchange.mine is None
    assert await heard.answered_by() == "r"


async def test_a_reply_that_was_being_written_before_is_not_the_answer(heard: Heard) -> None:
    heard.see(reply_snapshot=api.ReplySnapshot(id="earlier"))
    heard.ask()
    heard.finish("earlier")
    assert not await heard.exchange.begins(0)
    heard.start("r")
    heard.finish("r")
    assert await heard.answered_by() == "r"


async def test_the_reply_to_what_another_asks_later_is_not_ones_own(heard: Heard) -> None:
    heard.ask()
    heard.start("r")
    heard.message("theirs")
    heard.finish("r")
    heard.start("r2")
    assert heard.exchange.mine is None


async def test_a_reply_stays_ones_own_when_one_writes_on(heard: Heard) -> None:
    heard.ask("one")
    heard.start("r")
    heard.ask("two")
    assert heard.exchange.mine == "r"
    heard.finish("r")
    assert heard.waits, "the second message is not answered yet"
    heard.start("r2")
    assert heard.exchange.mine == "r2"


async def test_a_message_that_is_appended_whole_is_an_answer(heard: Heard) -> None:
    heard.ask()
    heard.message("whole", role=ROLE_ASSISTANT)
    assert await heard.answered_by() == "whole"


async def test_of_a_reply_stored_as_several_messages_the_last_is_the_answer(heard: Heard) -> None:
    heard.ask()
    heard.start("r")
    heard.message("call", role=ROLE_ASSISTANT)
    assert heard.waits
    heard.finish("r")
    assert await heard.answered_by() == "r"


async def test_the_end_of_a_reply_may_be_seen_only_as_a_message_after_a_new_connection(heard: Heard) -> None:
    heard.ask()
    heard.start("r")
    heard.message("r", role=ROLE_ASSISTANT)
    assert await heard.answered_by() == "r"
    assert heard.exchange.mine is None


@pytest.mark.parametrize("how", ["finished", "cleared", "truncated", "deleted", "reset"])
async def test_there_is_no_answer_once_the_reply_or_the_question_is_gone(heard: Heard, how: str) -> None:
    heard.message("before")
    heard.ask()
    heard.start("r")
    match how:
        case "finished":
            heard.finish("r", kept=False)
        case "cleared":
            heard.see(cleared=api.WatchCleared())
        case "truncated":
            heard.see(truncated=api.WatchTruncated(keep=1))
        case "deleted":
            heard.see(deleted=api.WatchDeleted())
        case "reset":
            heard.see(reset=api.WatchReset())
            heard.see(caught_up=api.WatchCaughtUp())
    answer = await heard.answer()
    assert answer.message is None
    assert answer.why
    assert heard.exchange.mine is None


async def test_a_reset_that_keeps_the_question_keeps_it_waiting(heard: Heard) -> None:
    heard.ask()
    heard.see(reset=api.WatchReset())
    heard.message("mine")
    heard.see(caught_up=api.WatchCaughtUp())
    assert heard.waits


async def test_what_happens_before_the_question_arrives_does_not_end_the_waiting(heard: Heard) -> None:
    heard.exchange.ask("mine")
    heard.see(cleared=api.WatchCleared())
    heard.see(deleted=api.WatchDeleted())
    heard.message("mine")
    heard.start("r")
    assert heard.exchange.mine == "r"


async def test_a_question_that_is_asked_again_where_it_stands_has_a_new_answer(heard: Heard) -> None:
    heard.message("theirs")
    heard.message("bad", role=ROLE_ASSISTANT)
    heard.exchange.ask_again(1)
    heard.see(truncated=api.WatchTruncated(keep=1))
    heard.start("r")
    assert heard.exchange.mine == "r"
    heard.finish("r")
    assert await heard.answered_by() == "r"


async def test_a_message_that_was_not_sent_waits_for_nothing(heard: Heard) -> None:
    heard.exchange.ask("mine")
    heard.exchange.withdraw()
    assert not heard.waits
    assert await heard.exchange.begins(0)


async def test_a_reply_that_began_unseen_before_ones_message_is_not_the_answer(heard: Heard) -> None:
    heard.exchange.ask("mine")
    heard.sent(reply="r-theirs")
    heard.reconnected("mine", writing="r-theirs")
    assert heard.exchange.mine is None
    assert not await heard.exchange.begins(0)
    heard.finish("r-theirs")
    heard.start("r")
    assert heard.exchange.mine == "r"
    heard.finish("r")
    assert await heard.answered_by() == "r"


async def test_a_reply_that_began_unseen_and_has_ended_is_not_the_answer_either(heard: Heard) -> None:
    heard.exchange.ask("mine")
    heard.sent(reply="r-theirs")
    heard.reconnected("mine", "r-theirs")
    assert heard.waits
    heard.start("r")
    assert heard.exchange.mine == "r"


@pytest.mark.parametrize("named", [False, True], ids=["first answer", "answer to the repeated append"])
async def test_a_reply_that_began_unseen_after_ones_message_is_the_answer(heard: Heard, named: bool) -> None:
    heard.exchange.ask("mine")
    heard.sent(reply="r" if named else "", begun_after=named)
    heard.reconnected("mine", writing="r")
    assert heard.exchange.mine == "r"
    heard.finish("r")
    assert await heard.answered_by() == "r"


async def test_a_reply_that_began_unseen_between_two_messages_of_ones_own_answers_the_first(heard: Heard) -> None:
    heard.ask("one")
    heard.sent()
    heard.exchange.ask("two")
    heard.sent(reply="r1")
    heard.reconnected("two", writing="r1")
    assert heard.exchange.mine == "r1"
    heard.finish("r1")
    assert heard.waits, "the second is not answered"
    heard.start("r2")
    assert heard.exchange.mine == "r2"


async def test_what_may_hide_the_beginning_of_a_reply_waits_for_the_answer_to_the_append(heard: Heard) -> None:
    heard.exchange.ask("mine")
    mine = Message(id="mine", role=ROLE_USER, sequence=1)
    arrived = [
        api.WatchSessionResponse(messages=api.WatchMessages(messages=[mine])),
        api.WatchSessionResponse(reply_snapshot=api.ReplySnapshot(id="r-theirs")),
    ]
    for event in arrived:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(heard.exchange.take(event), 0.01)
    heard.sent(reply="r-theirs")
    for event in arrived:
        await asyncio.wait_for(heard.exchange.take(event), 1)
    assert heard.exchange.mine is None
