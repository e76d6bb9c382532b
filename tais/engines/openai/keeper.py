"""Keeps a server while an arm lives: ``python openai_keeper.py COMMAND...``, run by its path.

It starts the command in a process group of its own and ends that group when its standard input ends, which
happens when the arm closes it and also when the arm dies, however it dies. It exits as the command does.
Standard library only, so that it starts at once.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time

_PR_SET_PDEATHSIG = 1
_GRACE_SECONDS = 10.0


def die_with_keeper() -> None:
    """Ask the kernel to kill the server when its keeper is killed (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def signal_group(group: int, number: int) -> None:
    """Send a signal to all of a group; none may be left."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return


def main() -> int:
    """Start, wait, end."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # The arm decides, by closing the pipe.
        signal.signal(number, signal.SIG_IGN)
    server = subprocess.Popen(
        sys.argv[1:],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=die_with_keeper,
        restore_signals=True,
    )
    while server.poll() is None:
        if select.select([0], [], [], 0.1)[0] and not os.read(0, 4096):
            signal_group(server.pid, signal.SIGTERM)
            deadline = time.monotonic() + _GRACE_SECONDS
            while server.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            break
    # What the server leaves behind.
    signal_group(server.pid, signal.SIGKILL)
    return server.wait()


if __name__ == "__main__":
    sys.exit(main() & 0xFF)
