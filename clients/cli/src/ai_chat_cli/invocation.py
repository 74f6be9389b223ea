"""What every command is given: settings, resolved when first asked for, and clients made from them."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypedDict

import ai_chat_client
import typer

from ai_chat_cli import output
from ai_chat_cli.failure import CliError, ExitCode
from ai_chat_cli.settings import Flags, Settings, environment_settings
from ai_chat_cli.text import sendable

if TYPE_CHECKING:
    from ai_chat_client import AsyncClient, Client


class _ClientArguments(TypedDict):
    server: str
    token: str | None
    tls_ca: str | None
    author: str
    insecure: bool


@dataclass
class Invocation:
    """One run of `ai-chat`. `json`: whether data is wanted as JSON Lines."""

    flags: Flags
    json: bool = False

    @cached_property
    def settings(self) -> Settings:
        """Settled once; what was ignored is said once."""
        settings = environment_settings(self.flags)
        for warning in settings.warnings:
            output.note(f"warning: {warning}")
        return settings

    def client(self, *, author: str | None = None, timeout: float | None = None) -> "Client":
        """A blocking client. CliError (USAGE) when the settings do not fit together.

        `author`: whose calls they are, when not the user's. `timeout`: seconds for one call, when not the usual.
        """
        arguments = self._client_arguments()
        if author:
            arguments["author"] = author
        policy = ai_chat_client.RetryPolicy(timeout=timeout) if timeout is not None else None
        try:
            return ai_chat_client.Client(**arguments, policy=policy)
        except ai_chat_client.ConfigurationError as error:
            raise CliError(str(error), ExitCode.USAGE) from None

    def async_client(self) -> "AsyncClient":
        """As `client`, for asyncio."""
        try:
            return ai_chat_client.AsyncClient(**self._client_arguments())
        except ai_chat_client.ConfigurationError as error:
            raise CliError(str(error), ExitCode.USAGE) from None

    def session(self, name: str | None) -> str:
        """The session to work on: the one given, else the one of the settings. CliError (USAGE) without either."""
        found = name or self.settings.session
        if not found:
            raise CliError("which session? give its name; `ai-chat list` shows them all", ExitCode.USAGE)
        return checked(found, "the name")

    def _client_arguments(self) -> _ClientArguments:
        settings = self.settings
        return _ClientArguments(
            server=settings.server,
            token=settings.token,
            tls_ca=settings.tls_ca,
            author=checked(settings.author, "the author"),
            insecure=settings.insecure,
        )


def invocation(ctx: typer.Context) -> Invocation:
    """The invocation that a command runs in."""
    found = ctx.find_root().obj
    if not isinstance(found, Invocation):
        raise TypeError("the command runs outside of ai-chat")
    return found


def checked(text: str, what: str) -> str:
    """`text` when it can be sent. CliError (USAGE) when its bytes are no UTF-8."""
    try:
        return sendable(text, what)
    except ValueError as error:
        raise CliError(str(error), ExitCode.USAGE) from None
