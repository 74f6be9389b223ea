"""Writing replies through the calls: every limit, every ending."""

import time

import grpc
import pytest
from aichat.session.v1 import session_pb2 as pb
from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1.session_service_pb2_grpc import SessionServiceStub
from google.protobuf.duration_pb2 import Duration
from integration.session_svc.failures import fails
from integration.session_svc.reply_stream import RENEW, delta, finish, part, start, writing
from support.until import STALL_SECONDS, until

MIB = 1024 * 1024
INVALID = grpc.StatusCode.INVALID_ARGUMENT
ABORTED = grpc.StatusCode.ABORTED
QUESTION = pb.Message(role=pb.ROLE_USER, content="why?")


def log(stub: SessionServiceStub, name: str) -> list[pb.Message]:
    return list(stub.ListMessages(api.ListMessagesRequest(session=name)).messages)


def text_of(reply: api.ReplySnapshot) -> str:
    return "".join(chunk.text for chunk in reply.chunks)


def snapshot(stub: SessionServiceStub, name: str) -> api.GetSnapshotResponse:
    return stub.GetSnapshot(api.GetSnapshotRequest(session=name, tail=10))


def until_said(stub: SessionServiceStub, name: str, text: str) -> None:
    until(lambda: text_of(snapshot(stub, name).reply) == text, what=f"the reply says {text!r}")


def test_a_reply_is_seen_while_it_is_written_and_becomes_a_message(stub: SessionServiceStub, name: str) -> None:
    with writing(stub, start(name, model="m", messages=[QUESTION])) as stream:
        started = stream.started()
        assert (started.reply_id, started.accepted) == ("r", 0)
        stream.send(delta("be"), part('{"n": 1}'), delta("cause"), RENEW, delta(""))
        until_said(stub, name, "because")
        seen = snapshot(stub, name)
        assert (seen.reply.id, seen.reply.author, seen.reply.model) == ("r", "bot", "m")
        assert [chunk.WhichOneof("content") for chunk in seen.reply.chunks] == ["text", "part", "text"]
        assert seen.reply.chunks[1].part == pb.Part(type="source", data='{"n": 1}')
        assert (seen.session.reply.id, seen.session.awaiting_reply) == ("r", True)
        assert seen.session.reply.HasField("start_time")
        assert (seen.position, [message.content for message in seen.messages]) == (started.position, ["why?"])
        stream.send(finish())
        finished = stream.finished()
        assert list(stream.call) == []
    [_, message] = log(stub, name)
    assert (message.id, message.content, message.role) == ("r", "because", pb.ROLE_ASSISTANT)
    assert message.attributes == '{"parts":[{"type":"source","data":{"n": 1}}]}'
    assert [(kept.id, kept.sequence, kept.content) for kept in finished.messages] == [("r", 2, "")]
    session = stub.GetSession(api.GetSessionRequest(name=name))
    assert (session.position, session.awaiting_reply, session.HasField("reply")) == (finished.position, False, False)


def test_messages_given_at_the_end_are_stored_instead_and_the_last_has_the_replys_id(
    stub: SessionServiceStub, name: str
) -> None:
    messages = [pb.Message(role=role, content=role_name) for role_name, role in pb.Role.items()[2:]]
    with writing(stub, start(name, messages=[QUESTION])) as stream:
        stream.started()
        stream.send(delta("draft"), finish(messages=messages))
        stream.finished()
    stored = log(stub, name)[1:]
    assert [message.content for message in stored] == [message.content for message in messages]
    assert stored[-1].id == "r"
    assert len({message.id for message in stored}) == len(stored)


def test_a_failed_reply_says_why(stub: SessionServiceStub, name: str) -> None:
    with writing(stub, start(name, messages=[QUESTION])) as stream:
        stream.started()
        failed = api.ReplyFail(reason="the model is away", attributes='{"code":503}')
        stream.send(api.StreamReplyRequest(fail=failed))
        stream.finished()
    message = log(stub, name)[-1]
    assert (message.status, message.status_reason, message.attributes) == (
        pb.MESSAGE_STATUS_FAILED,
        "the model is away",
        '{"code":503}',
    )


