"""The lock of a data directory."""

import subprocess
from pathlib import Path

import pytest
from aichat_dev.directory_lock import DirectoryInUseError, DirectoryLock
from aichat_dev.spawn import kill, spawn


def test_a_released_directory_can_be_taken_again(tmp_path: Path) -> None:
    first, second = DirectoryLock(tmp_path / "new"), DirectoryLock(tmp_path / "new")
    first.acquire()
    with pytest.raises(DirectoryInUseError):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_a_server_that_inherited_the_lock_keeps_the_directory_when_its_parent_has_let_go(tmp_path: Path) -> None:
    lock = DirectoryLock(tmp_path)
    lock.acquire()
    server = spawn(["sleep", "600"], output=subprocess.DEVNULL, keep=[lock.fileno()])
    try:
        lock.release()
        with pytest.raises(DirectoryInUseError):
            lock.acquire()
    finally:
        kill(server)
    lock.acquire()
    lock.release()
