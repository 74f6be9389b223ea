"""`stream-gateway`: serves until it is told to stop. `stream-gateway health`: exits with 0 when it is ready."""

import argparse
import asyncio
import sys

from stream_gateway.probe import is_ready


def main() -> None:
    """Entry point of the command."""
    parser = argparse.ArgumentParser(prog="stream-gateway", description="Fans sessions out to browsers.")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("serve", help="serve (the default); configured by the environment, see the README")
    commands.add_parser("health", help="exit with 0 when the gateway at GATEWAY_LISTEN is ready")
    if parser.parse_args().command == "health":
        sys.exit(0 if is_ready() else 1)
    _serve()


def _serve() -> None:
    # Imported here: `health` runs every few seconds in a container and must not load all this.
    import uvloop
    from ai_chat_client import ConfigurationError
    from aichat_runtime import logs
    from aichat_runtime.settings import exit_with_errors, load

    from stream_gateway import bootstrap, server
    from stream_gateway.settings import GatewaySettings

    settings = load(GatewaySettings)
    logs.configure(settings.log_level, settings.log_format)
    try:
        listener = server.listen(settings.gateway_listen)
    except OSError as error:
        exit_with_errors([f"GATEWAY_LISTEN: cannot listen on {settings.gateway_listen}: {error.strerror}"])
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(bootstrap.run(settings, listener))
    except* ConfigurationError as errors:
        exit_with_errors([f"SESSION_SVC_ADDRESS: {error}" for error in errors.exceptions])


if __name__ == "__main__":
    main()
