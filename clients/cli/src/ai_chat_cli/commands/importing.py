"""`ai-chat import`."""

import hashlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from ai_chat_client import Client
from ai_chat_client.errors import AiChatError, ConflictError, InvalidRequestError, NotAllowedError
from ai_chat_client.position import Position
from aichat.session.v1 import session_pb2 as model

from ai_chat_cli import output
from ai_chat_cli.archive.batches import batches
from ai_chat_cli.archive.reader import ArchiveError, Header, read
from ai_chat_cli.failure import CliError, ExitCode
from ai_chat_cli.invocation import Invocation, checked
from ai_chat_cli.progress import progress
from ai_chat_cli.text import counted

_SECONDS = 120.0
"""For one request of up to 4 MiB over a slow line."""
_TITLE_CHARACTERS = 200
_PLACE = re.compile(r"messages\[(\d+)\]\.")


def import_session(invocation: Invocation, source: Path, name: str | None) -> None:
    """Appends everything in the file to a session that has no other messages; creates it."""
    with _opened(source) as file:
        try:
            header, messages = read(file)
            target = checked(name or header.name, "the name")
            if not target:
                raise CliError("the file names no session; give one with --as", ExitCode.USAGE)
            with invocation.client(author=header.owner, timeout=_SECONDS) as client:
                count = _import(client, target, header, messages)
        except ArchiveError as error:
            where = "stdin" if str(source) == "-" else source
            raise CliError(f"{where}: {error}", ExitCode.USAGE) from None
    output.note(f"{target}: {counted(count)} imported")


def _import(client: Client, target: str, header: Header, messages: Iterator[model.Message]) -> int:
    # chat.ai's titles may be of any length.
    header = replace(header, title=header.title[:_TITLE_CHARACTERS])
    session, created = _prepare(client, target, header)
    start = Position.parse(session.position)
    epoch = start.epoch if start else ""
    expected, done = "", 0
    with progress(f"importing {target}", header.count) as advance:
        for batch in batches(_as_writable(message) for message in messages):
            try:
                answer = client.append_messages(
                    target,
                    batch,
                    request_id=_request_id(target, epoch, done, batch),
                    expected_position=expected,
                    require_existing=True,
                )
            except ConflictError as error:
                raise _conflict(error, target) from None
            except (NotAllowedError, InvalidRequestError) as error:
                if created and not done:
                    with suppress(AiChatError):  # What was only begun is nothing that anybody wanted.
                        client.delete_session(target, allow_missing=True, expected_position="")
                raise _placed(error, done) from None
            expected = answer.position
            done += len(batch)
            advance(len(batch))
    if not created:
        if not done and session.message_count:
            raise _taken(target)
        if header.title or header.labels or header.ttl is not None:
            client.update_session(target, title=header.title or None, labels=header.labels or None, ttl=header.ttl)
    return done


def _prepare(client: Client, target: str, header: Header) -> tuple[model.Session, bool]:
    """The session to fill, and whether it is new: one that exists may be what an earlier import began."""
    try:
        return client.create_session(target, title=header.title, ttl=header.ttl, labels=header.labels), True
    except ConflictError as error:
        if error.reason != "SESSION_EXISTS":
            raise
        return client.get_session(target), False
    except InvalidRequestError as error:
        if error.reason != "INVALID_NAME":
            raise
        raise CliError(f"{error.message}; import under another name with --as", ExitCode.USAGE) from None


def _request_id(target: str, epoch: str, offset: int, batch: list[model.Message]) -> str:
    """The same for the same portion of the same file into the same log, so that a second import changes nothing."""
    digest = hashlib.sha256(f"{target}\0{epoch}\0{offset}\0".encode())
    for message in batch:
        digest.update(message.SerializeToString(deterministic=True))
    return f"import-{digest.hexdigest()[:48]}"


def _as_writable(message: model.Message) -> model.Message:
    """The message as a writer may give it. One that was unreadable becomes a failed one of a tool, its text kept."""
    message.ClearField("sequence")
    if message.status == model.MESSAGE_STATUS_UNREADABLE:
        message.role = model.ROLE_TOOL
        message.status = model.MESSAGE_STATUS_FAILED
        message.status_reason = f"unreadable: {message.status_reason}".removesuffix(": ")[:1024]
    return message


def _placed(error: AiChatError, done: int) -> AiChatError | ArchiveError:
    """What is wrong with a message, by its place in the file: `done` messages stand before the refused portion."""
    place = _PLACE.match(error.message) if isinstance(error, InvalidRequestError) else None
    if place is None:
        return error
    return ArchiveError(f"message {done + int(place[1]) + 1}: {error.message[place.end() :]}")


def _conflict(error: ConflictError, target: str) -> Exception:
    return _taken(target) if error.reason == "POSITION_CONFLICT" else error


def _taken(target: str) -> CliError:
    return CliError(f"{target} has other messages; import under another name with --as", ExitCode.CONFLICT)


@contextmanager
def _opened(source: Path) -> Iterator[BinaryIO]:
    if str(source) == "-":
        yield sys.stdin.buffer
        return
    try:
        file = source.open("rb")
    except OSError as error:
        raise CliError(f"cannot read {source}: {error.strerror}", ExitCode.USAGE) from None
    with file:
        yield file
