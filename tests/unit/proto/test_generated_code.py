"""proto/gen is what the .proto files say."""

import os
import subprocess
import sys
from pathlib import Path

PROTO = Path(__file__).parents[3] / "proto"


def _tree(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): path.read_text()
        for path in root.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_committed_code_is_what_make_proto_generates(tmp_path: Path) -> None:
    plugins = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        [sys.executable, PROTO / "generate.py", tmp_path / "gen"],
        env={**os.environ, "PATH": plugins},
        capture_output=True,
        check=True,
    )
    generated, committed = _tree(tmp_path / "gen"), _tree(PROTO / "gen")
    assert generated.keys() == committed.keys(), "run `make proto` and commit proto/gen"
    changed = [name for name, text in generated.items() if committed[name] != text]
    assert changed == [], "run `make proto` and commit proto/gen"
