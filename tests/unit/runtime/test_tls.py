"""Certificates renewed on disk serve the next connection; half-written ones do not."""

import asyncio
import errno
import itertools
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aichat_runtime.tls import Pair, RenewedPair, UnusablePairError, read_pair, server_context
from structlog.testing import capture_logs
from support.certificates import Authority


@asynccontextmanager
async def serving(context: ssl.SSLContext) -> AsyncIterator[int]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


@asynccontextmanager
async def connected(port: int, ca: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter, str]]:
    trust = ssl.create_default_context(cafile=ca)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
    certificate = writer.get_extra_info("peercert")
    try:
        yield reader, writer, certificate["subject"][0][0][1]
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_renewed_certificate_serves_the_next_connection_and_open_ones_stay(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with (
        serving(server_context(authority.cert, authority.key)) as port,
        connected(port, authority.ca) as (reader, writer, first),
    ):
        authority.renew("renewed")
        async with connected(port, authority.ca) as (_, _, second):
            pass
        writer.write(b"still here\n")
        assert await reader.readline() == b"still here\n"
    assert (first, second) == ("localhost", "renewed")


@pytest.mark.parametrize("half", ["certificate", "key"])
async def test_while_only_one_file_is_renewed_the_pair_before_serves_and_that_is_said_once(
    tmp_path: Path, half: str
) -> None:
    authority = Authority(tmp_path)
    certificate, key = authority.issue("renewed")
    async with serving(server_context(authority.cert, authority.key)) as port:
        with capture_logs() as logs:
            if half == "certificate":
                authority.cert.write_bytes(certificate)
            else:
                authority.key.write_bytes(key)
            for _ in range(3):
                async with connected(port, authority.ca) as (_, _, name):
                    assert name == "localhost"
        assert [log["event"] for log in logs] == ["certificate_unusable"]
        authority.cert.write_bytes(certificate)
        authority.key.write_bytes(key)
        async with connected(port, authority.ca) as (_, _, name):
            assert name == "renewed"


def test_a_truncated_or_missing_file_keeps_the_pair_before(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    renewed = RenewedPair(authority.cert, authority.key)
    before = renewed.get()
    authority.cert.write_bytes(before.certificate[:100])
    assert renewed.get() == before
    authority.cert.unlink()
    assert renewed.get() == before
    authority.renew()
    assert renewed.get() == read_pair(authority.cert, authority.key) != before


def test_a_renewed_pair_that_becomes_readable_later_is_taken_then_and_until_then_that_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    renewed = RenewedPair(authority.cert, authority.key)
    before = renewed.get()
    authority.renew()
    with monkeypatch.context() as while_denied, capture_logs() as logs:
        while_denied.setattr(Path, "read_bytes", denied)
        for _ in range(3):
            assert renewed.get() == before
    assert [log["event"] for log in logs] == ["certificate_unusable"]
    assert renewed.get() == read_pair(authority.cert, authority.key) != before


def denied(path: Path) -> bytes:
    """As where no descriptor is free, or a file is not the service's yet; root, who may run this, is denied nothing."""
    raise PermissionError(errno.EACCES, "Permission denied", str(path))


def test_what_is_read_is_what_was_found_to_belong_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    before = [file.read_bytes() for file in (authority.cert, authority.key)]
    authority.renew()
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: before.pop(0) if before else read(path))
    assert read_pair(authority.cert, authority.key) == Pair(read(authority.cert), read(authority.key))


def test_files_that_never_rest_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = Authority(tmp_path)
    contents = map(str.encode, map(str, itertools.count()))
    monkeypatch.setattr(Path, "read_bytes", lambda _: next(contents))
    with pytest.raises(UnusablePairError, match="being written"):
        read_pair(authority.cert, authority.key)


def test_an_old_version_of_tls_is_not_spoken(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    assert server_context(authority.cert, authority.key).minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_pair_that_does_not_belong_together_is_refused_at_start(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.key.write_bytes(authority.issue()[1])
    with pytest.raises(UnusablePairError, match=r"server\.pem"):
        server_context(authority.cert, authority.key)
