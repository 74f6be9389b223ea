"""Where each setting comes from: flag, else environment, else config file, else default."""

import getpass
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from ai_chat_client import DEFAULT_SERVER, Endpoint

from ai_chat_cli import config_file
from ai_chat_cli.config_file import ConfigFile
from ai_chat_cli.failure import CliError, ExitCode

DEFAULT_WEB_URL = "http://localhost:3000"
_AUTHOR_CHARACTERS = 256
_TEN_YEARS = 10 * 366 * 86_400


@dataclass(frozen=True, slots=True)
class Flags:
    """What the command line says; None where it says nothing."""

    server: str | None = None
    tls_ca: str | None = None
    token_file: str | None = None
    context: str | None = None
    config: str | None = None
    session: str | None = None
    ttl: str | None = None
    author: str | None = None
    web_url: str | None = None
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """What a command works with. `ttl`: of sessions it creates, None: the server's default, 0: they never expire.

    `author`: who writes; "" where a token says that. `warnings`: what was ignored, for people.
    """

    server: str
    tls_ca: str | None
    token: str | None
    context: str | None
    session: str | None
    ttl: timedelta | None
    author: str
    web_url: str
    insecure: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Setting:
    """`flag`: a member of Flags. `variables`: the first that is set counts. `key`: in a context of the config file.

    `chat_ai`: in the `redis` object of a config file of chat.ai's, when that may be asked.
    """

    flag: str
    variables: tuple[str, ...]
    key: str
    parse: Callable[[str], Any]
    chat_ai: str | None = None


def _server(text: str) -> str:
    Endpoint.parse(text)
    return text


def _ttl(text: str) -> timedelta:
    if not (text.isascii() and text.isdigit() and len(text) < 12 and int(text) <= _TEN_YEARS):
        raise ValueError(f"{text!r} is no time to live; write seconds, 1 to {_TEN_YEARS}, or 0 for ever")
    return timedelta(seconds=int(text))


def _token_of_file(text: str) -> str:
    try:
        return Path(text).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read {text}: {getattr(error, 'strerror', None) or 'it is not text'}") from None


def _author(text: str) -> str:
    if not text.isprintable() or len(text) > _AUTHOR_CHARACTERS:
        raise ValueError(f"{text[:40]!r} is no name; write up to {_AUTHOR_CHARACTERS} printable characters")
    return text


def _path(text: str) -> str:
    return str(Path(text).expanduser())


_SETTINGS = {
    "server": _Setting("server", ("AI_CHAT_SERVER",), "server", _server),
    "tls_ca": _Setting("tls_ca", ("AI_CHAT_TLS_CA",), "tlsCa", _path),
    "token": _Setting("token_file", ("AI_CHAT_TOKEN",), "token", str),
    "session": _Setting("session", ("AI_CHAT_SESSION", "REDIS_SESSION_NAME"), "session", str, "sessionName"),
    "ttl": _Setting("ttl", ("AI_CHAT_TTL", "REDIS_TTL"), "ttl", _ttl, "ttl"),
    "author": _Setting("author", ("AI_CHAT_AUTHOR",), "author", _author),
    "web_url": _Setting("web_url", ("AI_CHAT_WEB_URL",), "webUrl", str),
}


def own_config_path(flags: Flags, home: Path) -> Path:
    """The user's config file: `--config`, else the one in the home directory."""
    return Path(flags.config).expanduser() if flags.config else home / ".config" / "ai-chat" / "config.json"


