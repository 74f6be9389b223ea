"""How a command ends when it does not succeed: one line for people, one number for scripts."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What `ai-chat` exits with."""

    OK = 0
    OTHER = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    UNAVAILABLE = 5
    NOT_ALLOWED = 6
    NO_WHOLE_ANSWER = 7
    NOBODY_ANSWERED = 8
    INTERRUPTED = 130


class CliError(Exception):
    """A failure whose text says in one line what is wrong and what to do about it."""

    def __init__(self, message: str, exit_code: ExitCode = ExitCode.OTHER) -> None:
        super().__init__(message)
        self.exit_code = exit_code
