"""What runs beside a test: started on the way in, gone on the way out, its last words on the failure."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable
from types import TracebackType
from typing import Self


def inherited(names: Iterable[str]) -> dict[str, str]:
    """Those of this process's variables: no setting of the developer's machine may change a test."""
    return {name: os.environ[name] for name in names if name in os.environ}


class Running(ABC):
    """Context manager. `start` returns once it can be used; `remove` ends it, whatever of it there is, for good.

    `name`: what a failure's note calls it.
    """

    name: str

    @property
    @abstractmethod
    def last_words(self) -> str:
        """What explains a failure: a note on the exception. Available at any time, also when it never started."""

    @abstractmethod
    def start(self) -> None:
        """Starts it, and waits until it is there."""

    @abstractmethod
    def remove(self) -> None:
        """Ends it, also after a `start` that failed, and removes what it has left."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException as error:
            self._leave(error)
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leave(exc)

    def _leave(self, failure: BaseException | None) -> None:
        try:
            if failure is not None:
                failure.add_note(f"--- {self.name}:\n{self.last_words}")
        finally:
            self.remove()
