"""The entry point of `ai-chat`."""
# ruff: noqa: PLC0415 - What only failures need is loaded when there is one.

import os
import sys
from collections.abc import Sequence

import typer

from ai_chat_cli import output
from ai_chat_cli.app import app
from ai_chat_cli.arguments import normalised
from ai_chat_cli.failure import CliError, ExitCode


def main() -> None:
    """Runs `ai-chat` with this process's arguments and exits."""
    # gRPC's core would write its own lines to stderr; what matters of them is in the error.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Runs `ai-chat`; returns the exit code. Failures are one line on stderr, never a traceback."""
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character must not end the program.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # Text streams of a process can.
    try:
        code = typer.main.get_command(app).main(normalised(arguments), prog_name="ai-chat", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_output()  # Whoever read stdout has gone: `ai-chat list | head`.
        return ExitCode.OTHER
    except (KeyboardInterrupt, typer.Abort):
        output.break_line()
        return ExitCode.INTERRUPTED
    except OSError as error:
        if error.filename is not None:
            return _failed(error)
        _drop_output()
        return _failed(CliError(f"cannot write the output: {error.strerror}"))
    except Exception as error:  # noqa: BLE001 - The last line of defence: people get a line, not a traceback.
        return _failed(error)
    return code if isinstance(code, int) else ExitCode.OK


def _drop_output() -> None:
    # What is left of it: the interpreter must not complain at its end.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_what_is_closed() -> None:
    # As `>&-` leaves it: a connection would get the descriptor. Data then fails to be written; talk is for nobody.
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_WRONLY if descriptor == 2 else os.O_RDONLY)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - For as long as it runs.
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - As above.
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115 - As above.


def _failed(error: Exception) -> int:
    failure = _as_cli_error(error)
    if failure is None:
        if os.environ.get("AI_CHAT_DEBUG"):
            raise error
        failure = CliError(f"a defect in ai-chat: {error!r}; AI_CHAT_DEBUG=1 shows where, please report it")
    output.error(str(failure))
    return failure.exit_code


def _as_cli_error(error: Exception) -> CliError | None:
    if isinstance(error, CliError):
        return error
    if isinstance(error, typer.TyperException):
        return _usage_error(error)
    client_errors = sys.modules.get("ai_chat_client.errors")
    if client_errors is not None and isinstance(error, client_errors.AiChatError):
        from ai_chat_cli.explain import explain

        return explain(error)
    return None


def _usage_error(error: typer.TyperException) -> CliError:
    context: typer.Context | None = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "ai-chat"
    message = error.format_message().removesuffix(".")
    separator = "" if message.endswith("?") else ";"
    return CliError(f"{message}{separator} see `{path} --help`", ExitCode(error.exit_code))


if __name__ == "__main__":
    main()