def test_the_slot_is_one(stub: SessionServiceStub, name: str) -> None:
    with writing(stub, start(name, messages=[QUESTION])) as stream:
        stream.started()
        with writing(stub, start(name, "other")) as second, fails() as failure:
            second.started()
        assert (failure.status, failure.reason) == (ABORTED, "REPLY_IN_PROGRESS")


def test_whoever_asks_stops_a_reply_and_its_writer_hears_of_it_within_a_second(
    stub: SessionServiceStub, name: str
) -> None:
    with writing(stub, start(name, messages=[QUESTION], lease=60)) as stream:
        stream.started()
        stream.send(delta("half"))
        until_said(stub, name, "half")
        with fails() as failure:
            stub.StopReply(api.StopReplyRequest(session=name, reply_id="another"))
        assert (failure.status, failure.reason) == (grpc.StatusCode.NOT_FOUND, "REPLY_NOT_FOUND")
        stopped = time.monotonic()
        kept = stub.StopReply(api.StopReplyRequest(session=name, reply_id="r")).message
        assert (kept.id, kept.content, kept.status) == ("r", "half", pb.MESSAGE_STATUS_INTERRUPTED)
        with fails() as failure:
            stream.finished()
        assert time.monotonic() - stopped < 1 + STALL_SECONDS
        assert (failure.status, failure.reason) == (ABORTED, "REPLY_STOPPED")
    assert log(stub, name)[-1] == kept


def test_a_reply_that_said_nothing_is_stopped_without_a_message(stub: SessionServiceStub, name: str) -> None:
    with writing(stub, start(name, messages=[QUESTION])) as stream:
        stream.started()
        assert not stub.StopReply(api.StopReplyRequest(session=name)).HasField("message")
    assert len(log(stub, name)) == 1


def test_there_must_be_a_reply_to_stop(stub: SessionServiceStub, name: str) -> None:
    with fails() as failure:
        stub.StopReply(api.StopReplyRequest(session=name))
    assert failure.reason == "SESSION_NOT_FOUND"
    with fails() as failure:
        stub.StopReply(api.StopReplyRequest(session=name, reply_id="no id"))
    assert (failure.reason, failure.violations[0][0]) == ("INVALID_FIELD", "reply_id")


@pytest.mark.parametrize("how", ["clear", "truncate", "delete"])
def test_the_writer_hears_within_a_second_that_its_session_lost_its_messages(
    stub: SessionServiceStub, name: str, how: str
) -> None:
    with writing(stub, start(name, messages=[QUESTION], lease=60)) as stream:
        stream.started()
        stream.send(delta("half"))
        until_said(stub, name, "half")
        began = time.monotonic()
        match how:
            case "clear":
                stub.ClearSession(api.ClearSessionRequest(name=name))
            case "truncate":
                stub.TruncateSession(api.TruncateSessionRequest(name=name, keep=0))
            case _:
                stub.DeleteSession(api.DeleteSessionRequest(name=name))
        with fails() as failure:
            stream.finished()
        assert time.monotonic() - began < 1 + STALL_SECONDS
        assert (failure.status, failure.reason) == (ABORTED, "REPLY_LOST")


def test_a_broken_stream_is_resumed_after_what_is_stored_and_told_the_end_again(
    stub: SessionServiceStub, name: str
) -> None:
    first = start(name, messages=[QUESTION])
    with writing(stub, first) as stream:
        stream.started()
        stream.send(delta("a"), delta("b"))
        until_said(stub, name, "ab")
    with writing(stub, first) as stream:
        assert stream.started().accepted == 2
        stream.send(delta("c"), finish())
        end = stream.finished()
    with writing(stub, first) as stream:
        assert stream.finished() == end
    assert [message.content for message in log(stub, name)] == ["why?", "abc"]
    with writing(stub, start(name, writer_key="another")) as stream, fails() as failure:
        stream.started()
    assert failure.reason == "REPLY_LOST"


