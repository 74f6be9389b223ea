"""Becomes another program that the kernel kills when its parent dies: `_guard.py PARENT_PID PROGRAM ARGUMENT...`.

A program of its own because the alternative, code run between fork and exec in the parent, is not safe
in a process that has threads, and every process that loads gRPC has some. Uses nothing but the standard library, so
that `python -I -S` starts it in a few milliseconds.
"""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Ties this process to its parent where the system can (Linux), then replaces it with the program."""
    parent, program = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - Not needed, and not always there, on other systems.

        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # The parent died before the kernel knew.
            raise SystemExit(1)
    os.execvp(program[0], program)  # noqa: S606 - A shell is what must not stand in between.


if __name__ == "__main__":
    main()