def resolve(flags: Flags, environment: Mapping[str, str], *, home: Path, folder: Path) -> Settings:
    """Settles every setting. CliError (USAGE) that names the source of a bad value. `folder`: where it was started.

    Of `config.json` in `folder` only a session's name and ttl are read, never a server or a token: it may have come
    with a cloned repository, which must not receive anyone's token.
    """
    own = config_file.load(own_config_path(flags, home))
    if flags.config and not own.exists:
        raise CliError(f"--config: there is no file {flags.config}", ExitCode.USAGE)
    here = config_file.load(folder / "config.json")
    if here.exists and own.exists and here.path.resolve() == own.path.resolve():
        here = ConfigFile(here.path)
    context = _context(flags, environment, own)
    values = {name: _value(setting, flags, environment, own, here, context) for name, setting in _SETTINGS.items()}
    return Settings(
        server=values["server"] or DEFAULT_SERVER,
        tls_ca=values["tls_ca"],
        token=values["token"],
        context=context,
        session=values["session"],
        ttl=values["ttl"],
        # A token has a name, and only some may write under another.
        author=values["author"] or ("" if values["token"] else _login_name()),
        web_url=(values["web_url"] or DEFAULT_WEB_URL).rstrip("/"),
        insecure=flags.insecure,
        warnings=tuple(_warnings(own, here)),
    )


def _warnings(own: ConfigFile, here: ConfigFile) -> Iterator[str]:
    for file in (own, here):
        if file.problem:
            yield f"{file.problem}; ignored"
    if own.exposed:
        yield f"{own.path} holds a token and others can read it; chmod 600 {own.path}"


def read_flags(flags: Flags) -> dict[str, str]:
    """What the flags say of a context, by its keys in the config file. CliError (USAGE) for a bad value."""
    found = {}
    for setting in _SETTINGS.values():
        text = getattr(flags, setting.flag)
        if text is not None:
            value = _parsed(setting, text, f"--{setting.flag.replace('_', '-')}")
            found[setting.key] = str(Path(value).absolute()) if setting.key == "tlsCa" else _plain(value)
    return found


def _context(flags: Flags, environment: Mapping[str, str], own: ConfigFile) -> str | None:
    name = flags.context or environment.get("AI_CHAT_CONTEXT") or None
    if name is not None and name not in own.contexts:
        known = ", ".join(own.contexts) or "none yet"
        raise CliError(
            f"there is no context {name!r} in {own.path} (there is: {known}); add it with `ai-chat context set {name}`",
            ExitCode.USAGE,
        )
    return name or own.current


def _value(
    setting: _Setting,
    flags: Flags,
    environment: Mapping[str, str],
    own: ConfigFile,
    here: ConfigFile,
    context: str | None,
) -> Any:  # noqa: ANN401 - Each setting has a type of its own, which its parser gives.
    flag = getattr(flags, setting.flag)
    if flag is not None:
        return _parsed(setting, flag, f"--{setting.flag.replace('_', '-')}")
    for variable in setting.variables:
        if environment.get(variable):
            return _parsed(setting, environment[variable], variable, from_flag=False)
    text = own.value(context, setting.key)
    if text is not None:
        return _parsed(setting, text, f"{setting.key} in {own.path}", from_flag=False)
    if setting.chat_ai is not None:
        for file in (own, here):
            text = file.chat_ai(setting.chat_ai)
            if text is not None:
                return _parsed(setting, text, f"redis.{setting.chat_ai} in {file.path}", from_flag=False)
    return None


def _parsed(setting: _Setting, text: str, source: str, *, from_flag: bool = True) -> Any:  # noqa: ANN401 - As _value.
    try:
        # Only the flag names a file: a token in a process's arguments could be read by everyone on the machine.
        return _token_of_file(text) if from_flag and setting.flag == "token_file" else setting.parse(text)
    except ValueError as error:
        raise CliError(f"{source}: {error}", ExitCode.USAGE) from None


def _plain(value: object) -> str:
    return str(int(value.total_seconds())) if isinstance(value, timedelta) else str(value)


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # A container's user may have no entry.
        return ""


def environment_settings(flags: Flags) -> Settings:
    """The settings of this process."""
    return resolve(flags, os.environ, home=Path.home(), folder=Path.cwd())


FLAG_NAMES = tuple(item.name for item in fields(Flags))