def test_a_stream_that_closes_without_an_end_leaves_the_reply_to_its_lease(stub: SessionServiceStub, name: str) -> None:
    with writing(stub, start(name, messages=[QUESTION], lease=1)) as stream:
        stream.started()
        stream.send(delta("half"))
        stream.close()
        with fails() as failure:
            stream.finished()
    assert (failure.status, failure.reason) == (INVALID, "INVALID_FIELD")
    assert text_of(snapshot(stub, name).reply) == "half"
    began = time.monotonic()
    until(lambda: len(log(stub, name)) == 2, what="the end of the lease")
    assert time.monotonic() - began < 2 + STALL_SECONDS
    message = log(stub, name)[-1]
    assert (message.content, message.status) == ("half", pb.MESSAGE_STATUS_INTERRUPTED)


def test_a_silent_writer_loses_its_reply_and_a_renewing_one_keeps_it(stub: SessionServiceStub, name: str) -> None:
    with writing(stub, start(name, messages=[QUESTION], lease=2)) as stream:
        stream.started()
        for _ in range(5):
            time.sleep(0.5)  # What is tested is that time passes.
            stream.send(RENEW)
        assert snapshot(stub, name).HasField("reply")
        with fails() as failure:
            stream.finished()
    assert (failure.status, failure.reason) == (ABORTED, "REPLY_LOST")


def test_what_comes_after_the_end_changes_nothing(stub: SessionServiceStub, name: str) -> None:
    with writing(stub, start(name, messages=[QUESTION])) as stream:
        stream.started()
        stream.send(delta("all"), finish(), delta(" or not"), RENEW, finish())
        stream.finished()
        assert list(stream.call) == []
    assert [message.content for message in log(stub, name)] == ["why?", "all"]


BAD_STARTS = [
    ("INVALID_FIELD", "frame", api.StreamReplyRequest()),
    ("INVALID_FIELD", "frame", delta("x")),
    ("INVALID_NAME", "start.session", start("")),
    ("INVALID_NAME", "start.session", start("a{b")),
    ("INVALID_FIELD", "start.reply_id", start("s", "no id")),
    ("INVALID_FIELD", "start.reply_id", start("s", "x" * 65)),
    ("INVALID_FIELD", "start.writer_key", start("s", writer_key="x" * 65)),
    ("INVALID_FIELD", "start.author", start("s", author="x" * 257)),
    ("INVALID_FIELD", "start.model", start("s", model="x" * 257)),
    ("INVALID_FIELD", "start.lease", start("s", lease=0)),
    ("INVALID_FIELD", "start.lease", start("s", lease=61)),
    ("INVALID_FIELD", "start.messages", start("s", messages=[QUESTION] * 1001)),
    ("INVALID_FIELD", "start.messages[1].role", start("s", messages=[QUESTION, pb.Message()])),
    (
        "TOO_LARGE",
        "start.messages[0].content",
        start("s", messages=[pb.Message(role=pb.ROLE_USER, content="x" * (MIB + 1))]),
    ),
    ("TOO_LARGE", "request", start("s", messages=[pb.Message(role=pb.ROLE_USER, content="x" * MIB)] * 4)),
]


@pytest.mark.parametrize(("reason", "field", "first"), BAD_STARTS)
def test_a_start_that_breaks_a_limit_is_refused(
    stub: SessionServiceStub, reason: str, field: str, first: api.StreamReplyRequest
) -> None:
    with writing(stub, first) as stream, fails() as failure:
        stream.started()
    assert (failure.status, failure.reason) == (INVALID, reason)
    assert failure.violations[0][0] == field


