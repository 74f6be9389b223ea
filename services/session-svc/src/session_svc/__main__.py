"""`session-svc` serves until it is told to stop; `health` asks a running one whether it is ready, `token` keeps the
tokens."""
# ruff: noqa: PLC0415 - `health` runs every few seconds and people wait for `token`: neither loads what serving needs.

import argparse

from aichat_runtime.settings import exit_with_errors, load

from session_svc.identity import command as token_command
from session_svc.settings import HealthSettings, TokenSettings


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser(prog="session-svc", description="Keeps the sessions of ai-chat and serves them.")
    commands = parser.add_subparsers(dest="command", metavar="serve|health|token")
    commands.add_parser("serve", help="serve until it is told to stop (the default)")
    commands.add_parser("health", help="exit 0 if the service that listens here is ready")
    token_command.add_parser(commands)
    arguments = parser.parse_args()
    if arguments.command == "token":
        raise SystemExit(_token(arguments))
    if arguments.command == "health":
        from session_svc import health_command

        raise SystemExit(health_command.run(load(HealthSettings)))
    from session_svc.serving import serve

    serve()


def _token(arguments: argparse.Namespace) -> int:
    path = load(TokenSettings).auth_tokens_file
    if path is None:
        exit_with_errors(["AUTH_TOKENS_FILE: not set; it names the file in which tokens are kept"])
    return token_command.run(arguments, path)


if __name__ == "__main__":
    main()
