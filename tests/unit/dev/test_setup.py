"""`make setup` on machines that lack something: one line that says what to install."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "dev").mkdir()
    shutil.copy(ROOT / "dev" / "setup", tmp_path / "dev" / "setup")
    return tmp_path


def _python_without(directory: Path, missing: str) -> Path:
    """An interpreter whose programs end in error when they name `missing`."""
    python = directory / "python"
    python.write_text(f'#!/bin/sh\ncase "$*" in *"{missing}"*) exit 1;; esac\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return python


def _setup(checkout: Path, python: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [checkout / "dev" / "setup"],
        env={"PATH": "/usr/bin:/bin", "PYTHON": str(python)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_python_without_ensurepip_names_the_package_to_install(checkout: Path) -> None:
    done = _setup(checkout, _python_without(checkout, "ensurepip"))
    assert done.returncode == 1
    assert "apt-get install python3-venv" in done.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_that_is_too_old_is_refused_by_its_name(checkout: Path) -> None:
    done = _setup(checkout, _python_without(checkout, "sys.version_info >= (3, 11)"))
    assert done.returncode == 1
    assert done.stderr.startswith("setup: Python 3.11 or newer is needed")
    assert str(checkout / "python") in done.stderr
