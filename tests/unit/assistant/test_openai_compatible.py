"""Asking model servers over real HTTP: those that work, and those that do not."""

import asyncio

import pytest
from ai_chat_assistant.providers.base import Facts, ModelError, Piece, Reasoning, Text, Turn
from ai_chat_assistant.providers.openai_compatible import OpenAICompatible
from support.model_server import Behaviour, breaks_off, chunk, model_server, refuses, says, sends, stalls, streams

ASKED = [Turn("system", "Be brief."), Turn("user", "Hello?")]
KEY = "sk-very-secret"
DONE = "data: [DONE]\n\n"


async def answer(url: str, *, stall_seconds: float = 20.0) -> list[Piece]:
    provider = OpenAICompatible(base_url=url, api_key=KEY, stall_seconds=stall_seconds)
    try:
        async with asyncio.timeout(60):
            return [piece async for piece in provider.answer("tiny", ASKED)]
    finally:
        await provider.close()


async def failure(*behaviours: Behaviour, stall_seconds: float = 20.0) -> str:
    async with model_server(*behaviours) as server:
        with pytest.raises(ModelError) as caught:
            await answer(server.url, stall_seconds=stall_seconds)
    assert KEY not in str(caught.value)
    return str(caught.value)


def text(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces if isinstance(piece, Text))


async def test_an_answer_comes_piece_by_piece_and_its_usage_last() -> None:
    async with model_server(says("Hel", "lo", "!", usage={"total_tokens": 7})) as server:
        pieces = await answer(server.url)
    assert pieces[:3] == [Text("Hel"), Text("lo"), Text("!")]
    assert isinstance(pieces[3], Facts)
    assert pieces[3].values["finish_reason"] == "stop"
    usage = pieces[3].values["usage"]
    assert isinstance(usage, dict)
    assert usage["total_tokens"] == 7


async def test_a_server_is_asked_for_a_stream_with_its_usage_by_whom_it_is_told_to() -> None:
    async with model_server(says("x")) as server:
        await answer(server.url)
    (request,) = server.requests
    assert request["model"] == "tiny"
    assert request["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hello?"},
    ]
    assert request["stream"] is True
    assert request["stream_options"] == {"include_usage": True}
    assert server.keys == [f"Bearer {KEY}"]


async def test_pieces_come_as_they_are_written() -> None:
    events = [chunk(content="first"), chunk(content="second"), chunk(finish_reason="stop")]
    async with model_server(streams(*events, pause=0.2)) as server:
        provider = OpenAICompatible(base_url=server.url, api_key=None, stall_seconds=20)
        pieces = provider.answer("tiny", ASKED)
        assert await anext(pieces) == Text("first")
        assert await anext(pieces) == Text("second")
        await pieces.aclose()
        await provider.close()


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_reasoning_is_told_apart_from_the_answer(name: str) -> None:
    hmm, dot = ({name: text} for text in ("Hmm", "."))
    events = [chunk(delta=hmm), chunk(delta=dot), chunk(content="Yes"), chunk(finish_reason="stop"), DONE]
    async with model_server(streams(*events)) as server:
        pieces = await answer(server.url)
    assert pieces[:3] == [Reasoning("Hmm"), Reasoning("."), Text("Yes")]


async def test_a_server_without_usage_is_fine() -> None:
    async with model_server(streams(chunk(content="Yes", finish_reason="length"))) as server:
        pieces = await answer(server.url)
    assert pieces == [Text("Yes"), Facts({"finish_reason": "length"})]


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_server_that_is_busy_is_asked_again_before_the_first_piece(status: int) -> None:
    busy = refuses(status, **{"retry-after-ms": "1"})
    async with model_server(busy, busy, says("Now")) as server:
        assert text(await answer(server.url)) == "Now"
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("status", "says_why"),
    [
        (401, "refused the API key (401); check OPENAI_API_KEY"),
        (403, "does not allow this (403): no"),
        (404, "has no model tiny (404): no"),
        (400, "refused or failed (400): no"),
        (429, "is busy, or its quota is used up (429): no"),
        (500, "refused or failed (500): no"),
    ],
)
async def test_a_refusal_is_explained_to_people(status: int, says_why: str) -> None:
    assert says_why in await failure(refuses(status, **{"retry-after-ms": "1"}))


async def test_a_key_that_the_server_repeats_is_not_passed_on() -> None:
    assert "key *** is" in await failure(refuses(400, f"key {KEY} is not good"))


async def test_a_page_of_html_is_no_explanation() -> None:
    assert "<" not in await failure(sends("<html>Bad gateway</html>", "text/html"))


async def test_a_model_that_never_begins_has_stalled() -> None:
    assert "said nothing for 0.3 s" in await failure(stalls(), stall_seconds=0.3)


async def test_a_model_that_falls_silent_has_stalled_and_is_not_asked_again() -> None:
    async with model_server(stalls(chunk(content="Well"))) as server:
        with pytest.raises(ModelError, match="said nothing for"):
            await answer(server.url, stall_seconds=0.3)
    assert len(server.requests) == 1


async def test_comments_that_keep_the_connection_alive_are_no_answer() -> None:
    assert "said nothing for" in await failure(streams(*[": wait\n\n"] * 100, pause=0.05), stall_seconds=0.4)


async def test_an_answer_that_breaks_off_is_not_taken_for_whole_and_not_asked_for_again() -> None:
    async with model_server(breaks_off(chunk(content="Once upon"))) as server:
        with pytest.raises(ModelError, match="broke off"):
            await answer(server.url)
    assert len(server.requests) == 1


async def test_an_answer_that_ends_without_a_finish_is_not_taken_for_whole() -> None:
    assert "broke off" in await failure(streams(chunk(content="Once upon")))


async def test_an_error_in_the_middle_of_an_answer_is_told() -> None:
    error = 'data: {"error": {"message": "overloaded", "code": 502}}\n\n'
    assert "failed: overloaded" in await failure(streams(chunk(content="Once"), error))


async def test_an_empty_answer_is_a_failure() -> None:
    assert "empty answer" in await failure(streams(chunk(finish_reason="content_filter"), DONE))


@pytest.mark.parametrize(
    "nonsense",
    [
        "hello",
        "data: {not json\n\n",
        "data: 42\n\n",
        "data: []\n\n",
        'data: {"choices": 7}\n\n',
        'data: {"choices": [7]}\n\n',
        'data: {"choices": [{"delta": "x"}]}\n\n',
        'data: {"choices": [{"delta": {"content": {"a": 1}}}]}\n\n',
        "data: \xff\xfe\n\n",
        "",
    ],
)
async def test_nonsense_is_a_failure_and_never_a_defect(nonsense: str) -> None:
    assert await failure(sends(nonsense, "text/event-stream"))


async def test_a_server_that_is_not_there_cannot_be_reached() -> None:
    with pytest.raises(ModelError, match=r"127\.0\.0\.1 cannot be reached; check OPENAI_BASE_URL"):
        await answer("http://127.0.0.1:1/v1")


async def test_an_answer_nobody_wants_any_more_is_not_read_on() -> None:
    async with model_server(says(*["word "] * 1000, pause=0.01)) as server:
        provider = OpenAICompatible(base_url=server.url, api_key=None, stall_seconds=20)
        pieces = provider.answer("tiny", ASKED)
        assert isinstance(await anext(pieces), Text)
        await pieces.aclose()
        await provider.close()
