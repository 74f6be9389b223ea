"""The gateway as it is started with a certificate, and without what it needs."""

import os
import ssl
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from integration.gateway.conftest import Deployment
from support.certificates import Authority
from support.processes import gateway
from support.until import until


def test_it_serves_over_tls_alone_and_the_health_command_finds_it(in_memory: Deployment, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = {"TLS_CERT": str(authority.cert), "TLS_KEY": str(authority.key)}
    trusting = ssl.create_default_context(cafile=str(authority.ca))
    address = in_memory.session_svc.address
    with gateway(address, TLS_CERT=files["TLS_CERT"], TLS_KEY=files["TLS_KEY"], until="listening") as web:
        base = f"https://{web.address}"
        with httpx.Client(base_url=base, verify=trusting, headers={"origin": base}) as client:
            until(lambda: client.get("/readyz").status_code == 200, what="readiness")
            assert client.post("/api/sessions", json={"name": "by-tls"}).status_code == 201
            with client.stream("GET", "/api/stream", params={"session": "by-tls", "after": ""}) as stream:
                assert next(stream.iter_text()).startswith("retry:")
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://{web.address}/readyz")
        environment = {**os.environ, **files, "GATEWAY_LISTEN": web.address}
        health = subprocess.run([sys.executable, "-m", "stream_gateway", "health"], env=environment, check=False)
        assert health.returncode == 0


def test_a_certificate_that_cannot_be_used_is_a_clear_error(in_memory: Deployment, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.key.write_text("nonsense")
    with gateway(
        in_memory.session_svc.address, TLS_CERT=str(authority.cert), TLS_KEY=str(authority.key), until="spawned"
    ) as web:
        assert web.process.wait(60) == 2
        assert "bad setting: TLS_CERT, TLS_KEY" in web.log
        assert "Traceback" not in web.log


def test_where_there_are_tokens_it_says_that_it_needs_one_of_its_own(in_memory: Deployment, tmp_path: Path) -> None:
    with gateway(in_memory.session_svc.address, AUTH_TOKENS_FILE=str(tmp_path / "tokens.json"), until="spawned") as web:
        assert web.process.wait(60) == 2
        assert "GATEWAY_TOKEN" in web.log
        assert "session-svc token create gateway --scope read" in web.log


def test_with_tokens_it_may_be_published(in_memory: Deployment) -> None:
    with gateway(
        in_memory.session_svc.address, GATEWAY_TOKEN="own", GATEWAY_LISTEN="0.0.0.0:0", until="listening"
    ) as web:
        assert web.process.poll() is None
