"""`make run`, for real."""

import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import redis
from support.product import ROOT, Product, environment
from support.redis_server import RedisServer
from support.terminal import CONTROL_C, CONTROL_D, ENTER, Terminal
from support.until import until
from support.writer import Writer, contents

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with Product(environment(tmp_path_factory.mktemp("home"))) as running:
        yield running


def _cli(home: Path, product: Product, *arguments: str) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name("ai-chat"), *arguments],
        env={**environment(home), "AI_CHAT_SERVER": product.server},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    return done.stdout


def test_the_announced_page_is_the_page(product: Product) -> None:
    page = httpx.get(product.page)
    assert page.status_code == httpx.codes.OK
    assert "text/html" in page.headers["content-type"]


def test_the_announced_command_starts_a_chat(product: Product, tmp_path: Path) -> None:
    with Terminal(shlex.split(product.chat), environment=environment(tmp_path), directory=ROOT) as terminal:
        terminal.wait_for("my-project")
        terminal.type("Hello from a terminal" + ENTER)
        page = f"{product.page}api/sessions/my-project/messages"
        with httpx.Client() as browser:
            until(lambda: "Hello from a terminal" in browser.get(page).text)
        terminal.type(CONTROL_D)
        assert terminal.process.wait(60) == 0


def test_what_the_page_copies_reaches_the_same_service(product: Product) -> None:
    with httpx.Client() as browser:
        assert product.server in browser.get(product.page).text


@pytest.mark.parametrize("name", ["redis", "session-svc", "stream-gateway"])
def test_a_killed_part_comes_back_and_nothing_acknowledged_is_lost(product: Product, name: str) -> None:
    session = f"killed-{name}"
    with Writer(product.server, session) as writer:
        product.children()[name].kill()
        until(lambda: name in product.children(), what=f"the restart of {name}")
        until(lambda: _is_ready(product), what="readiness")
        writer.wait_for_progress()
    assert contents(product.server, session) == writer.acknowledged


def test_a_question_is_answered_without_a_model(tmp_path: Path) -> None:
    with Product(environment(tmp_path, ASSISTANT="on")) as product:
        assert "assistant" in product.children()
        assert "an echo" in product.assistant
        _cli(tmp_path, product, "send", "asked", "Anybody there?")
        until(lambda: len(contents(product.server, "asked")) == 2, what="an answer")
        assert contents(product.server, "asked")[1].startswith("You said: Anybody there?")
        assert product.stop() == 0


def test_with_the_assistant_off_nobody_answers(product: Product) -> None:
    assert "assistant" not in product.children()
    assert product.assistant == "none (ASSISTANT=off)"


