"""`session-svc token`: makes, lists and revokes the tokens of the file."""

import argparse
import datetime as dt
import re
import sys
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from session_svc.identity import token_file
from session_svc.identity.token_file import TokenEntry, UnusableTokensError

SCOPES: Final = ("read", "write", "admin")
DEFAULT_SCOPES: Final = ("read", "write")
_SPAN: Final = re.compile(r"([1-9][0-9]{0,5})([hdwy])")
_HOURS: Final = {"h": 1, "d": 24, "w": 168, "y": 24 * 366}


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `token` and its words to a command line; `run` runs what was parsed."""
    token = commands.add_parser("token", help="make, list and revoke the tokens in AUTH_TOKENS_FILE")
    words = token.add_subparsers(dest="word", required=True, metavar="create|list|revoke")
    create = words.add_parser("create", help="make a token for NAME and print it: it is shown only this once")
    create.add_argument("name", metavar="NAME", help="who bears it: the author of what it writes")
    create.add_argument(
        "--scope", action="append", choices=SCOPES, help="what it permits; may be repeated (read and write)"
    )
    create.add_argument(
        "--session", action="append", metavar="PATTERN", help="only sessions of such names, for example 'team-*'"
    )
    create.add_argument("--expires", type=_span, metavar="SPAN", help="12h, 90d, 6w, 1y (never)")
    words.add_parser("list", help="list names, scopes, sessions and expiry; no tokens")
    revoke = words.add_parser("revoke", help="revoke the tokens of NAME, at once and for open streams too")
    revoke.add_argument("name", metavar="NAME")
    revoke.add_argument("--id", help="only this one of them, as `list` shows it")


def run(arguments: argparse.Namespace, path: Path) -> int:
    """Does what was asked; returns the exit status."""
    try:
        match arguments.word:
            case "create":
                return _create(arguments, path)
            case "list":
                return _list(path)
            case _:
                return _revoke(arguments, path)
    except UnusableTokensError as error:
        print(f"session-svc token: {error}", file=sys.stderr)
        return 1


def _create(arguments: argparse.Namespace, path: Path) -> int:
    token = token_file.new_token()
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)
    try:
        entry = TokenEntry(
            name=arguments.name,
            sha256=token_file.digest(token),
            scopes=tuple(arguments.scope or DEFAULT_SCOPES),
            sessions=tuple(arguments.session) if arguments.session else None,
            created=now,
            expires=now + arguments.expires if arguments.expires else None,
        )
    except ValidationError as error:
        for problem in error.errors():
            print(f"session-svc token: {problem['loc'][0]}: {problem['msg']}", file=sys.stderr)
        return 2
    with token_file.editing(path) as entries:
        entries.append(entry)
    print(token)
    print(f"made for {_described(entry)}; it is not shown again, and works within seconds", file=sys.stderr)
    return 0


def _list(path: Path) -> int:
    for entry in token_file.read(path):
        print(f"{entry.id}  {_described(entry)}")
    return 0


def _revoke(arguments: argparse.Namespace, path: Path) -> int:
    with token_file.editing(path) as entries:
        revoked = [entry for entry in entries if entry.name == arguments.name and arguments.id in {None, entry.id}]
        entries[:] = [entry for entry in entries if entry not in revoked]
    if not revoked:
        which = f" with the id {arguments.id}" if arguments.id else ""
        print(f"session-svc token: {arguments.name} has no token{which}; see `session-svc token list`", file=sys.stderr)
        return 1
    for entry in revoked:
        print(f"revoked {entry.id}  {_described(entry)}", file=sys.stderr)
    return 0


def _described(entry: TokenEntry) -> str:
    expires = f"until {entry.expires:%Y-%m-%d %H:%M} UTC" if entry.expires else "for ever"
    if entry.expires and entry.expires <= dt.datetime.now(dt.UTC):
        expires = "expired"
    return f"{entry.name}: {', '.join(entry.scopes)}; sessions {', '.join(entry.sessions or ('*',))}; {expires}"


def _span(text: str) -> dt.timedelta:
    match = _SPAN.fullmatch(text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no span; write for example 12h, 90d, 6w or 1y")
    return dt.timedelta(hours=int(match[1]) * _HOURS[match[2]])
