"""The user's config file."""

import json
import stat
from pathlib import Path

import pytest
from ai_chat_cli import config_file
from ai_chat_cli.failure import CliError


def test_a_file_is_written_for_its_owner_only_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "config.json"
    file = config_file.load(path)
    file.raw["contexts"] = {"team": {"token": "secret"}}
    file.save()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert json.loads(path.read_text()) == {"contexts": {"team": {"token": "secret"}}}
    assert [entry.name for entry in path.parent.iterdir()] == ["config.json"]


def test_what_it_does_not_know_stays(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"theme": "dark", "contexts": {"a": {"later": 1}}}')
    file = config_file.load(path)
    file.raw["current"] = "a"
    file.save()
    assert json.loads(path.read_text()) == {"theme": "dark", "contexts": {"a": {"later": 1}}, "current": "a"}


def test_a_file_that_could_not_be_read_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text("{ precious")
    with pytest.raises(CliError, match="repair or remove it first"):
        config_file.load(path).save()
    assert path.read_text() == "{ precious"


def test_a_link_to_the_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    real, link = tmp_path / "dotfiles" / "real.json", tmp_path / "config.json"
    real.write_text("{}")
    link.symlink_to(real)
    file = config_file.load(link)
    file.raw["current"] = "a"
    file.save()
    assert link.is_symlink()
    assert json.loads(real.read_text()) == {"current": "a"}
