"""How much memory a process may have, and when it has too much."""

import errno
from pathlib import Path

import pytest
from aichat_runtime.memory import MOST_BYTES, MemoryGuard, default_limit, resident_bytes, return_free_memory
from aichat_runtime.settings import ServiceSettings, load

MIB = 1024 * 1024


class Process:
    """Has so many bytes in memory, of which some are free, and a clock that stands still; counts the looks at it."""

    def __init__(self, resident: int, free: int = 0) -> None:
        self.resident = resident
        self.free = free
        self.looks = 0
        self.trims = 0
        self.now = 1000.0

    def look(self) -> int:
        self.looks += 1
        return self.resident

    def trim(self) -> None:
        self.trims += 1
        self.resident -= self.free
        self.free = 0

    def guard(self, limit: int) -> MemoryGuard:
        return MemoryGuard(limit, resident=self.look, give_back=self.trim, clock=lambda: self.now)


def test_what_is_over_the_limit_is_too_much_and_what_is_at_it_is_not() -> None:
    assert not Process(100).guard(100).exceeded
    assert Process(101).guard(100).exceeded


def test_a_limit_of_nothing_is_no_limit() -> None:
    process = Process(10**15)
    assert not process.guard(0).exceeded
    assert process.looks == 0


def test_a_thousand_questions_in_one_moment_cost_one_look() -> None:
    process = Process(50)
    guard = process.guard(100)
    assert not any(guard.exceeded for _ in range(1000))
    assert process.looks == 1


def test_a_change_is_noticed_a_tenth_of_a_second_later() -> None:
    process = Process(50)
    guard = process.guard(100)
    assert not guard.exceeded
    process.resident = 150
    process.now += 0.11
    assert guard.exceeded
    process.resident = 50
    process.now += 0.11
    assert not guard.exceeded


def test_memory_that_is_only_free_is_given_back_before_anybody_is_refused() -> None:
    assert not Process(150, free=60).guard(100).exceeded


def test_memory_is_given_back_again_while_there_is_too_much_but_not_all_the_time() -> None:
    process = Process(150)
    guard = process.guard(100)
    for _ in range(100):
        assert guard.exceeded
        process.now += 0.11
    assert 2 <= process.trims <= 4


@pytest.mark.parametrize("resident", [50, 150])
def test_while_nothing_can_be_seen_what_was_seen_last_counts(resident: int) -> None:
    process = Process(resident)
    blind = False

    def look() -> int:
        if blind:
            raise OSError(errno.EMFILE, "Too many open files")
        return process.look()

    guard = MemoryGuard(100, resident=look, give_back=process.trim, clock=lambda: process.now)
    assert guard.exceeded is (resident > 100)
    blind = True
    process.now += 0.11
    assert guard.exceeded is (resident > 100)
    blind = False
    process.resident = 200 - resident
    process.now += 0.11
    assert guard.exceeded is (resident < 100)


def test_a_real_process_that_grows_is_told_to_have_too_much_until_it_has_shrunk() -> None:
    clock = Process(0)
    guard = MemoryGuard(resident_bytes() + 64 * MIB, clock=lambda: clock.now)
    assert not guard.exceeded
    ballast = [bytearray(b"x" * 64 * 1024) for _ in range(2000)]
    clock.now += 1
    assert guard.exceeded
    ballast.clear()
    clock.now += 10
    assert not guard.exceeded


def test_free_memory_can_be_given_back_at_any_time() -> None:
    return_free_memory()


@pytest.mark.parametrize("file", ["memory.max", "memory/memory.limit_in_bytes"])
def test_a_container_may_have_three_quarters_of_what_it_was_given(tmp_path: Path, file: str) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(f"{512 * MIB}\n")
    assert default_limit(tmp_path) == 384 * MIB


@pytest.mark.parametrize("text", ["max\n", "9223372036854771712\n"])
def test_without_a_limit_of_its_container_a_process_may_have_a_share_of_the_machine(tmp_path: Path, text: str) -> None:
    (tmp_path / "memory.max").write_text(text)
    assert default_limit(tmp_path) == default_limit(tmp_path / "none")
    assert 0 < default_limit(tmp_path) <= MOST_BYTES


@pytest.mark.parametrize(
    ("text", "limit"),
    [("0", 0), ("268435456", 256 * MIB), ("512MiB", 512 * MIB), ("1.5 GiB", 1536 * MIB), ("2GB", 2 * 10**9)],
)
def test_the_limit_is_read_in_bytes_or_with_a_unit(monkeypatch: pytest.MonkeyPatch, text: str, limit: int) -> None:
    monkeypatch.setenv("LIMIT_MEMORY", text)
    assert load(ServiceSettings).memory_limit == limit


def test_without_the_setting_the_limit_is_what_the_machine_suggests() -> None:
    assert load(ServiceSettings).memory_limit == default_limit()


@pytest.mark.parametrize("text", ["1MiB", "lots", "-5", "5 parsecs"])
def test_a_limit_that_is_none_or_too_small_to_run_with_is_refused_with_what_would_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    monkeypatch.setenv("LIMIT_MEMORY", text)
    with pytest.raises(SystemExit) as refusal:
        load(ServiceSettings)
    assert refusal.value.code == 2
    told = capsys.readouterr().err
    assert "LIMIT_MEMORY" in told
    assert "512MiB" in told
