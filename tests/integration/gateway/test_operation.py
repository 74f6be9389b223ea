"""What an operator sees: health, metrics, logs."""

import asyncio
import os
import socket
import subprocess
import sys

import httpx
from ai_chat_client import ROLE_USER, AsyncClient, Message
from integration.gateway.conftest import Deployment
from support.processes import gateway
from support.web_viewer import WebViewer


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def health(address: str) -> int:
    """The exit status of the container's health check."""
    environment = {**os.environ, "GATEWAY_LISTEN": address}
    return subprocess.run([sys.executable, "-m", "stream_gateway", "health"], env=environment, check=False).returncode


async def test_metrics_count_viewers_events_and_requests(in_memory: Deployment, name: str) -> None:
    metrics = f"127.0.0.1:{free_port()}"
    with gateway(in_memory.session_svc.address, METRICS_LISTEN=metrics, DRAIN_SECONDS="0") as web:
        async with (
            AsyncClient(in_memory.session_svc.address) as chat,
            WebViewer(web.address, name) as viewer,
            httpx.AsyncClient() as client,
        ):
            await chat.append_messages(name, [Message(role=ROLE_USER, content="hello")])
            await viewer.until_contents("hello")
            await client.get(f"http://{web.address}/api/sessions/{name}")
            lines: list[str] = []
            async with asyncio.timeout(60):  # What is frequent is told once a second.
                while 'gateway_events_received_total{type="message"} 1.0' not in lines:
                    lines = (await client.get(f"http://{metrics}/metrics")).text.splitlines()

    assert "gateway_viewers 1.0" in lines
    assert "gateway_subscriptions 1.0" in lines
    assert 'gateway_source_up{source="session-svc"} 1.0' in lines
    assert 'gateway_http_requests_total{method="GET",route="/api/sessions/{name}",status="200"} 1.0' in lines
    assert name not in "\n".join(lines)


async def test_the_health_command_says_whether_it_is_ready(in_memory: Deployment) -> None:
    assert await asyncio.to_thread(health, in_memory.address) == 0
    with gateway(f"127.0.0.1:{free_port()}", until="listening") as lonely:
        assert await asyncio.to_thread(health, lonely.address) == 1
    assert await asyncio.to_thread(health, f"127.0.0.1:{free_port()}") == 1


async def test_readiness_says_what_is_out_of_reach(in_memory: Deployment) -> None:
    with gateway(f"127.0.0.1:{free_port()}", until="listening") as lonely:
        async with httpx.AsyncClient(base_url=f"http://{lonely.address}") as client:
            answer = await client.get("/readyz")
            assert answer.status_code == 503
            assert answer.json() == {"status": "not ready", "sources": {"session-svc": "down", "events": "down"}}
    async with httpx.AsyncClient(base_url=f"http://{in_memory.address}") as client:
        assert (await client.get("/readyz")).json()["status"] == "ready"
