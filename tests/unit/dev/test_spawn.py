"""Child processes: where their output goes, and how they end."""

import os
import signal
import subprocess
import sys

import psutil
from aichat_dev.spawn import end, kill, spawn
from support.until import until

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
POLITE = "import signal as s, sys; s.signal(s.SIGTERM, lambda *_: sys.exit(7)); print('up', flush=True); s.pause()"
PARENT = "import subprocess, sys; p = subprocess.Popen(['sleep', '600']); print(p.pid, flush=True); p.wait()"


def _first_line(process: subprocess.Popen[bytes]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().decode().strip()


def test_both_streams_go_to_one_output_and_the_input_is_empty() -> None:
    code = "import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(len(sys.stdin.read()))"
    process = spawn([sys.executable, "-c", code], output=subprocess.PIPE)
    assert process.communicate()[0] == b"out\nerr\n"
    assert process.returncode == 0


def test_ending_is_a_request_first() -> None:
    with spawn([sys.executable, "-c", POLITE], output=subprocess.PIPE) as process:
        assert _first_line(process) == "up"
        end(process, grace=20)
        assert process.returncode == 7


def test_what_does_not_end_within_its_grace_is_killed() -> None:
    with spawn([sys.executable, "-c", DEAF], output=subprocess.PIPE) as process:
        assert _first_line(process) == "deaf"
        end(process, grace=0.1)
        assert process.returncode == -signal.SIGKILL


def test_a_stopped_process_ends_too() -> None:
    with spawn(["sleep", "600"], output=subprocess.PIPE) as process:
        process.send_signal(signal.SIGSTOP)
        until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED)
        end(process, grace=20)
        assert process.returncode == -signal.SIGTERM


def test_killing_takes_what_the_process_has_started_along() -> None:
    with spawn([sys.executable, "-c", PARENT], output=subprocess.PIPE) as process:
        grandchild = int(_first_line(process))
        kill(process)
        until(lambda: not psutil.pid_exists(grandchild))


def test_a_child_leads_its_own_session_so_that_the_terminals_signals_do_not_reach_it() -> None:
    with spawn(["sleep", "600"], output=subprocess.PIPE) as process:
        until(lambda: os.getsid(process.pid) == process.pid)
        kill(process)
