"""`stream-gateway`: serves until it is told to stop. `stream-gateway health`: exits with 0 when it is ready."""

import argparse
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
    from stream_gateway.serving import serve  # noqa: PLC0415 - `health` runs every few seconds and must be quick.

    serve()


if __name__ == "__main__":
    main()
