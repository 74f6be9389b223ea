"""gRPC under TLS, with certificates that are renewed while clients are connected."""

import os
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from aichat.session.v1 import session_pb2 as pb
from aichat.session.v1 import session_service_pb2 as api
from aichat.session.v1.session_service_pb2_grpc import SessionServiceStub
from aichat_dev.spawn import kill, spawn
from cryptography import x509
from cryptography.x509.oid import NameOID
from integration.session_svc.failures import fails
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from support.certificates import Authority
from support.needs import missing
from support.processes import Service, session_svc
from support.tokens import TokensFile, bearer
from support.until import until


@contextmanager
def serving(authority: Authority, **environment: str) -> Iterator[Service]:
    """A service with the authority's certificate."""
    files = {"TLS_CERT": str(authority.cert), "TLS_KEY": str(authority.key)}
    with session_svc(until="listening", **files, **environment) as service:
        until(lambda: health(service, authority).returncode == 0, what="it is ready")
        yield service


def health(service: Service, authority: Authority) -> subprocess.CompletedProcess[str]:
    """What `session-svc health` says, as in the service's own container."""
    return subprocess.run(
        [sys.executable, "-m", "session_svc", "health"],
        env={
            "PATH": os.environ["PATH"],
            "SESSION_SVC_LISTEN": service.address,
            "TLS_CERT": str(authority.cert),
            "TLS_KEY": str(authority.key),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def served_name(address: str, authority: Authority) -> str:
    """Whose certificate a new connection is shown."""
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context(cafile=authority.ca)
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection((host, int(port)), timeout=60) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as connection,
    ):
        certificate = connection.getpeercert(binary_form=True)
    assert certificate is not None
    [name] = x509.load_der_x509_certificate(certificate).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value)


def channel_to(service: Service, authority: Authority) -> grpc.Channel:
    return grpc.secure_channel(service.address, grpc.ssl_channel_credentials(authority.ca.read_bytes()))


def say(content: str) -> api.AppendMessagesRequest:
    return api.AppendMessagesRequest(session="s", messages=[pb.Message(role=pb.ROLE_USER, content=content)])


def test_a_certificate_renewed_on_disk_serves_the_next_connection_and_open_streams_go_on(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    tokens = TokensFile(tmp_path / "tokens.json")
    sent = bearer(tokens.add("ada"))
    with (
        serving(authority, AUTH_TOKENS_FILE=str(tokens.path)) as service,
        channel_to(service, authority) as channel,
    ):
        stub = SessionServiceStub(channel)
        watch = stub.WatchSession(api.WatchSessionRequest(session="s"), metadata=sent, timeout=60)
        assert next(watch).WhichOneof("event") == "caught_up"
        assert served_name(service.address, authority) == "localhost"

        good = authority.key.read_bytes()
        authority.key.write_bytes(good[:50])
        assert served_name(service.address, authority) == "localhost"
        until(lambda: "certificate_unusable" in service.log, what="the log says that the key is unusable")
        authority.renew("renewed")
        assert served_name(service.address, authority) == "renewed"

        stub.AppendMessages(say("across"), metadata=sent, timeout=60)
        assert next(watch).messages.messages[0].content == "across"
        watch.cancel()
        assert health(service, authority).returncode == 0


def test_without_tls_nobody_is_answered_and_another_authority_is_not_trusted(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    with serving(authority) as service:
        for channel in (grpc.insecure_channel(service.address), channel_to(service, stranger)):
            with channel, pytest.raises(grpc.RpcError) as caught:
                SessionServiceStub(channel).AppendMessages(say("hello"), timeout=60)
            assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
        with channel_to(service, authority) as channel, fails() as failure:
            SessionServiceStub(channel).GetSession(api.GetSessionRequest(name="none"), timeout=60)
        assert failure.reason == "SESSION_NOT_FOUND"


def test_a_certificate_without_its_key_is_refused_at_start_in_one_line(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.key.write_bytes(authority.issue()[1])
    for environment in (
        {"TLS_CERT": str(authority.cert), "TLS_KEY": str(authority.key)},
        {"TLS_CERT": str(authority.cert)},
    ):
        refused = subprocess.run(
            [sys.executable, "-m", "session_svc"],
            env={"PATH": os.environ["PATH"], "REDIS_ENABLED": "false", **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert refused.returncode == 2
        [line] = refused.stderr.splitlines()
        assert str(authority.key) in line or "TLS_KEY" in line


def test_health_says_which_certificate_it_cannot_read(tmp_path: Path) -> None:
    asked = subprocess.run(
        [sys.executable, "-m", "session_svc", "health"],
        env={"PATH": os.environ["PATH"], "TLS_CERT": str(tmp_path / "missing.pem")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert asked.returncode == 1
    [line] = asked.stderr.splitlines()
    assert "TLS_CERT" in line
    assert "missing.pem" in line


@contextmanager
def redis_with_tls(authority: Authority, folder: Path) -> Iterator[int]:
    """A Redis that speaks TLS alone; returns its port. Skips where no server on this machine can."""
    server = shutil.which("redis-server") or shutil.which("valkey-server")
    if server is None and (same_program := shutil.which("redis-check-rdb")):
        # The server is what it is called: Debian has the program in redis-tools, and in redis-server the name alone.
        server = str(folder / "redis-server")
        Path(server).symlink_to(same_program)
    if server is None:
        missing("a redis-server with TLS (Debian's redis-tools is enough; the embedded server has none)")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (folder / "redis.log").open("wb") as log:
        options = {
            "port": "0",
            "tls-port": str(port),
            "bind": "127.0.0.1",
            "tls-cert-file": str(authority.cert),
            "tls-key-file": str(authority.key),
            "tls-ca-cert-file": str(authority.ca),
            "tls-auth-clients": "no",
            "appendonly": "yes",
            "appendfsync": "always",
            "dir": str(folder),
        }
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        process = spawn([server, *arguments], output=log)
        try:
            until(lambda: process.poll() is not None or answers(port, authority), what="Redis answers over TLS")
            if process.poll() is not None:
                missing(f"a redis-server with TLS; {server} says: {(folder / 'redis.log').read_text()[-300:]}")
            yield port
        finally:
            kill(process)


def answers(port: int, authority: Authority) -> bool:
    with Redis(port=port, ssl=True, ssl_ca_certs=str(authority.ca)) as redis:
        try:
            return bool(redis.ping())
        except RedisConnectionError:
            return False


def test_redis_is_reached_over_tls_and_only_when_its_certificate_is_trusted(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with redis_with_tls(authority, tmp_path) as port:
        url = f"rediss://127.0.0.1:{port}/0"
        with (
            session_svc(f"{url}?ssl_ca_certs={authority.ca}") as service,
            grpc.insecure_channel(service.address) as channel,
        ):
            stub = SessionServiceStub(channel)
            watch = stub.WatchSession(api.WatchSessionRequest(session="s"), timeout=60)
            next(watch)
            stub.AppendMessages(say("over TLS"), timeout=60)
            assert next(watch).messages.messages[0].content == "over TLS"
            watch.cancel()
        with session_svc(url, until="listening") as untrusting:
            until(lambda: "store_unavailable" in untrusting.log, what="the log says why")
            assert not untrusting.is_ready()
            assert "certificate" in untrusting.log
