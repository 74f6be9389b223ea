"""The file of tokens: what counts as one, and that an edit happens whole or not at all."""

import argparse
import datetime as dt
import errno
import json
from pathlib import Path

import pytest
from pydantic import ValidationError
from session_svc.domain.access import Scope
from session_svc.domain.limits import AUTHOR_CHARACTERS
from session_svc.identity import command, token_file
from session_svc.identity.token_file import TokenEntry, UnusableTokensError
from session_svc.identity.tokens import FileTokens
from structlog.testing import capture_logs

CREATED = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def entry(name: str = "ada", **fields: object) -> TokenEntry:
    whole = {"name": name, "sha256": token_file.digest("secret"), "scopes": ("read",), "created": CREATED, **fields}
    return TokenEntry.model_validate(whole)


def written(path: Path, *entries: dict[str, object]) -> Path:
    path.write_text(json.dumps({"tokens": entries}), encoding="utf-8")
    return path


def test_a_token_permits_the_highest_of_its_scopes() -> None:
    assert entry(scopes=("admin", "read")).grant().scope is Scope.ADMIN
    assert entry(scopes=("read", "write")).grant().scope is Scope.WRITE
    assert entry(scopes=("read",)).grant().scope is Scope.READ


@pytest.mark.parametrize(
    "name", ["", "a\nb", "a\tb", "\x1b[31mada", "ada\x7f", "ada\x85", "x" * (AUTHOR_CHARACTERS + 1)]
)
def test_a_name_that_would_spoil_a_terminal_or_a_line_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        entry(name)


@pytest.mark.parametrize(
    "fields",
    [
        {"expire": "2026-01-01T00:00:00Z"},
        {"expires": "2026-01-01T00:00:00"},
        {"scopes": []},
        {"sessions": []},
        {"sessions": [""]},
        {"sha256": "A" * 64},
    ],
    ids=["misspelt", "without a zone", "no scope", "no sessions", "an empty pattern", "upper case"],
)
def test_an_entry_that_may_permit_other_than_was_meant_makes_the_file_unusable(
    tmp_path: Path, fields: dict[str, object]
) -> None:
    good = entry().model_dump(mode="json", exclude_none=True)
    assert len(token_file.read(written(tmp_path / "good.json", good))) == 1
    with pytest.raises(UnusableTokensError, match=next(iter(fields))):
        token_file.read(written(tmp_path / "bad.json", {**good, **fields}))


def test_one_token_cannot_belong_to_two(tmp_path: Path) -> None:
    twice = [entry(name).model_dump(mode="json", exclude_none=True) for name in ("ada", "eve")]
    with pytest.raises(UnusableTokensError, match="twice"):
        token_file.read(written(tmp_path / "tokens.json", *twice))


def test_an_edit_that_cannot_be_finished_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"

    def edit() -> None:
        with token_file.editing(path) as entries:
            entries.append(entry())
            path.mkdir()

    with pytest.raises(UnusableTokensError, match="replaced"):
        edit()
    assert {item.name for item in tmp_path.iterdir()} == {"tokens.json", "tokens.json.lock"}


def test_an_edit_that_fails_on_the_way_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    with token_file.editing(path) as entries:
        entries.append(entry())

    def edit() -> None:
        with token_file.editing(path) as entries:
            entries.clear()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        edit()
    assert token_file.read(path) == (entry(),)


def test_the_list_says_which_tokens_have_expired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "tokens.json"
    with token_file.editing(path) as entries:
        entries.append(entry(expires=CREATED + dt.timedelta(days=1)))
    assert command.run(argparse.Namespace(word="list"), path) == 0
    assert capsys.readouterr().out == f"{entry().id}  ada: read; sessions *; expired\n"


async def test_a_file_is_read_again_only_when_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    tokens = FileTokens(path)
    assert not await tokens.refresh()
    with token_file.editing(path) as entries:
        entries.append(entry())
    assert await tokens.refresh()
    assert tokens.find(entry().sha256) == entry().grant()
    assert not await tokens.refresh()


async def test_an_edit_that_cannot_be_read_yet_is_read_when_it_can_and_until_then_that_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tokens.json"
    tokens = FileTokens(path)
    with token_file.editing(path) as entries:
        entries.append(entry())

    def no_descriptor(_: Path) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as while_short, capture_logs() as logs:
        while_short.setattr(Path, "read_bytes", no_descriptor)
        for _ in range(3):
            assert not await tokens.refresh()
    assert [log["event"] for log in logs] == ["tokens_unusable"]
    assert await tokens.refresh()
    assert tokens.find(entry().sha256) is not None


async def test_a_broken_edit_keeps_the_tokens_before_and_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "tokens.json"
    with token_file.editing(path) as entries:
        entries.append(entry())
    tokens = FileTokens(path)
    path.write_text("[]", encoding="utf-8")
    with capture_logs() as logs:
        for _ in range(3):
            assert not await tokens.refresh()
    assert [log["event"] for log in logs] == ["tokens_unusable"]
    assert tokens.find(entry().sha256) == entry().grant()
