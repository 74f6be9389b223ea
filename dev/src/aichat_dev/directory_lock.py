"""One owner at a time for a data directory."""

import fcntl
import os
from pathlib import Path
from typing import Final

NAME: Final = "lock"


class DirectoryInUseError(Exception):
    """Another process works in the directory."""

    def __init__(self, directory: Path, owner: str) -> None:
        super().__init__(
            f"{directory} is in use by another run{f' (process {owner})' if owner else ''}: "
            f"stop that one, or set DATA_DIR to another directory"
        )
        self.directory = directory


class DirectoryLock:
    """Holds `directory` from `acquire` to `release`.

    The kernel's lock belongs to the open file, so it lasts until the last process that inherited `fileno()` is
    gone: a server that survives its parent still guards its files.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: int | None = None

    def fileno(self) -> int:
        """The descriptor that holds the lock, for a child process to inherit."""
        assert self._file is not None, "not locked"  # noqa: S101 - A bug of the caller, not an input.
        return self._file

    def acquire(self) -> None:
        """Takes the directory, creating it when missing; raises DirectoryInUseError at once when it is taken.

        Does nothing when this object holds it already.
        """
        if self._file is not None:
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        file = os.open(self._directory / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(file, 32).decode("ascii", "replace").strip()
            os.close(file)
            raise DirectoryInUseError(self._directory, owner) from None
        os.ftruncate(file, 0)
        os.write(file, f"{os.getpid()}\n".encode())
        self._file = file

    def release(self) -> None:
        """Leaves the directory to others."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
