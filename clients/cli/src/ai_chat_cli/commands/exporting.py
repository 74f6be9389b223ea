"""`ai-chat export`."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ai_chat_client.errors import ConflictError

from ai_chat_cli import output
from ai_chat_cli.archive.writers import WRITERS, Write
from ai_chat_cli.commands.finding import found
from ai_chat_cli.failure import CliError, ExitCode
from ai_chat_cli.invocation import Invocation
from ai_chat_cli.progress import progress
from ai_chat_cli.text import counted, escaped, safe

_JSON = frozenset({"jsonl", "json"})
_ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".md": "md", ".markdown": "md"}


def export(invocation: Invocation, name: str | None, form: str | None, out: Path | None) -> None:
    """Writes the session to `out`, or to stdout; a file appears only when it is complete."""
    chosen = form or (_ENDINGS.get(out.suffix.lower()) if out else None) or "jsonl"
    if chosen not in WRITERS:
        raise CliError(f"--format {chosen!r} is none; write {', '.join(WRITERS)}", ExitCode.USAGE)
    session_name = invocation.session(name)
    count = 0
    with invocation.client() as client:
        session = found(client, session_name)
        shown = out is not None or output.is_file()
        with (
            _target(out, escaped if chosen in _JSON else safe) as write,
            progress(f"exporting {session_name}", session.message_count, shown=shown) as advance,
        ):
            writer = WRITERS[chosen](write)
            writer.begin(session)
            try:
                for message in client.messages(session_name, page_size=1000):
                    writer.message(message)
                    advance(1)
                    count += 1
            except ConflictError:
                raise CliError(
                    f"{session_name} was cleared or shortened while it was exported; export it again",
                    ExitCode.CONFLICT,
                ) from None
            writer.end()
    if out is not None:
        output.note(f"{counted(count)} in {out}")


@contextmanager
def _target(out: Path | None, harmless: Callable[[str], str]) -> Iterator[Write]:
    """Where the export goes; what a terminal would obey in it is made `harmless` there."""
    if out is None:
        yield (lambda text: sys.stdout.write(harmless(text))) if output.is_terminal() else sys.stdout.write
        return
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(dir=out.parent, prefix=f".{out.name}.")
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            yield file.write
        Path(temporary).replace(out)
    except OSError as error:
        raise CliError(f"cannot write {out}: {error.strerror}") from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
