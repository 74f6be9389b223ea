"""Encrypted connections, to a server with a certificate of an authority of its own."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
import pytest
from ai_chat_client import AsyncClient, Backoff, Client, RetryPolicy
from ai_chat_client.errors import UnavailableError
from aichat.session.v1 import session_pb2 as model
from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1 import session_service_pb2_grpc as api_grpc
from support.certificates import Authority

from .scripted import Context, service

AT_ONCE = RetryPolicy(backoff=Backoff(initial=0.0))


@dataclass(frozen=True)
class Secured:
    """A server on `port` that answers GetSession with the caller's token as title; `ca` is who signed for it."""

    port: int
    ca: Path


@pytest.fixture
async def secured(tmp_path: Path) -> AsyncIterator[Secured]:
    authority = Authority(tmp_path)

    async def get(_request: api.GetSessionRequest, context: Context) -> model.Session:
        metadata = dict(context.invocation_metadata() or ())
        return model.Session(title=str(metadata.get("authorization", "")))

    pair = (authority.key.read_bytes(), authority.cert.read_bytes())
    server = grpc.aio.server()
    api_grpc.add_SessionServiceServicer_to_server(service(GetSession=get), server)
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    await server.start()
    yield Secured(port, authority.ca)
    await server.stop(None)


async def test_a_token_travels_encrypted_to_a_server_that_the_authority_vouches_for(secured: Secured) -> None:
    arguments = {"token": "t0ken", "tls_ca": secured.ca}
    async with AsyncClient(f"https://127.0.0.1:{secured.port}", **arguments) as client:  # type: ignore[arg-type]  # Text and a path.
        assert (await client.get_session("s")).title == "Bearer t0ken"

    def ask() -> str:
        with Client(f"127.0.0.1:{secured.port}", tls=True, tls_ca=secured.ca) as client:
            return client.get_session("s").title

    assert await asyncio.to_thread(ask) == ""


async def test_a_server_that_nobody_vouches_for_gets_nothing(secured: Secured) -> None:
    async with AsyncClient(f"https://127.0.0.1:{secured.port}", token="t0ken", policy=AT_ONCE) as client:
        with pytest.raises(UnavailableError, match=r"no answer from https://127\.0\.0\.1:\d+ \(TLS\)"):
            await client.get_session("s")
