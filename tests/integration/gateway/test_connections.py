"""Connections that send slowly, too much or nonsense, or are too many; and encrypted ones. With small bounds."""

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from aichat_runtime.address import Address
from aichat_runtime.limits import OpenLimit
from aichat_runtime.tls import server_context
from stream_gateway import arrivals, protocol
from stream_gateway.server import GatewayServer, listen
from support.certificates import Authority
from support.until import until

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

HELLO = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


async def answer(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    """Says hello; `/wait` once the body has come, if it comes, and `/fields` then how many fields the head had."""
    while scope["path"] != "/" and (message := await receive()).get("more_body"):
        pass
    if scope["path"] == "/fields":
        text = b"%d fields" % len(scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": text})
        return
    if scope["path"] == "/wait" and message["type"] == "http.disconnect":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


@contextlib.asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server; yields its port."""
    listener = listen(Address("127.0.0.1", 0))
    started = asyncio.Event()
    server = GatewayServer(answer, started.set, tls)
    task = asyncio.create_task(server.serve([listener]))
    await started.wait()
    try:
        yield listener.getsockname()[1]
    finally:
        server.leave()
        server.force_exit = True
        await task


async def exchange(port: int, *pieces: bytes) -> bytes:
    """Sends the pieces, and returns everything until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(60):
            with contextlib.suppress(ConnectionError):
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
            return await reader.read()
    except ConnectionResetError:
        return b"reset"
    finally:
        writer.close()


def status(answer: bytes) -> int:
    """The status of the last answer."""
    return int(re.findall(rb"HTTP/1.1 (\d+)", answer)[-1])


@pytest.mark.parametrize(
    "beginning",
    [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"\r\n", HELLO + b"GET / HTTP/1.1\r\nX:"],
)
async def test_whoever_does_not_finish_a_head_is_sent_away(monkeypatch: pytest.MonkeyPatch, beginning: bytes) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    async with serving() as port:
        said = await exchange(port, beginning)

    assert status(said) == 408
    assert b"TOO_SLOW" in said
    assert (b"hello" in said) == beginning.startswith(HELLO)


async def test_a_head_that_comes_drop_by_drop_has_no_more_time_than_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HELLO[:-2])

        async def drip() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b"X: y\r\n")
                    await writer.drain()
                    await asyncio.sleep(0.05)

        dripping = asyncio.create_task(drip())
        async with asyncio.timeout(60):
            said = b""
            with contextlib.suppress(ConnectionError):
                said = await reader.read()
        dripping.cancel()
        writer.close()

    assert b"408" in said or said == b""  # What is still being sent may make the kernel drop the answer.


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 101 + b"\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: " + b"x" * 300_000,
        b"GET / HTTP/1.1\r\n" + b"x" * 300_000,
    ],
)
async def test_a_head_that_is_too_large_is_refused(head: bytes) -> None:
    async with serving() as port:
        said = await exchange(port, head)

    assert said == b"reset" or (status(said) == 431 and b"TOO_LARGE" in said)


async def test_a_head_within_the_bounds_is_served_and_so_is_a_large_body() -> None:
    async with serving() as port:
        head = b"GET / HTTP/1.1\r\nConnection: close\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(90)) + b"\r\n"
        assert b"hello" in await exchange(port, head)
        length = 2_000_000
        post = b"POST /wait HTTP/1.1\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % length
        assert b"hello" in await exchange(port, post, b"x" * length)


CHUNKED = b"POST /fields HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("rest", "unit"),
    [
        (b"2\r\n{}\r\n0\r\n", b"X: y\r\n" * 10_000),
        (b"2\r\n{}\r\n0\r\nX: ", b"y" * 60_000),
        (b"2;", b"y" * 60_000),
        (b"2\r\n{}\r\n", b"0" * 60_000),
    ],
)
async def test_what_stands_beside_a_body_has_an_end(rest: bytes, unit: bytes) -> None:
    async with serving() as port:
        said = await exchange(port, CHUNKED + rest, *[unit] * 200)

    assert said == b"reset" or status(said) in (400, 431)


async def test_a_field_behind_the_body_is_none_of_the_head() -> None:
    async with serving() as port:
        body = b"2;why=not\r\n{}\r\n0\r\nAuthorization: Bearer x\r\nIf-Match: y\r\n\r\n"
        assert b"3 fields" in await exchange(port, CHUNKED, body)


@pytest.mark.parametrize("body", [b"zz\r\n", b"2\r\n{}0\r\n\r\n", b"-1\r\n", b"fffffffffffffffff\r\n", b"2\n{}\n"])
async def test_a_body_that_cannot_be_read_is_refused_with_a_word(body: bytes) -> None:
    async with serving() as port:
        said = await exchange(port, CHUNKED, body)

    assert status(said) == 400
    assert b"INVALID_FIELD" in said
    assert said.count(b"HTTP/1.1") == 1


