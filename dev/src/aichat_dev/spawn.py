"""Starting child processes that never outlive their parent, and ending them."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

GUARD: Final = Path(__file__).with_name("_guard.py")


def spawn(
    program: Sequence[str | os.PathLike[str]],
    *,
    output: IO[bytes] | int,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
    keep: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Starts `program` (an absolute path and its arguments) with both output streams on `output` and no input.

    The child leads a session of its own, so a Ctrl-C in the terminal reaches the parent alone, which decides the
    order of the end. On Linux the kernel kills it when the *thread* that called this ends: call it from the main one.
    `keep` lists file descriptors that the child inherits.
    """
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), *(os.fspath(part) for part in program)],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=directory,
        pass_fds=tuple(keep),
        start_new_session=True,
    )


def end(process: subprocess.Popen[bytes], *, grace: float) -> None:
    """Asks `process` to end (SIGTERM) and kills its whole group when it has not within `grace` seconds."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)  # A stopped process would not see the request.
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kills `process` and whatever it started (SIGKILL), and waits until it is gone."""
    kill_without_waiting(process)
    process.wait()


def kill_without_waiting(process: subprocess.Popen[bytes]) -> None:
    """Kills `process` and whatever it started; safe in a signal handler, which may have interrupted a wait for it."""
    if process.returncode is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            process.kill()  # It has not become the leader of its session yet.
