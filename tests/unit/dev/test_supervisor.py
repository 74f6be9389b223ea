"""The supervisor of `make run`, on small real processes."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

SERVICE = """
    import os, signal, sys, time
    from pathlib import Path
    name = __spec__.name.split(".")[0]
    record = Path(os.environ["RECORD"])
    def note(what):
        with record.open("a") as file:
            file.write(f"{what} {name} {os.getpid()}\\n")
    if sys.argv[1:] == ["health"]:
        sys.exit(0 if f"start {name} " in record.read_text() else 1)
    behaviour = os.environ.get(name.upper(), "")
    if behaviour == "refuses":
        sys.exit("bad setting: NAME: not that one")
    note("start")
    if behaviour == "dies" and record.read_text().count(f"start {name} ") > 1:
        sys.exit(3)
    def stop(*_):
        note("stop")
        if behaviour != "hangs":
            sys.exit(0)
    signal.signal(signal.SIGTERM, stop)
    print(f"hello from {name}", flush=True)
    while True:
        time.sleep(0.05)
"""

RUN = """
    import os, sys
    from aichat_dev.output import Output
    from aichat_dev.programs import ServiceProgram
    from aichat_dev.supervisor import RunFailedError, Supervisor
    output = Output()
    names = ("first", "second")
    programs = [ServiceProgram(name, name, {}, grace=30, output=output) for name in names]
    try:
        Supervisor(programs, output).run(lambda: print("all ready", flush=True))
    except RunFailedError as error:
        sys.exit(f"failed: {error}")
"""


class Run:
    """A supervisor of the services `first` and `second`, as a process."""

    def __init__(self, directory: Path, **behaviours: str) -> None:
        for name in ("first", "second"):
            (directory / f"{name}.py").write_text(textwrap.dedent(SERVICE))
        self.record = directory / "record"
        self.record.touch()
        self.log = directory / "log"
        environment = {**os.environ, "PYTHONPATH": str(directory), "RECORD": str(self.record)}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(RUN)],
                stdout=log,
                stderr=log,
                env={**environment, **{name.upper(): behaviour for name, behaviour in behaviours.items()}},
            )

    def wait_for(self, text: str, *, times: int = 1) -> None:
        """Returns once the output or the services' record has `text` that many times."""
        deadline = time.monotonic() + 20
        while (self.log.read_text() + self.record.read_text()).count(text) < times:
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.log.read_text()}{self.record.read_text()}"
            assert self.process.poll() is None or text in self.log.read_text(), self.log.read_text()
            time.sleep(0.02)

    def pids(self, name: str) -> list[int]:
        """The process ids under which a service has been started."""
        lines = (line.split() for line in self.record.read_text().splitlines())
        return [int(pid) for what, who, pid in lines if what == "start" and who == name]


@contextmanager
def running(directory: Path, **behaviours: str) -> Iterator[Run]:
    run = Run(directory, **behaviours)
    try:
        yield run
    finally:
        run.process.kill()
        run.process.wait()
        started = [pid for name in ("first", "second") for pid in run.pids(name)]
        left = [psutil.Process(pid) for pid in started if psutil.pid_exists(pid)]
        assert psutil.wait_procs(left, timeout=60)[1] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_in_reverse_order(tmp_path: Path, number: signal.Signals) -> None:
    with running(tmp_path) as run:
        run.wait_for("all ready")
        run.process.send_signal(number)
        assert run.process.wait(60) == 0
        stops = [line.split()[1] for line in run.record.read_text().splitlines() if line.startswith("stop")]
        assert stops == ["second", "first"]


def test_a_program_that_dies_is_started_again(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.wait_for("all ready")
        os.kill(run.pids("first")[0], signal.SIGKILL)
        run.wait_for("start first", times=2)
        assert "first was ended by SIGKILL; starting it again in 0.2 s" in run.log.read_text()
        assert len(run.pids("second")) == 1


def test_a_program_that_keeps_dying_ends_the_run_and_says_so(tmp_path: Path) -> None:
    with running(tmp_path, first="dies") as run:
        run.wait_for("all ready")
        os.kill(run.pids("first")[0], signal.SIGKILL)
        assert run.process.wait(60) == 1
        assert "failed: first ended with status 3, the 5th time within 60 s" in run.log.read_text()


def test_a_program_that_refuses_its_settings_ends_the_run_with_its_own_words(tmp_path: Path) -> None:
    with running(tmp_path, second="refuses") as run:
        assert run.process.wait(60) == 1
        assert "second         | bad setting: NAME: not that one" in run.log.read_text()
        assert "failed: second ended with status 1 before it was ready" in run.log.read_text()
        assert "all ready" not in run.log.read_text()


def test_a_second_signal_ends_at_once_what_does_not_want_to_end(tmp_path: Path) -> None:
    with running(tmp_path, second="hangs") as run:
        run.wait_for("all ready")
        run.process.send_signal(signal.SIGINT)
        run.wait_for("stop second")
        run.process.send_signal(signal.SIGINT)
        assert run.process.wait(60) == 128 + signal.SIGINT


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_a_killed_run_leaves_no_process(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.wait_for("all ready")
        run.process.kill()


def test_every_line_of_a_program_stands_behind_its_name(tmp_path: Path) -> None:
    with running(tmp_path) as run:
        run.wait_for("first          | hello from first")
        run.wait_for("second         | hello from second")