def test_the_model_that_answers_is_announced(tmp_path: Path) -> None:
    settings = {"ASSISTANT": "on", "ASSISTANT_MODEL": "llama3.2", "OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    with Product(environment(tmp_path, **settings)) as product:
        assert product.assistant == "llama3.2 at http://127.0.0.1:9/v1"


@linux
def test_everything_is_killed_and_started_again_and_the_sessions_are_where_they_were(tmp_path: Path) -> None:
    with Product(environment(tmp_path)) as product:
        for session in ("one", "two"):
            _cli(tmp_path, product, "send", session, f"first message of {session}")
        product.kill()
        product.start()
        for session in ("one", "two"):
            _cli(tmp_path, product, "send", session, f"second message of {session}")
            expected = [f"first message of {session}", f"second message of {session}"]
            assert contents(product.server, session) == expected
        listed = httpx.get(f"{product.page}api/sessions").json()
        assert [(session["name"], session["messageCount"]) for session in listed] == [("two", 2), ("one", 2)]


def test_control_c_in_the_terminal_of_make_run_ends_all_in_order(tmp_path: Path) -> None:
    with Terminal(["make", "run"], environment=environment(tmp_path), directory=ROOT) as terminal:
        terminal.wait_for("Ctrl-C stops all.", timeout=60)
        family = psutil.Process(terminal.process.pid).children(recursive=True)
        assert len(family) >= 3
        terminal.type(CONTROL_C)
        screen = terminal.wait_for("stopped")
        assert terminal.process.wait(60) in (0, 130, -signal.SIGINT)
        assert "Traceback" not in screen
        assert psutil.wait_procs(family, timeout=60)[1] == []


def test_a_run_whose_terminal_is_closed_ends(tmp_path: Path) -> None:
    with Terminal(["make", "run"], environment=environment(tmp_path), directory=ROOT) as terminal:
        terminal.wait_for("Ctrl-C stops all.", timeout=60)
        family = psutil.Process(terminal.process.pid).children(recursive=True)
        terminal.hang_up()
        assert psutil.wait_procs(family, timeout=60)[1] == []


def test_sigterm_ends_all_and_the_next_run_has_the_data(tmp_path: Path) -> None:
    with Product(environment(tmp_path)) as product:
        _cli(tmp_path, product, "send", "kept", "still here")
        assert product.stop(signal.SIGTERM) == 0
        assert product.left_behind() == []
        product.start()
        assert contents(product.server, "kept") == ["still here"]


@pytest.mark.parametrize("variable", ["SESSION_SVC_LISTEN", "GATEWAY_LISTEN"])
def test_a_taken_port_is_one_line_that_names_the_variable(tmp_path: Path, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        status, output = _fails(environment(tmp_path, **{variable: address}))
    assert status == 1
    assert output.count("\n") == 1
    assert f"cannot listen at {address} (Address already in use)" in output
    assert f"{variable}=127.0.0.1:" in output
    assert not (tmp_path / "data").exists()


def test_a_second_run_on_the_same_data_is_one_line_that_names_the_variable(product: Product) -> None:
    status, output = _fails(
        {**product.environment, "SESSION_SVC_LISTEN": "127.0.0.1:0", "GATEWAY_LISTEN": "127.0.0.1:0"}
    )
    assert status == 1
    assert output.count("\n") == 1
    assert f"in use by another run (process {product.process.pid})" in output
    assert "DATA_DIR" in output


def test_bad_settings_are_all_named_at_once(tmp_path: Path) -> None:
    status, output = _fails(environment(tmp_path, GATEWAY_LISTEN="here", DRAIN_SECONDS="soon"))
    assert status == 2
    assert "GATEWAY_LISTEN" in output
    assert "DRAIN_SECONDS" in output
    assert "Traceback" not in output


def test_a_setting_that_only_a_service_refuses_ends_the_run_with_the_services_words(tmp_path: Path) -> None:
    status, output = _fails(environment(tmp_path, REDIS_TTL="tomorrow"))
    assert status == 1
    assert "REDIS_TTL" in output
    assert "session-svc ended with status 2" in output


def test_redis_url_is_used_instead_of_the_embedded_server(tmp_path: Path) -> None:
    with RedisServer() as server, Product(environment(tmp_path, REDIS_URL=server.url)) as product:
        assert "redis" not in product.children()
        _cli(tmp_path, product, "send", "elsewhere", "hello")
        with redis.Redis.from_url(server.url) as client:
            assert client.llen("session:elsewhere:messages") == 1
        assert product.stop() == 0
        assert not (tmp_path / "data").exists()


def test_a_redis_url_where_nothing_answers_is_one_line_without_its_password(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # Bound and not listening: nobody else gets it, and nobody answers.
        port = unused.getsockname()[1]
        status, output = _fails(environment(tmp_path, REDIS_URL=f"redis://me:secret@127.0.0.1:{port}/0"))
    assert status == 1
    assert output.count("\n") == 1
    assert f"no Redis at redis://127.0.0.1:{port}/0" in output
    assert "secret" not in output


def test_without_redis_it_runs_in_memory_and_says_so(tmp_path: Path) -> None:
    with Product(environment(tmp_path, REDIS_ENABLED="false")) as product:
        assert "nothing survives" in product.output
        _cli(tmp_path, product, "send", "passing", "hello")
        assert contents(product.server, "passing") == ["hello"]
        assert not (tmp_path / "data").exists()


def _is_ready(product: Product) -> bool:
    try:
        return httpx.get(f"{product.page}readyz").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def _fails(settings: dict[str, str]) -> tuple[int, str]:
    """Exit status and output of a run that must end by itself."""
    done = subprocess.run(
        [sys.executable, "-m", "aichat_dev.run"],
        env=settings,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout
