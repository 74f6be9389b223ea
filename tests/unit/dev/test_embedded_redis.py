"""The embedded Redis: durable, one per directory, never left behind."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import redis
from aichat_dev.directory_lock import DirectoryInUseError
from aichat_dev.embedded_redis import EmbeddedRedis, EmbeddedRedisError

PARENT = """
import sys, time
from pathlib import Path
from aichat_dev.embedded_redis import EmbeddedRedis
with EmbeddedRedis(Path(sys.argv[1])) as server:
    print(server.process.pid, flush=True)
    time.sleep(600)
"""


def test_an_acknowledged_write_survives_a_kill_of_the_server(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        client.rpush("list", "one", "two")
        server.kill()
        server.start()
        assert client.lrange("list", 0, -1) == [b"one", b"two"]


def test_it_runs_with_the_durable_settings(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        settings = client.config_get("append*", "maxmemory-policy", "bind")
    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "always"
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["bind"] == "127.0.0.1"


def test_the_data_is_there_for_the_next_run_even_when_the_path_has_a_space(tmp_path: Path) -> None:
    directory = tmp_path / "my data"
    with EmbeddedRedis(directory) as server, redis.Redis.from_url(server.url) as client:
        client.set("key", "value")
    with EmbeddedRedis(directory) as server, redis.Redis.from_url(server.url) as client:
        assert client.get("key") == b"value"


def test_a_second_run_on_one_directory_is_refused_and_says_who_has_it(tmp_path: Path) -> None:
    with (
        EmbeddedRedis(tmp_path),
        pytest.raises(DirectoryInUseError, match=rf"process {os.getpid()}.*DATA_DIR"),
        EmbeddedRedis(tmp_path),
    ):
        pass


def test_a_taken_port_is_an_error_that_shows_the_servers_log(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path / "first") as first:
        second = EmbeddedRedis(tmp_path / "second", port=first.port)
        with pytest.raises(EmbeddedRedisError, match="Address already in use"), second:
            pass
        assert redis.Redis.from_url(first.url).ping()


def test_a_server_that_cannot_read_its_data_is_an_error_that_shows_its_log(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path):
        pass
    (manifest,) = (tmp_path / "appendonlydir").glob("*.manifest")
    manifest.write_text("garbage\n")
    with pytest.raises(EmbeddedRedisError, match=r"ended with status[\s\S]*manifest"), EmbeddedRedis(tmp_path):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_the_server_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, tmp_path], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        server = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
    assert psutil.wait_procs([server], timeout=60)[1] == []


def test_a_stopped_server_leaves_no_listener(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server:
        port = server.port
        server.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 1)