def test_a_start_needs_a_session_or_messages_and_the_head_it_expects(stub: SessionServiceStub, name: str) -> None:
    with writing(stub, start(name)) as stream, fails() as failure:
        stream.started()
    assert failure.reason == "SESSION_NOT_FOUND"
    with writing(stub, start("no such name", messages=[QUESTION])) as stream, fails() as failure:
        stream.started()
    assert failure.reason == "INVALID_NAME"
    head = stub.AppendMessages(api.AppendMessagesRequest(session=name, messages=[QUESTION])).position
    with writing(stub, start(name, expected_position="")) as stream, fails() as failure:
        stream.started()
    assert (failure.reason, failure.metadata) == ("POSITION_CONFLICT", {"position": head})


BAD_FRAMES = [
    ("INVALID_FIELD", "frame", api.StreamReplyRequest()),
    ("INVALID_FIELD", "start", start("s")),
    ("INVALID_FIELD", "part.type", part(type="")),
    ("INVALID_FIELD", "part.type", part(type="Reasoning")),
    ("INVALID_FIELD", "part.type", part(type="x" * 65)),
    ("INVALID_FIELD", "part.data", part("")),
    ("INVALID_FIELD", "part.data", part("[]")),
    ("INVALID_FIELD", "part.data", part("{")),
    ("TOO_LARGE", "part.data", part('{"a":"' + "x" * 64 * 1024 + '"}')),
    ("INVALID_FIELD", "finish.attributes", finish(attributes="1")),
    ("TOO_LARGE", "finish.attributes", finish(attributes='{"a":"' + "x" * MIB + '"}')),
    ("INVALID_FIELD", "finish.messages[0].role", finish(messages=[pb.Message()])),
    ("INVALID_FIELD", "fail.reason", api.StreamReplyRequest(fail=api.ReplyFail(reason="x" * 1025))),
    ("INVALID_FIELD", "fail.attributes", api.StreamReplyRequest(fail=api.ReplyFail(attributes="x"))),
    ("TOO_LARGE", "request", delta("x" * 5 * MIB)),
]


@pytest.mark.parametrize(("reason", "field", "frame"), BAD_FRAMES)
def test_a_frame_that_breaks_a_limit_ends_the_stream_and_not_the_reply(
    stub: SessionServiceStub, name: str, reason: str, field: str, frame: api.StreamReplyRequest
) -> None:
    with writing(stub, start(name, messages=[QUESTION])) as stream:
        stream.started()
        stream.send(delta("said"), frame)
        with fails() as failure:
            stream.finished()
    assert (failure.status, failure.reason) == (INVALID, reason)
    assert failure.violations[0][0] == field
    assert text_of(snapshot(stub, name).reply) == "said"
    with writing(stub, start(name)) as stream:
        assert stream.started().accepted == 1
        stream.send(finish())
        stream.finished()


def test_a_reply_that_grows_too_large_ends_without_the_frame_that_was_too_much(
    stub: SessionServiceStub, name: str
) -> None:
    with writing(stub, start(name, messages=[QUESTION])) as stream:
        stream.started()
        stream.send(*[delta("x" * 65_536)] * 15, *[delta("y" * 64)] * 1024, delta("é"), delta("z"))
        with fails() as failure:
            stream.finished()
    assert (failure.status, failure.reason) == (INVALID, "TOO_LARGE")
    message = log(stub, name)[-1]
    assert message.status == pb.MESSAGE_STATUS_INTERRUPTED
    assert len(message.content) == MIB
    assert message.content.count("y") == 65_536


