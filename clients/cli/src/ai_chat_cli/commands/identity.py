"""`ai-chat login` and `ai-chat logout`."""

import getpass
import os
import sys
from typing import Any

import typer
from ai_chat_client import Client, ConfigurationError, Endpoint
from ai_chat_client.errors import NotAllowedError

from ai_chat_cli import output
from ai_chat_cli.commands.contexts import existing, load
from ai_chat_cli.config_file import ConfigFile
from ai_chat_cli.failure import CliError, ExitCode
from ai_chat_cli.invocation import Invocation, checked
from ai_chat_cli.settings import read_flags

_KNOWN = frozenset({"SCOPE_MISSING", "SESSION_FORBIDDEN"})
"""Refusals of one who is known, though not allowed to list sessions."""

_WIN_OVER_THE_FILE = {"token": "AI_CHAT_TOKEN", "server": "AI_CHAT_SERVER", "tlsCa": "AI_CHAT_TLS_CA"}


def login(invocation: Invocation, address: str | None) -> None:
    """Tries a token at the server and keeps it in a context, which becomes the one in use."""
    file = load(invocation)
    given = read_flags(invocation.flags)
    server = address or given.get("server") or invocation.settings.server
    name = invocation.flags.context or (file.current if address is None and file.current else _name_of(server))
    entry: dict[str, Any] = {**file.contexts.get(checked(name, "the context"), {}), **given, "server": server}
    tls_ca = given.get("tlsCa") or file.value(name, "tlsCa")
    anonymous = _is_allowed(invocation, server, tls_ca, token=None)
    token = given.get("token") or _token()
    _check(invocation, server, tls_ca, token)
    entry["token"] = token
    if "ttl" in given:
        entry["ttl"] = int(given["ttl"])
    file.raw["contexts"] = {**file.contexts, name: entry}
    file.raw["current"] = name
    file.save()
    if anonymous:
        output.note(f"{server} asks nobody for a token; yours is kept, and sent to it")
    output.note(f"logged in at {server}; the context {name} is in use now")
    _warn_of_the_environment(entry)


def logout(invocation: Invocation) -> None:
    """Removes the token of a context."""
    name = invocation.flags.context or load(invocation).current
    if name is None:
        raise CliError("no context is in use; name one with --context", ExitCode.NOT_FOUND)
    file = existing(invocation, name)
    contexts = file.contexts
    if contexts[name].pop("token", None) is None:
        output.note(f"the context {name} has no token")
        return
    _save(file, contexts)
    output.note(f"the token of the context {name} is forgotten here; it stays valid until it expires or is revoked")
    _warn_of_the_environment({"token": ""})


def _save(file: ConfigFile, contexts: dict[str, dict[str, Any]]) -> None:
    file.raw["contexts"] = contexts
    file.save()


def _name_of(server: str) -> str:
    """The host's name: what people call the server."""
    try:
        Endpoint.parse(server)
    except ValueError as error:
        raise CliError(str(error), ExitCode.USAGE) from None
    return server.rpartition("/")[2].rpartition(":")[0] or server.rpartition("/")[2]


def _token() -> str:
    if sys.stdin.isatty():
        try:
            text = getpass.getpass("Token: ")  # Asks once the terminal shows no more what is typed.
        except EOFError:
            raise typer.Abort from None
    else:
        text = sys.stdin.readline()
    token = str(text).strip()
    if not token:
        raise CliError("no token was given; it comes from whoever runs the server", ExitCode.USAGE)
    return token


def _check(invocation: Invocation, server: str, tls_ca: str | None, token: str) -> None:
    if not _is_allowed(invocation, server, tls_ca, token=token):
        raise CliError(
            f"{server} does not know this token, or it has expired or was revoked; nothing was kept",
            ExitCode.NOT_ALLOWED,
        )


def _is_allowed(invocation: Invocation, server: str, tls_ca: str | None, *, token: str | None) -> bool:
    """Whether the server serves who comes with `token`. CliError (USAGE) when it cannot be sent there."""
    try:
        client = Client(server, token=token, tls_ca=tls_ca, insecure=invocation.flags.insecure)
    except ConfigurationError as error:
        raise CliError(str(error), ExitCode.USAGE) from None
    with client:
        try:
            client.list_sessions(page_size=1)
        except NotAllowedError as error:
            return token is not None and error.reason in _KNOWN
    return True


def _warn_of_the_environment(entry: dict[str, Any]) -> None:
    for key, variable in _WIN_OVER_THE_FILE.items():
        if key in entry and os.environ.get(variable):
            output.note(f"warning: {variable} is set, and wins over the config file")