async def test_requests_at_once_are_answered_in_order_up_to_a_bound() -> None:
    last = HELLO[:-2] + b"Connection: close\r\n\r\n"
    async with serving() as port:
        within = await exchange(port, HELLO * protocol.MAX_PIPELINED + last)
        beyond = await exchange(port, HELLO * (protocol.MAX_PIPELINED + 1) + last)

    assert within.count(b"hello") == protocol.MAX_PIPELINED + 1
    assert beyond.count(b"hello") == 0


@pytest.mark.parametrize(
    "nonsense",
    [b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/9.9\r\n\r\n", b"GET  \r\n\r\n", b"\x00" * 100,
     b"GET http://[ HTTP/1.1\r\n\r\n",
     b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
     b"GET / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
     b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"GET /\xff HTTP/1.1\r\n\r\n"],
)  # fmt: skip
async def test_what_is_no_http_ends_its_connection_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, nonsense: bytes
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 1.5)
    async with serving() as port:
        said = await exchange(port, nonsense)
        assert b"HTTP/1.1 5" not in said
        assert b"Traceback" not in said
        assert b"hello" in await exchange(port, HELLO[:-2] + b"Connection: close\r\n\r\n")


async def test_more_connections_than_one_address_may_have_are_dropped_and_the_others_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(protocol, "is_loopback", lambda _: False)
    monkeypatch.setattr(protocol, "peers", OpenLimit(3))
    async with serving() as port:
        kept = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        reader, writer = kept[0]
        writer.write(HELLO)
        await reader.readuntil(b"hello")
        with contextlib.suppress(ConnectionError):
            assert await exchange(port, HELLO) in (b"", b"reset")
        for reader, writer in kept:
            writer.write(HELLO)
            await reader.readuntil(b"hello")
            writer.close()
            await writer.wait_closed()
        await asyncio.to_thread(until, lambda: not len(protocol.peers), what="that they are forgotten")
        assert b"hello" in await exchange(port, HELLO[:-2] + b"Connection: close\r\n\r\n")


async def test_connections_beyond_what_the_process_takes_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_CONNECTIONS", 2)
    async with serving() as port:
        kept = []
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HELLO)
            await reader.readuntil(b"hello")
            kept.append(writer)
        assert await exchange(port, HELLO) in (b"", b"reset")
        for writer in kept:
            writer.close()


async def test_a_renewed_certificate_serves_the_next_connection_and_open_ones_stay(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    trusting = ssl.create_default_context(cafile=str(authority.ca))
    async with serving(server_context(authority.cert, authority.key)) as port:
        reader, writer = await asyncio.open_connection("localhost", port, ssl=trusting, family=socket.AF_INET)
        first = writer.get_extra_info("peercert")["serialNumber"]
        authority.renew()
        _, other = await asyncio.open_connection("localhost", port, ssl=trusting, family=socket.AF_INET)
        second = other.get_extra_info("peercert")["serialNumber"]
        other.close()
        writer.write(HELLO)
        await reader.readuntil(b"hello")
        writer.close()
        assert status(await exchange(port, HELLO) or b"HTTP/1.1 400") == 400

    assert first != second


@pytest.mark.parametrize("beginning", [b"", b"\x16\x03\x01", HELLO])
async def test_whoever_does_not_come_to_be_encrypted_is_sent_away(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, beginning: bytes
) -> None:
    monkeypatch.setattr(arrivals, "HANDSHAKE_SECONDS", 0.3)
    authority = Authority(tmp_path)
    async with serving(server_context(authority.cert, authority.key)) as port:
        assert b"hello" not in await exchange(port, beginning)


async def test_connections_count_before_they_are_encrypted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(protocol, "is_loopback", lambda _: False)
    monkeypatch.setattr(protocol, "peers", OpenLimit(3))
    authority = Authority(tmp_path)
    trusting = ssl.create_default_context(cafile=str(authority.ca))
    async with serving(server_context(authority.cert, authority.key)) as port:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await asyncio.open_connection("localhost", port, ssl=trusting, family=socket.AF_INET)
        for _, writer in silent:
            writer.close()
        await asyncio.to_thread(until, lambda: not len(protocol.peers), what="that they are forgotten")
        reader, writer = await asyncio.open_connection("localhost", port, ssl=trusting, family=socket.AF_INET)
        writer.write(HELLO)
        await reader.readuntil(b"hello")
        assert len(protocol.peers) == 1
        writer.close()
        await asyncio.to_thread(until, lambda: not len(protocol.peers), what="that it is forgotten")


async def test_what_comes_together_with_the_end_of_the_handshake_is_not_lost(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    trusting = ssl.create_default_context(cafile=str(authority.ca))
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(coming, going, server_hostname="localhost")
    async with serving(server_context(authority.cert, authority.key)) as port, asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(going.read())
                coming.write(await reader.read(65536))
        client.write(HELLO[:-2] + b"Connection: close\r\n\r\n")
        writer.write(going.read())  # Its last word of the handshake, and the request.
        said = b""
        while b"hello" not in said:
            coming.write(await reader.read(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                while piece := client.read(65536):
                    said += piece
        writer.close()

    assert status(said) == 200