def test_the_largest_reply_fits_a_snapshot_that_a_client_with_defaults_reads(
    stub: SessionServiceStub, name: str
) -> None:
    big = pb.Message(role=pb.ROLE_USER, content="x" * MIB, attributes='{"a":"' + "x" * (MIB - 100) + '"}')
    data = '{"a":"' + "x" * (65_536 - 8) + '"}'
    with writing(stub, start(name, messages=[big])) as stream:
        stream.started()
        stream.send(delta("y" * MIB), *[part(data)] * 16)
        until(lambda: len(snapshot(stub, name).reply.chunks) == 17, what="all chunks are stored")
        seen = snapshot(stub, name)
        assert list(seen.messages) == []
        stream.send(finish())
        stream.finished()
    assert len(log(stub, name)) == 1  # Of the pages that one response can hold; the reply is on the next.


@pytest.mark.parametrize("running", ["memory"], indirect=True)  # It reaches no storage, and takes ten seconds.
def test_a_stream_without_a_first_frame_is_ended(stub: SessionServiceStub) -> None:
    with writing(stub, None) as stream:
        stream.close()
        with fails() as failure:
            stream.started()
    assert (failure.reason, failure.violations[0][0]) == ("INVALID_FIELD", "start")
    began = time.monotonic()
    with writing(stub, None) as stream, fails() as failure:
        stream.started()
    assert (failure.reason, failure.violations[0][0]) == ("INVALID_FIELD", "start")
    assert time.monotonic() - began < 10 + STALL_SECONDS


def test_without_a_lease_it_is_the_default_and_ids_are_made_up(stub: SessionServiceStub, name: str) -> None:
    first = api.StreamReplyRequest(start=api.ReplyStart(session=name, messages=[QUESTION]))
    with writing(stub, first) as stream:
        started = stream.started()
        assert started.reply_id
        assert log(stub, name)[0].id
    over = start(name, lease=1)
    over.start.lease.CopyFrom(Duration(nanos=-1))
    with writing(stub, over) as stream, fails() as failure:
        stream.started()
    assert failure.violations[0][0] == "start.lease"


def test_what_a_reply_became_can_be_written_again(stub: SessionServiceStub, name: str) -> None:
    deepest = '{"a":' * 99 + "{}" + "}" * 99
    large = '{ "n": 1.0e400, "n": "' + "x" * (64 * 1024 - 30) + '" }'
    with writing(stub, start(name, messages=[QUESTION])) as stream:
        stream.started()
        stream.send(delta("é" * 1000), part(deepest), *[part(large)] * 31, *[part("{}")] * 1000, finish())
        stream.finished()
    _, became = log(stub, name)
    assert len(became.attributes) > 2 * MIB - 100_000
    became.ClearField("sequence")
    stub.AppendMessages(api.AppendMessagesRequest(session=f"{name}-2", messages=[became]))
    [again] = log(stub, f"{name}-2")
    again.ClearField("sequence")
    assert again == became


def parts(count: int) -> str:
    return ",".join(['{"type":"a","data":{"a":"' + "x" * 64 * 1024 + '"}}'] * count)


@pytest.mark.parametrize(
    "attributes",
    [
        f'{{"parts":[{parts(34)}]}}',
        f'{{"parts":[{parts(17)}],"usage":{{}}}}',
        f'{{"parts":[{parts(17)},{{"type":"a"}}]}}',
        f'{{"parts":[{parts(17)},{{"type":"A","data":{{}}}}]}}',
        f'{{"parts":[{parts(17)}],"parts":1}}',
    ],
    ids=["more-than-a-reply", "beside-usage", "without-data", "of-no-type", "no-list"],
)
def test_attributes_that_no_reply_could_have_become_are_no_larger_than_others(
    stub: SessionServiceStub, name: str, attributes: str
) -> None:
    message = pb.Message(role=pb.ROLE_ASSISTANT, attributes=attributes)
    with fails() as failure:
        stub.AppendMessages(api.AppendMessagesRequest(session=name, messages=[message]))
    assert (failure.status, failure.reason) == (INVALID, "TOO_LARGE")
    assert failure.violations[0][0] == "messages[0].attributes"
