"""One question, its answer watched everywhere: the whole product, two terminals, two browser windows, a model."""

import asyncio
import shlex
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Self

from fastapi.responses import Response, StreamingResponse
from playwright.sync_api import Page, expect
from support.model_server import chunk, model_server
from support.product import ROOT, Product, environment
from support.terminal import ENTER, Terminal
from support.visit import WAIT_MS, Opener

FIRST_HALF = [f"one{number} " for number in range(8)]
SECOND_HALF = [f"two{number} " for number in range(8)]
ANSWER = "".join(FIRST_HALF + SECOND_HALF).strip()
LEASE_MS = 15_000


class Model:
    """A model server that says what the test tells it to, when it does. Context manager; runs in its own thread."""

    def __init__(self) -> None:
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._words: asyncio.Queue[str] = asyncio.Queue()
        self._over = asyncio.Event()
        self._serving = threading.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()), name="model")

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._serving.wait(30), "the model server does not serve"
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(60)
        self._loop.close()

    def say(self, *words: str) -> None:
        """The next pieces of the answer; an empty one ends it."""
        for word in words:
            self._loop.call_soon_threadsafe(self._words.put_nowait, word)

    async def _serve(self) -> None:
        async with model_server(self._answer) as served:
            self.url = served.url
            self._serving.set()
            await self._over.wait()

    async def _answer(self) -> Response:
        return StreamingResponse(self._events(), media_type="text/event-stream")

    async def _events(self) -> AsyncIterator[str]:
        while word := await self._words.get():
            yield chunk(content=word)
        yield chunk(finish_reason="stop")
        yield "data: [DONE]\n\n"


def draft(page: Page, words: list[str]) -> None:
    expect(page.locator(".draft .prose")).to_have_text("".join(words).strip())


def test_an_answer_is_the_same_everywhere_and_so_are_the_remains_of_one_whose_assistant_was_killed(
    visit: Opener, tmp_path: Path
) -> None:
    with Model() as model, Product(_settings(tmp_path, model)) as product:
        chat = shlex.split(product.chat)
        command = [*chat[: chat.index("--session")], "--session", "talk"]
        tail = [sys.executable, "-m", "ai_chat_cli", "--server", product.server, "tail", "talk"]
        with (
            Terminal(command, environment=environment(tmp_path), directory=ROOT) as asking,
            Terminal(tail, environment=environment(tmp_path), directory=ROOT) as watching,
        ):
            early = visit("s/talk", base=product.page)
            asking.wait_for("talk")
            asking.type("Count!" + ENTER)
            expect(early.locator("#messages .role-user .prose")).to_have_text(["Count!"])
            model.say(*FIRST_HALF)
            draft(early, FIRST_HALF)
            late = visit("s/talk", base=product.page)
            draft(late, FIRST_HALF)
            model.say(*SECOND_HALF, "")
            for page in (early, late):
                expect(page.locator("#messages .role-assistant .prose")).to_have_text([ANSWER])
            for terminal in (asking, watching):
                terminal.wait_for(ANSWER)  # A prompt draws what is not a whole line yet again and again.

            asking.type("Once more!" + ENTER)
            expect(late.locator("#messages .role-user .prose")).to_have_text(["Count!", "Once more!"])
            model.say("half", " an", " answ")
            for page in (early, late):
                draft(page, ["half an answ"])
            product.children()["assistant"].kill()
            for page in (early, late):
                remains = page.locator("#messages .is-interrupted")
                expect(remains).to_contain_text("half an answ", timeout=LEASE_MS + WAIT_MS)
                expect(remains.locator(".ending")).to_have_text("Interrupted · The one who wrote it went away.")
            for terminal in (asking, watching):
                terminal.wait_for("interrupted")
                terminal.wait_for("half an answ")


def _settings(home: Path, model: Model) -> dict[str, str]:
    settings = {"ASSISTANT_MODEL": "slow", "OPENAI_BASE_URL": model.url, "OPENAI_API_KEY": "any"}
    return environment(home, ASSISTANT="on", **settings)
