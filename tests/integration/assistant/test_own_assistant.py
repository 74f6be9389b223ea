"""The assistant of one's own in the README does what it says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from aichat_dev.spawn import kill, spawn

from .conftest import Asker, Stack

README = Path(__file__).parents[3] / "clients" / "assistant" / "README.md"


@pytest.fixture
def source() -> str:
    (source,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return str(source)


async def test_it_answers_what_is_asked_while_it_runs(
    stack: Stack, asker: Asker, name: str, source: str, tmp_path: Path
) -> None:
    script = tmp_path / "mirror.py"
    script.write_text(source.replace("localhost:50051", stack.svc.address), encoding="utf-8")
    # It says nothing when it is ready: it is told of this session once it is, and again with every question.
    mirror = spawn([sys.executable, script], output=subprocess.DEVNULL)
    try:
        answer = await asker.answer_to_one_of(name, "drawkcab")
    finally:
        kill(mirror)
    assert (answer.content, answer.author) == ("backward ", "mirror")


def test_it_is_as_short_as_promised(source: str) -> None:
    assert len([line for line in source.splitlines() if line.strip() and not line.startswith(("import", "from"))]) <= 30
