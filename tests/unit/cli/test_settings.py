"""Where each setting comes from."""

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from ai_chat_cli.failure import CliError, ExitCode
from ai_chat_cli.settings import Flags, Settings, resolve

NO_FLAGS = Flags()


@dataclass(frozen=True)
class Sources:
    """One machine: its home directory, the folder `ai-chat` is started in, its environment."""

    home: Path
    folder: Path

    def resolve(self, given: Flags = NO_FLAGS, /, **environment: str) -> Settings:
        return resolve(given, environment, home=self.home, folder=self.folder)

    def own(self, content: object, *, raw: str | None = None) -> Path:
        return write(self.home / ".config" / "ai-chat" / "config.json", content, raw)

    def here(self, content: object, *, raw: str | None = None) -> Path:
        return write(self.folder / "config.json", content, raw)


def write(path: Path, content: object, raw: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content) if raw is None else raw)
    path.chmod(0o600)
    return path


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    (tmp_path / "home").mkdir()
    (tmp_path / "folder").mkdir()
    return Sources(tmp_path / "home", tmp_path / "folder")


def in_context(**settings: str | int) -> dict[str, Any]:
    return {"current": "team", "contexts": {"team": settings}}


@dataclass(frozen=True)
class Case:
    """One setting in all its sources, the strongest first."""

    setting: str
    flag: dict[str, str]
    variable: tuple[str, str]
    key: tuple[str, Any]
    values: tuple[Any, Any, Any, Any]
    """What it is: by flag, by variable, by config file, by default."""


CASES = [
    Case("server", {"server": "a:1"}, ("AI_CHAT_SERVER", "b:1"), ("server", "c:1"),
         ("a:1", "b:1", "c:1", "localhost:50051")),
    Case("tls_ca", {"tls_ca": "/a"}, ("AI_CHAT_TLS_CA", "/b"), ("tlsCa", "/c"), ("/a", "/b", "/c", None)),
    Case("token", {"token_file": "TOKEN"}, ("AI_CHAT_TOKEN", "tb"), ("token", "tc"), ("ta", "tb", "tc", None)),
    Case("session", {"session": "a"}, ("AI_CHAT_SESSION", "b"), ("session", "c"), ("a", "b", "c", None)),
    Case("ttl", {"ttl": "1"}, ("AI_CHAT_TTL", "2"), ("ttl", 3),
         (timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=3), None)),
    Case("author", {"author": "a"}, ("AI_CHAT_AUTHOR", "b"), ("author", "c"), ("a", "b", "c", "login")),
    Case("web_url", {"web_url": "http://a"}, ("AI_CHAT_WEB_URL", "http://b/"), ("webUrl", "http://c"),
         ("http://a", "http://b", "http://c", "http://localhost:3000")),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.setting)
