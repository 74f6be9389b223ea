"""The example in the client's README does what it says."""

import re
import subprocess
import sys
from pathlib import Path

from .conftest import Stack

README = Path(__file__).parents[3] / "clients" / "python" / "README.md"


def test_the_examples_print_what_the_readme_says(stack: Stack, tmp_path: Path) -> None:
    examples = re.findall(r"```python\n(.*?)```\n+```text\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(examples) == 2
    for number, (source, expected) in enumerate(examples):
        assert "localhost:50051" in source
        script = tmp_path / f"example{number}.py"
        script.write_text(source.replace("localhost:50051", stack.server))
        ran = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
        assert ran.stderr == ""
        assert ran.stdout == expected
