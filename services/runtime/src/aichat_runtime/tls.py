"""TLS for servers, with certificates that may be renewed on disk at any moment.

The files are looked at with every handshake, so a renewed certificate serves the next connection and those that are
open stay. Whoever renews writes two files, never at one moment: a pair that is half written, or of which one half is
of another pair, is not taken, and the one before stays.
"""

import os
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

import structlog

T = TypeVar("T")

_MOMENTS: Final = 3

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its chain and its private key, both PEM, that belong together."""

    certificate: bytes
    key: bytes


class UnusablePairError(Exception):
    """The files hold no certificate with its key; the text says which and why."""


def read_pair(certificate: Path, key: Path) -> Pair:
    """Reads both files. Raises UnusablePairError when one cannot be read, or they do not belong together."""
    try:
        for _ in range(_MOMENTS):
            pair = Pair(certificate.read_bytes(), key.read_bytes())
            _context(certificate, key)
            if pair == Pair(certificate.read_bytes(), key.read_bytes()):
                return pair
    except OSError as error:  # Of which ssl.SSLError is one.
        raise UnusablePairError(f"{certificate}, {key}: no certificate with its key: {error}") from error
    raise UnusablePairError(f"{certificate}, {key}: they are being written")


class _Renewed(Generic[T]):
    """What `make` makes of the files, made anew when they have changed; called from any thread."""

    def __init__(self, certificate: Path, key: Path, make: Callable[[Path, Path], T]) -> None:
        """Raises UnusablePairError: a server begins with a pair that works."""
        self._files = (certificate, key)
        self._make = make
        self._lock = threading.Lock()
        self._seen = _stamps(self._files)
        self._current = self._made()
        self._complaint: tuple[object, str] | None = None

    def get(self) -> T:
        """The one in force."""
        with self._lock:
            stamps = _stamps(self._files)
            if stamps != self._seen:
                try:
                    self._current = self._made()
                except UnusablePairError as error:
                    self._complain(stamps, str(error))  # They are tried again: an unreadable file may be readable soon.
                else:
                    self._seen = stamps
                    _log.info("certificate_renewed", certificate=str(self._files[0]))
            return self._current

    def _complain(self, stamps: object, problem: str) -> None:
        """Logs a problem once, however many connections meet it."""
        if self._complaint != (stamps, problem):
            self._complaint = stamps, problem
            _log.error("certificate_unusable", problem=problem, remedy="the one before stays in use")

    def _made(self) -> T:
        read_pair(*self._files)
        return self._make(*self._files)


class RenewedPair(_Renewed[Pair]):
    """The pair in force, as bytes: what a server needs whose library asks for them with every handshake."""

    def __init__(self, certificate: Path, key: Path) -> None:
        super().__init__(certificate, key, read_pair)


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """A context for servers of `asyncio` and uvicorn: TLS 1.2 or newer. Raises UnusablePairError."""
    renewed = _Renewed(certificate, key, _context)

    def choose(connection: ssl.SSLObject, _server_name: str, _before: ssl.SSLContext) -> None:
        connection.context = renewed.get()

    context = _context(certificate, key)
    context.sni_callback = choose  # Called in every handshake, also of clients that name no server.
    return context


def _context(certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key, password=_no_password)
    return context


def _no_password() -> str:
    """Nobody is there to type one: an encrypted key is an error instead of a prompt that waits for ever."""
    return ""


def _stamps(files: tuple[Path, Path]) -> tuple[object, ...]:
    stamps: list[object] = []
    for file in files:
        try:
            status = os.stat(file)  # noqa: PTH116 - Half the time of Path.stat, in every handshake.
        except OSError:
            stamps.append(None)
        else:
            stamps.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return tuple(stamps)