def test_a_flag_wins_over_the_environment_and_that_over_the_config_file_and_that_over_the_default(
    case: Case, sources: Sources, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LOGNAME", "login")
    token = tmp_path / "token"
    token.write_text("ta\n")
    given = {name: str(token) if value == "TOKEN" else value for name, value in case.flag.items()}
    flags = replace(Flags(), **given)  # type: ignore[arg-type]  # Flags that take text.
    variable = dict([case.variable])
    by_flag, by_variable, by_file, by_default = case.values

    assert getattr(sources.resolve(), case.setting) == by_default
    sources.own(in_context(**dict([case.key])))
    assert getattr(sources.resolve(), case.setting) == by_file
    assert getattr(sources.resolve(**variable), case.setting) == by_variable
    assert getattr(sources.resolve(flags, **variable), case.setting) == by_flag
    empty = dict.fromkeys(variable, "")
    assert getattr(sources.resolve(**empty), case.setting) == by_file, "an empty variable counts as unset"


def test_who_carries_a_token_writes_under_its_name_unless_told_otherwise(sources: Sources) -> None:
    assert sources.resolve(AI_CHAT_TOKEN="t").author == ""
    assert sources.resolve(AI_CHAT_TOKEN="t", AI_CHAT_AUTHOR="ada").author == "ada"


def test_every_setting_has_a_case() -> None:
    elsewhere = {"context", "insecure", "warnings"}
    assert {case.setting for case in CASES} == set(Settings.__dataclass_fields__) - elsewhere


def test_the_context_is_chosen_by_flag_then_environment_then_file(sources: Sources) -> None:
    sources.own({"current": "c", "contexts": {name: {"server": f"{name}:1"} for name in "abc"}})
    assert sources.resolve().server == "c:1"
    assert sources.resolve(AI_CHAT_CONTEXT="b").server == "b:1"
    assert sources.resolve(Flags(context="a"), AI_CHAT_CONTEXT="b").server == "a:1"


def test_a_context_that_does_not_exist_is_refused_with_those_that_do(sources: Sources) -> None:
    sources.own({"contexts": {"team": {}}})
    with pytest.raises(CliError, match=r"no context 'x'.*team.*ai-chat context set x") as caught:
        sources.resolve(Flags(context="x"))
    assert caught.value.exit_code is ExitCode.USAGE


def test_chat_ais_variables_count_after_our_own(sources: Sources) -> None:
    settings = sources.resolve(REDIS_SESSION_NAME="theirs", REDIS_TTL="60")
    assert (settings.session, settings.ttl) == ("theirs", timedelta(seconds=60))
    settings = sources.resolve(REDIS_SESSION_NAME="theirs", REDIS_TTL="60", AI_CHAT_SESSION="ours", AI_CHAT_TTL="30")
    assert (settings.session, settings.ttl) == ("ours", timedelta(seconds=30))


def test_of_a_config_json_in_the_folder_only_session_and_ttl_are_read(sources: Sources) -> None:
    redis = {"sessionName": "repo", "ttl": 60, "url": "redis://evil"}
    sources.here({**in_context(server="evil:1", token="t", webUrl="http://evil"), "redis": redis, "server": "evil:2"})
    settings = sources.resolve()
    assert (settings.session, settings.ttl) == ("repo", timedelta(seconds=60))
    assert (settings.server, settings.token, settings.context) == ("localhost:50051", None, None)
    assert settings.web_url == "http://localhost:3000"


def test_the_users_own_file_wins_over_chat_ais(sources: Sources) -> None:
    sources.here({"redis": {"sessionName": "repo", "ttl": 60}})
    sources.own(in_context(session="mine"))
    assert sources.resolve().session == "mine"
    assert sources.resolve().ttl == timedelta(seconds=60)


def test_a_file_of_chat_ais_may_be_given_with_config(sources: Sources, tmp_path: Path) -> None:
    path = write(tmp_path / "theirs.json", {"redis": {"sessionName": "named", "ttl": "120"}})
    settings = sources.resolve(Flags(config=str(path)))
    assert (settings.session, settings.ttl) == ("named", timedelta(seconds=120))


def test_config_replaces_the_file_in_the_home_directory(sources: Sources, tmp_path: Path) -> None:
    sources.own(in_context(server="home:1"))
    path = write(tmp_path / "other.json", in_context(server="other:1", tlsCa="ca.pem"))
    settings = sources.resolve(Flags(config=str(path)))
    assert settings.server == "other:1"
    assert settings.tls_ca == str(tmp_path / "ca.pem"), "a path in a file is relative to the file"
    with pytest.raises(CliError, match="--config: there is no file"):
        sources.resolve(Flags(config=str(tmp_path / "missing.json")))


@pytest.mark.parametrize("place", ["own", "here"])
def test_default_session_in_a_file_counts_as_no_name(sources: Sources, place: str) -> None:
    if place == "own":
        sources.own(in_context(session="default-session"))
    else:
        sources.here({"redis": {"sessionName": "default-session"}})
    assert sources.resolve().session is None
    assert sources.resolve(Flags(session="default-session")).session == "default-session"


@pytest.mark.parametrize("raw", ["{", "[1]", "\xff\xfe", '"text"', "[" * 100_000])
def test_a_file_that_does_not_parse_is_ignored_with_a_warning(sources: Sources, raw: str) -> None:
    own, here = sources.own(None, raw=raw), sources.here(None, raw=raw)
    settings = sources.resolve(AI_CHAT_SERVER="b:1")
    assert settings.server == "b:1"
    assert [warning.endswith("; ignored") for warning in settings.warnings] == [True, True]
    assert str(own) in settings.warnings[0]
    assert str(here) in settings.warnings[1]


def test_fields_of_another_type_are_no_settings(sources: Sources) -> None:
    sources.own({"current": 5, "contexts": {"team": ["x"], "b": {"server": {}}}, "redis": {"ttl": True}})
    assert sources.resolve().server == "localhost:50051"
    assert sources.resolve(AI_CHAT_CONTEXT="b").server == "localhost:50051"


def test_a_file_with_a_token_that_others_can_read_is_warned_of(sources: Sources) -> None:
    path = sources.own(in_context(token="t"))
    assert sources.resolve().warnings == ()
    path.chmod(0o644)
    assert any("chmod 600" in warning for warning in sources.resolve().warnings)


BAD = [
    (Flags(server="nowhere"), {}, "--server"),
    (Flags(), {"AI_CHAT_SERVER": "nowhere"}, "AI_CHAT_SERVER"),
    (Flags(ttl="soon"), {}, "--ttl"),
    (Flags(), {"AI_CHAT_TTL": "-1"}, "AI_CHAT_TTL"),
    (Flags(), {"REDIS_TTL": "1.5"}, "REDIS_TTL"),
    (Flags(token_file="/nonexistent"), {}, "--token-file"),
]


@pytest.mark.parametrize(("flags", "environment", "source"), BAD, ids=[source for _, _, source in BAD])
def test_a_bad_value_is_refused_with_its_source(
    sources: Sources, flags: Flags, environment: dict[str, str], source: str
) -> None:
    with pytest.raises(CliError, match=f"^{source}: ") as caught:
        sources.resolve(flags, **environment)
    assert caught.value.exit_code is ExitCode.USAGE


def test_a_bad_value_in_a_file_is_refused_with_the_file(sources: Sources) -> None:
    path = sources.own(in_context(ttl="never"))
    with pytest.raises(CliError, match=f"ttl in {path}"):
        sources.resolve()
    assert sources.resolve(replace(Flags(), ttl="0")).ttl == timedelta(0)
